"""`dynaberg plan --emit`: templates for those who may not run an apply. What they make is what an apply would make.

CloudFormation's is checked by cfn-lint, then made on the embedded services by a small reader of templates and run under
the policy that is in it. Terraform's is checked by its structure, and read by terraform where that is installed.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from dynaberg import BINARY, ROOT, Dynaberg
from test_cdk import cfn_lint, run  # noqa: F401

BUCKET = "arn:aws:s3tables:us-east-1:000000000000:bucket/shop-lake"
FILE = f"""[source]
table = "orders"
stream = "STREAM"
[target]
catalog = "{BUCKET}"
table = "shop.orders"
partition = ["bucket(16, id)"]
[delivery]
interval = "200ms"
[dead_letters]
errors = "s3://shop-letters/errors/"
queue = "shop-letters.fifo"
"""
ITEM = {"id": "a", "total": 3, "tags": {"x", "y"}, "lines": [{"sku": "s", "price": 1}], "to": {"city": "Ulm"}}
AWS = pathlib.Path(sys.executable).parent / "aws"


@pytest.fixture
def dev(tmp_path):
    running = Dynaberg(tmp_path / "data")
    create_source(running)
    yield running
    running.stop()


def create_source(running):
    running.client("dynamodb").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    running.resource("dynamodb").Table("orders").put_item(Item=ITEM)


@pytest.fixture(params=["dynamodb", "kinesis"])
def pipeline(request, tmp_path):
    path = tmp_path / "orders.toml"
    path.write_text(FILE.replace("STREAM", request.param))
    return path


def emit(dev, path, language, *options, check=True):
    done = dev.run("plan", str(path), "--emit", language, *options, check=check)
    return done if not check or options else json.loads(done.stdout)


def to_add(dev, path):
    planned = json.loads(dev.run("plan", str(path), "--output", "json").stdout)[0]
    return [step["kind"] for step in planned["steps"] if step["sign"] == "add"]


def by_hand(dev, template):
    """Runs what no template can do, as it is written."""
    environment = dev.environment | {"PATH": f"{AWS.parent}:{os.environ['PATH']}"}
    for output in template.get("Outputs", {}).values():
        run("sh", "-c", output["Value"], env=environment)


class Stack:
    """As much of CloudFormation as the templates take: makes resources by the calls that their types stand for."""

    def __init__(self, dev, template):
        self.dev, self.template, self.done = dev, template, []
        for name in template["Resources"]:
            self.make(name)

    def make(self, name):
        resource = self.template["Resources"][name]
        if name in self.done or "Condition" in resource:
            return
        self.done.append(name)
        text = json.dumps(resource["Properties"])
        for needed in [resource.get("DependsOn")] + re.findall(r'"(?:Ref|Fn::GetAtt)": \[?"(\w+)"', text):
            if needed in self.template["Resources"]:
                self.make(needed)
        getattr(self, resource["Type"].removeprefix("AWS::").replace("::", "_"))(self.resolved(resource["Properties"]))

    def resolved(self, value):
        if isinstance(value, list):
            return [self.resolved(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "Fn::GetAtt" in value:
            return BUCKET
        if "Ref" in value:
            parameter = self.template["Parameters"].get(value["Ref"])
            named = self.template["Resources"].get(value["Ref"], {}).get("Properties")
            return parameter["Default"] if parameter else named["BucketName"]
        return {key: self.resolved(one) for key, one in value.items()} if "Fn::If" not in value else None

    def Kinesis_Stream(self, it):
        assert it["StreamEncryption"] == {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
        self.dev.client("kinesis").create_stream(StreamName=it["Name"], StreamModeDetails=it["StreamModeDetails"])
        self.dev.client("kinesis").get_waiter("stream_exists").wait(StreamName=it["Name"])

    def S3_Bucket(self, it):
        assert all(it["PublicAccessBlockConfiguration"].values())
        self.dev.client("s3").create_bucket(Bucket=it["BucketName"])

    def S3_BucketPolicy(self, it):
        self.dev.client("s3").put_bucket_policy(Bucket=it["Bucket"], Policy=json.dumps(it["PolicyDocument"]))

    def SQS_Queue(self, it):
        attributes = {"MessageRetentionPeriod": str(it["MessageRetentionPeriod"]), "FifoQueue": str(it["FifoQueue"]).lower()}
        self.dev.client("sqs").create_queue(QueueName=it["QueueName"], Attributes=attributes)

    def S3Tables_TableBucket(self, it):
        self.dev.client("s3tables").create_table_bucket(name=it["TableBucketName"])

    def S3Tables_Namespace(self, it):
        self.dev.client("s3tables").create_namespace(tableBucketARN=it["TableBucketARN"], namespace=[it["Namespace"]])

    def S3Tables_Table(self, it):
        self.dev.client("s3tables").create_table(
            tableBucketARN=it["TableBucketARN"],
            namespace=it["Namespace"],
            name=it["TableName"],
            format=it["OpenTableFormat"],
            metadata={"iceberg": metadata(it["IcebergMetadata"])},
        )

    def IAM_ManagedPolicy(self, it):
        self.policy = it["PolicyDocument"]
        assert it["Roles"] and len(json.dumps(self.policy)) < 6_144

    def CloudWatch_Alarm(self, it):
        self.dev.client("cloudwatch").put_metric_alarm(**{key: value for key, value in it.items() if value is not None})


def metadata(it):
    """CloudFormation's spelling of a table as CreateTable's."""
    schema = it["IcebergSchemaV2"]
    fields = [{key.lower(): value for key, value in field.items()} for field in schema["SchemaV2FieldList"]]
    made = {
        "schemaV2": {"type": schema["SchemaV2FieldType"], "fields": fields, "identifierFieldIds": schema["IdentifierFieldIds"]},
        "properties": it["TableProperties"],
    }
    if "IcebergPartitionSpec" in it:
        spell = {"SourceId": "sourceId", "FieldId": "fieldId", "Name": "name", "Transform": "transform"}
        fields = [{spell[key]: value for key, value in field.items()} for field in it["IcebergPartitionSpec"]["Fields"]]
        made["partitionSpec"] = {"fields": fields}
    return made


def table_metadata(dev):
    """Schemas, partitions and properties of the table, but for marks."""
    found = dev.client("s3tables").get_table_metadata_location(tableBucketARN=BUCKET, namespace="shop", name="orders")
    bucket, key = found["metadataLocation"].removeprefix("s3://").split("/", 1)
    read = json.loads(dev.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    return {name: read[name] for name in ("schemas", "partition-specs", "properties", "format-version")}


def test_the_template_is_clean_and_makes_what_an_apply_makes(dev, pipeline, cfn_lint, tmp_path):  # noqa: F811
    file = tmp_path / "template.json"
    told = emit(dev, pipeline, "cloudformation", "--output-file", str(file)).stdout
    assert told.startswith(f"wrote {file}\n") and "by hand:" in told
    template = json.loads(file.read_text())
    assert run(cfn_lint, file) == ""
    # What holds data outlives the stack.
    for name, resource in template["Resources"].items():
        is_data = not resource["Type"].startswith(("AWS::IAM", "AWS::CloudWatch", "AWS::LakeFormation"))
        assert (resource.get("DeletionPolicy") == "Retain") == is_data, name

    planned = json.loads(dev.run("plan", str(pipeline), "--output", "json").stdout)[0]
    dev.run("apply", str(pipeline), "--plan", planned["id"])
    applied = table_metadata(dev)
    dev.run("destroy", str(pipeline), "--yes", "orders")
    Stack(dev, template)
    by_hand(dev, template)
    assert to_add(dev, pipeline) == []
    assert table_metadata(dev) == applied
    policy = json.loads(dev.client("s3").get_bucket_policy(Bucket="shop-letters")["Policy"])
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}

    # Nothing of it was made by an apply, so a destroy leaves all of it.
    destroyed = json.loads(dev.run("destroy", str(pipeline), "--yes", "orders", "--output", "json").stdout)
    assert destroyed["removed"] == []


def test_the_pipeline_runs_under_the_policy_of_the_template(pipeline, tmp_path):
    plain = Dynaberg(tmp_path / "data")
    create_source(plain)
    template = emit(plain, pipeline, "cloudformation")
    stack = Stack(plain, template)
    by_hand(plain, template)
    plain.stop()
    (tmp_path / "policy.json").write_text(json.dumps(stack.policy))
    dev = Dynaberg(tmp_path / "data", options=["--enforce-policy", f"writer={tmp_path / 'policy.json'}"])
    try:
        writer = [{"DataLakePrincipalIdentifier": "arn:aws:iam::000000000000:user/writer"}]
        dev.client("lakeformation").put_data_lake_settings(DataLakeSettings={"DataLakeAdmins": writer})
        dev.resource("dynamodb").Table("orders").put_item(Item={**ITEM, "id": "b"})
        command = [BINARY, "run", str(pipeline), "--console-port", "0", "--data-dir", str(tmp_path / "run")]
        environment = dev.environment | {"AWS_ACCESS_KEY_ID": "writer"}
        running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        console = running.stdout.readline().split()[-1]
        dev.run("wait", "--console", console)
        running.terminate()
        running.wait(timeout=30)
        assert {"id": "b"} in dev.sql('SELECT id FROM "s3tablescatalog/shop-lake".shop.orders')
        calls = [json.loads(line) for line in (tmp_path / "data/calls.ndjson").read_text().splitlines()]
        assert calls and all(call["allowed"] for call in calls)
    finally:
        dev.stop()


@pytest.mark.parametrize("language", ["cloudformation", "terraform"])
def test_what_the_earlier_template_holds_stays_in_the_next(dev, pipeline, language, tmp_path):
    file = tmp_path / "orders.tf.json"
    emit(dev, pipeline, language, "--output-file", str(file))
    first = json.loads(file.read_text())
    Stack(dev, emit(dev, pipeline, "cloudformation"))
    by_hand(dev, emit(dev, pipeline, "cloudformation"))
    assert to_add(dev, pipeline) == []
    # Another definition would be another table: what a pipeline adds is not the template's.
    dev.resource("dynamodb").Table("orders").put_item(Item={**ITEM, "id": "b", "added": "later"})
    told = emit(dev, pipeline, language, "--output-file", str(file)).stdout
    again = json.loads(file.read_text())
    part = "Resources" if language == "cloudformation" else "resource"
    assert again[part] == first[part] and "left out" not in told
    # Without it, what is there is named, and nobody's to make.
    done = dev.run("plan", str(pipeline), "--emit", language)
    alone = json.loads(done.stdout)[part]
    assert "left out, as it is there already: table shop.orders" in done.stderr
    kinds = alone.keys() if language == "terraform" else {it["Type"] for it in alone.values()}
    assert not any("S3Tables" in kind or "s3tables" in kind or "sqs" in kind.lower() for kind in kinds)
    assert any("olicy" in kind for kind in kinds) and any("larm" in kind for kind in kinds)


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


# What the provider's pages call required. https://registry.terraform.io/providers/hashicorp/aws/latest/docs
REQUIRED = {
    "aws_cloudformation_stack": {"name", "template_body"},
    "aws_cloudwatch_metric_alarm": {"alarm_name", "comparison_operator", "evaluation_periods"},
    "aws_dynamodb_kinesis_streaming_destination": {"table_name", "stream_arn"},
    "aws_iam_policy": {"policy"},
    "aws_iam_role_policy_attachment": {"role", "policy_arn"},
    "aws_kinesis_stream": {"name"},
    "aws_lakeformation_permissions": {"principal", "permissions"},
    "aws_s3_bucket": set(),
    "aws_s3_bucket_policy": {"bucket", "policy"},
    "aws_s3_bucket_public_access_block": {"bucket"},
    "aws_s3_bucket_server_side_encryption_configuration": {"bucket", "rule"},
    "aws_s3tables_namespace": {"namespace", "table_bucket_arn"},
    "aws_s3tables_table_bucket": {"name"},
    "aws_sqs_queue": set(),
}


def test_the_configuration_of_terraform_names_only_what_it_has(dev, pipeline, cfn_lint, tmp_path):  # noqa: F811
    emit(dev, pipeline, "terraform", "--output-file", str(tmp_path / "orders.tf.json"))
    configuration = json.loads((tmp_path / "orders.tf.json").read_text())
    resources = configuration["resource"]
    is_kinesis = "kinesis" in pipeline.read_text()
    assert resources.keys() == REQUIRED.keys() - (set() if is_kinesis else {k for k in REQUIRED if "kinesis" in k})
    for kind, named in resources.items():
        for name, arguments in named.items():
            assert REQUIRED[kind] <= arguments.keys(), f"{kind}.{name}"
    for text in strings({"resource": resources, "data": configuration["data"], "output": configuration["output"]}):
        for reference in re.findall(r"(?<!\$)\$\{(.*?)\}", text):
            for kind, name in re.findall(r"\b((?:data\.)?aws_\w+|var)\.(\w+)", reference):
                place = configuration["variable"] if kind == "var" else resources.get(kind, {})
                place = configuration["data"][kind.removeprefix("data.")] if kind.startswith("data.") else place
                assert name in place, reference
    # Every command that is left is a call on the table that was there; the way into Kinesis, Terraform has.
    assert len(configuration["output"]["by_hand"]["value"]) == (0 if is_kinesis else 1)

    body = resources["aws_cloudformation_stack"]["table"]["template_body"]
    table = json.loads(body.replace("$${", "${"))
    (tmp_path / "table.json").write_text(json.dumps(table))
    assert run(cfn_lint, tmp_path / "table.json") == ""
    same = emit(dev, pipeline, "cloudformation")["Resources"]["Table"]["Properties"]["IcebergMetadata"]
    assert table["Resources"]["Table"]["Properties"]["IcebergMetadata"] == same
    assert json.loads(resources["aws_iam_policy"]["run"]["policy"]) == policy_of(emit(dev, pipeline, "cloudformation"))


def policy_of(template):
    return template["Resources"]["RunPolicy"]["Properties"]["PolicyDocument"]


def test_terraform_reads_it(dev, pipeline, tmp_path):
    if not shutil.which("terraform"):
        pytest.skip("terraform is not here")
    folder = tmp_path / "terraform"
    folder.mkdir()
    emit(dev, pipeline, "terraform", "--output-file", str(folder / "orders.tf.json"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    # Providers are somewhere else: what is read here is the syntax, blocks and versions.
    told = run("terraform", f"-chdir={folder}", "providers", env=environment)
    assert "hashicorp/aws] >= 6.29.0" in told
    text = (folder / "orders.tf.json").read_text()
    (folder / "orders.tf.json").write_text(text.replace('"resource"', '"resouce"'))
    broken = subprocess.run(
        ["terraform", f"-chdir={folder}", "providers"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert broken.returncode != 0


def test_both_languages_have_every_alarm_that_is_not_of_maintenance(dev, pipeline):
    definitions = json.loads((ROOT / "deploy/alerts/alarms.json").read_text())["alarms"]
    wanted = {f"dynaberg-orders-{it['name']}": it for it in definitions if "job" not in it.get("dimensions", {})}
    template = emit(dev, pipeline, "cloudformation")["Resources"].values()
    of_cloudformation = {
        it["Properties"]["AlarmName"]: it["Properties"] for it in template if it["Type"] == "AWS::CloudWatch::Alarm"
    }
    terraform = emit(dev, pipeline, "terraform")["resource"]["aws_cloudwatch_metric_alarm"]
    of_terraform = {it["alarm_name"]: it for it in terraform.values()}
    assert wanted.keys() == of_cloudformation.keys() == of_terraform.keys()
    for name, it in wanted.items():
        ours, theirs = of_cloudformation[name], of_terraform[name]
        assert ours["MetricName"] == theirs["metric_name"] == it["metric"]
        assert ours["Threshold"] == theirs["threshold"] == it["threshold"]
        assert theirs["dimensions"] == {"pipeline": "orders", "table": "shop.orders"}
        assert {one["Name"]: one["Value"] for one in ours["Dimensions"]} == theirs["dimensions"]


def test_what_cannot_be_a_template_is_said_with_what_to_do(dev, pipeline, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(pipeline.read_text().replace("shop.orders", "shop.others"))
    done = dev.run("plan", str(pipeline), str(other), "--emit", "terraform", check=False)
    assert done.returncode == 252 and "one pipeline" in done.stderr and "Try:" in done.stderr

    theirs = tmp_path / "theirs.json"
    theirs.write_text('{"Resources": {}}')
    done = emit(dev, pipeline, "cloudformation", "--output-file", str(theirs), check=False)
    assert done.returncode == 253 and "no template of the pipeline orders" in done.stderr
    assert theirs.read_text() == '{"Resources": {}}'
    done = dev.run("plan", str(pipeline), "--output-file", str(theirs), check=False)
    assert done.returncode == 252 and "--emit" in done.stderr

    dev.client("s3tables").create_table_bucket(name="shop-lake")
    rest = tmp_path / "rest.toml"
    rest.write_text(pipeline.read_text().replace(f'"{BUCKET}"', f'"{dev.endpoint}/iceberg?warehouse={BUCKET}"'))
    done = dev.run("plan", str(rest), "--emit", "cloudformation", check=False)
    assert done.returncode == 252 and "Iceberg REST catalog" in done.stderr and "--catalog" in done.stderr
