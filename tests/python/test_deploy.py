"""`dynaberg deploy`, `ls`, `diff` and `destroy --all`: the blog's three stacks from its context file, and nothing left."""

import importlib.util
import json
import random
import re
import signal
import subprocess

import pytest

from dynaberg import BINARY, ROOT, Dynaberg, read_pyiceberg, rows_of, scan
from proxy import Proxy

CONTEXT = """{
  "table_bucket_name": "streamtablebucket",
  "table_name": "transactions",
  "namespace": "analytics",
  "bucket_name": "streambucket",
  "stream_type": "STREAM", // dynamodb or kinesis
}
"""
BUCKET = "arn:aws:s3tables:us-east-1:000000000000:bucket/streamtablebucket"
WRITER = "arn:aws:iam::000000000000:role/dynaberg-transactions"
SOURCE = "financial-transactions"
KEY = ["transaction_id", "timestamp"]
TLS = {"Bool": {"aws:SecureTransport": "false"}}


def recovery(dev):
    backups = dev.client("dynamodb").describe_continuous_backups(TableName=SOURCE)["ContinuousBackupsDescription"]
    return backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]


def sample():
    """The writer of the example: transactions as the blog's script makes them."""
    spec = importlib.util.spec_from_file_location("write", ROOT / "examples/transactions/write.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.transaction


@pytest.fixture
def dev(tmp_path):
    running = Dynaberg(tmp_path / "data")
    yield running
    running.stop()


@pytest.fixture
def context(tmp_path):
    path = tmp_path / "cdk.context.json"
    path.write_text(CONTEXT.replace("STREAM", "dynamodb"))
    return path


def call(dev, context, verb, *arguments, check=True, fail_point=None):
    environment = dev.environment | ({"DYNABERG_FAIL_POINT": fail_point} if fail_point else {})
    command = [BINARY, verb, *arguments, "--context", str(context), "--output", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def deploy(dev, context, *stacks):
    return json.loads(call(dev, context, "deploy", *(stacks or ["--all"])).stdout)


def destroy(dev, context):
    return json.loads(call(dev, context, "destroy", "--all", "--yes", "all").stdout)


def world(dev):
    """Everything that there is in any service, in words."""
    there = [f"dynamodb {name}" for name in dev.client("dynamodb").list_tables()["TableNames"]]
    there += [f"kinesis {name}" for name in dev.client("kinesis").list_streams()["StreamNames"]]
    there += [f"bucket {bucket['Name']}" for bucket in dev.client("s3").list_buckets()["Buckets"]]
    there += [f"queue {url}" for url in dev.client("sqs").list_queues().get("QueueUrls", [])]
    s3tables = dev.client("s3tables")
    for bucket in s3tables.list_table_buckets()["tableBuckets"]:
        there.append(f"table bucket {bucket['name']}")
        for table in s3tables.list_tables(tableBucketARN=bucket["arn"])["tables"]:
            there.append(f"table {table['name']}")
    for database in dev.client("glue").get_databases()["DatabaseList"]:
        if database["Name"] != "default" and "TargetDatabase" in database:
            there.append(f"link {database['Name']}")
    lake_formation = dev.client("lakeformation")
    for entry in lake_formation.list_permissions()["PrincipalResourcePermissions"]:
        there.append(f"grant {entry['Principal']['DataLakePrincipalIdentifier']} {json.dumps(entry['Resource'])}")
    admins = lake_formation.get_data_lake_settings()["DataLakeSettings"]["DataLakeAdmins"]
    there += [f"admin {admin['DataLakePrincipalIdentifier']}" for admin in admins]
    there += [f"pipeline {pipeline['name']}" for pipeline in dev.status()["pipelines"]]
    return sorted(there)


def write(dev, count, seed):
    table, rng, transaction = dev.resource("dynamodb").Table(SOURCE), random.Random(seed), sample()
    with table.batch_writer() as batch:
        for _ in range(count):
            batch.put_item(Item=transaction(rng))
    items = scan(table)
    for item in items[::7]:
        table.delete_item(Key={name: item[name] for name in KEY})
    return table


def assert_mirrored(dev, table):
    rows = rows_of(read_pyiceberg(dev, "analytics.transactions", BUCKET), KEY)
    columns = {column for row in rows.values() for column in row}
    expected = rows_of(scan(table), KEY)
    assert rows and rows.keys() == expected.keys()
    for key, row in rows.items():
        wanted = {name: value for name, value in expected[key].items() if name in columns}
        assert row == wanted, key


@pytest.mark.parametrize("stream", ["dynamodb", "kinesis"])
def test_the_blogs_stacks_are_deployed_run_and_leave_nothing(dev, tmp_path, stream):
    context = tmp_path / "cdk.context.json"
    context.write_text(CONTEXT.replace("STREAM", stream))
    assert world(dev) == []
    documents = deploy(dev, context)
    assert [document["stack"] for document in documents] == ["PipelineStack", "LakeFormationStack", "FirehoseStack"]
    outputs = {output["name"]: output["value"] for document in documents for output in document["outputs"]}
    assert outputs["DynamoDBTableName"] == SOURCE
    assert outputs["FirehoseRoleARN"] == WRITER
    assert outputs["ResourceLinkARN"] == "firehoses3tableresourcelink"
    assert outputs["FailedDeliveryBucketARN"] == "arn:aws:s3:::streambucket"
    assert ("KinesisStreamARN" if stream == "kinesis" else "DynamoDBTableStreamARN") in outputs

    description = dev.client("dynamodb").describe_table(TableName=SOURCE)["Table"]
    assert [key["AttributeName"] for key in description["KeySchema"]] == KEY
    assert description["ProvisionedThroughput"]["ReadCapacityUnits"] == 10
    assert recovery(dev) == "ENABLED"
    policy = json.loads(dev.client("s3").get_bucket_policy(Bucket="streambucket")["Policy"])
    assert [(it["Effect"], it["Condition"]) for it in policy["Statement"]] == [("Deny", TLS)]
    schema = dev.client("glue").get_table(
        CatalogId="000000000000:s3tablescatalog/streamtablebucket", DatabaseName="analytics", Name="transactions"
    )["Table"]["StorageDescriptor"]["Columns"]
    assert len(schema) == 22 and {"Name": "amount", "Type": "decimal(12,2)"} in [
        {"Name": column["Name"], "Type": column["Type"]} for column in schema
    ]

    table = write(dev, 100, 7)
    dev.wait()
    assert_mirrored(dev, table)
    for query in ("hourly.sql", "risk.sql"):
        dev.sql((ROOT / "examples/transactions" / query).read_text())

    assert all(step["done"] == [] for step in (document["applied"] for document in deploy(dev, context)))
    destroyed = destroy(dev, context)
    assert destroyed["left"] == []
    assert world(dev) == []


def test_another_stream_type_moves_the_live_pipeline_over(dev, context):
    deploy(dev, context)
    write(dev, 40, 1)
    for turn, stream in enumerate(["kinesis", "dynamodb"]):
        context.write_text(CONTEXT.replace("STREAM", stream))
        documents = deploy(dev, context)
        changed = [step for document in documents for step in document["applied"]["done"]]
        assert ("pipeline", "change") in [(step["kind"], step["sign"]) for step in changed]
        table = write(dev, 40, 2 + turn)
        dev.wait()
        assert_mirrored(dev, table)
    assert destroy(dev, context)["left"] == []
    assert world(dev) == []


def test_a_deployed_pipeline_runs_again_with_its_dev(tmp_path, context):
    dev = Dynaberg(tmp_path / "data")
    deploy(dev, context)
    write(dev, 10, 3)
    ports = dev.ports
    dev.kill()
    dev = Dynaberg(tmp_path / "data", ports=ports)
    try:
        table = write(dev, 10, 4)
        dev.wait()
        assert_mirrored(dev, table)
        destroy(dev, context)
        assert world(dev) == []
    finally:
        dev.stop()


def test_a_stack_before_its_time_names_the_missing_export(dev, context):
    done = call(dev, context, "deploy", "LakeFormationStack", check=False)
    assert done.returncode == 253 and "DYN606" in done.stderr
    assert "DynamoDBTableName of PipelineStack" in done.stderr
    deploy(dev, context, "PipelineStack")
    done = call(dev, context, "deploy", "FirehoseStack", check=False)
    assert "FailedDeliveryBucketARN of LakeFormationStack" in done.stderr
    deploy(dev, context, "LakeFormationStack")
    done = call(dev, context, "destroy", "PipelineStack", "--yes", "PipelineStack", check=False)
    assert done.returncode == 253 and "LakeFormationStack imports from PipelineStack" in done.stderr
    call(dev, context, "destroy", "LakeFormationStack", "--yes", "LakeFormationStack")
    call(dev, context, "destroy", "PipelineStack", "--yes", "PipelineStack")
    assert world(dev) == []


@pytest.mark.parametrize(
    "wrong, named",
    [
        (("table_name", "tabel_name"), "tabel_name"),
        (("\"dynamodb\"", "\"kafka\""), "stream_type"),
        (("\"analytics\"", "\"Analytics\""), "namespace"),
        (("\"streambucket\"", "\"Stream_Bucket\""), "bucket_name"),
    ],
)
def test_a_wrong_context_is_refused_before_anything_is_made(dev, context, wrong, named):
    context.write_text(context.read_text().replace(*wrong, 1))
    done = call(dev, context, "deploy", "--all", check=False)
    assert done.returncode == 253 and "DYN605" in done.stderr and f"`{named}`" in done.stderr
    assert world(dev) == []


def test_diff_and_ls_change_nothing(dev, context):
    assert dev.run("ls", "--output", "table").stdout.split() == ["PipelineStack", "LakeFormationStack", "FirehoseStack"]
    plans = json.loads(call(dev, context, "diff").stdout)
    assert {step["sign"] for plan in plans for step in plan["steps"]} == {"add"}
    call(dev, context, "deploy", "--all", "--dry-run")
    assert world(dev) == []
    deploy(dev, context)
    plans = json.loads(call(dev, context, "diff").stdout)
    assert {step["sign"] for plan in plans for step in plan["steps"]} == {"keep"}


def test_what_somebody_switched_off_is_switched_on_again(dev, context):
    deploy(dev, context)
    off = {"PointInTimeRecoveryEnabled": False}
    dev.client("dynamodb").update_continuous_backups(TableName=SOURCE, PointInTimeRecoverySpecification=off)
    # A statement of somebody else stays where ours comes back.
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject"}
    theirs["Resource"] = "arn:aws:s3:::streambucket/*"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [theirs]})
    dev.client("s3").put_bucket_policy(Bucket="streambucket", Policy=policy)
    plans = json.loads(call(dev, context, "diff").stdout)
    changed = [(step["kind"], step["detail"]) for plan in plans for step in plan["steps"] if step["sign"] == "change"]
    assert changed == [("dynamodb table", "point-in-time recovery"), ("bucket", "by TLS only")]
    deploy(dev, context)
    assert recovery(dev) == "ENABLED"
    policy = json.loads(dev.client("s3").get_bucket_policy(Bucket="streambucket")["Policy"])
    assert [it["Sid"] for it in policy["Statement"]] == ["Theirs", "DenyUnencryptedTransport"]
    assert destroy(dev, context)["left"] == []


class ByIam(Proxy):
    """Stands for an IAM that lets the deployer do everything: only who calls is asked as the deployer."""

    def __init__(self, endpoint):
        super().__init__(endpoint)
        self.change = lambda path, body, headers: {
            name: value if b"GetCallerIdentity" in body else re.sub("Credential=deployer/", "Credential=dev/", value)
            for name, value in headers.items()
        }


@pytest.mark.parametrize("fail_point", [None, "before", "after"])
def test_a_deployer_becomes_an_administrator_beside_the_others_and_ceases_to_be(dev, context, fail_point):
    lake_formation = dev.client("lakeformation")

    def admins():
        settings = lake_formation.get_data_lake_settings()["DataLakeSettings"]
        return [admin["DataLakePrincipalIdentifier"].rsplit("/", 1)[1] for admin in settings["DataLakeAdmins"]]

    anna = {"DataLakePrincipalIdentifier": "arn:aws:iam::000000000000:user/anna"}
    lake_formation.put_data_lake_settings(DataLakeSettings={"DataLakeAdmins": [anna]})
    proxy = ByIam(dev.endpoint)

    def run(verb, *arguments, fail_at=None):
        environment = dev.environment | {"AWS_ENDPOINT_URL": proxy.endpoint, "AWS_ACCESS_KEY_ID": "deployer"}
        environment |= {"DYNABERG_FAIL_POINT": fail_at} if fail_at else {}
        command = [BINARY, verb, *arguments, "--context", str(context), "--output", "json"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    try:
        assert run("deploy", "PipelineStack").returncode == 0
        if fail_point:
            # The changes of the stack: bucket and its policy, link, the administrator's mark, the settings.
            killed = run("deploy", "LakeFormationStack", fail_at=f"{fail_point}:5")
            assert killed.returncode == -signal.SIGKILL
            assert admins() == (["anna"] if fail_point == "before" else ["anna", "deployer"])
        done = run("deploy", "--all")
        assert done.returncode == 0, done.stderr
        assert admins() == ["anna", "deployer"]
        assert all(step["sign"] == "keep" for plan in json.loads(run("diff").stdout) for step in plan["steps"])
        done = run("destroy", "--all", "--yes", "all")
        assert done.returncode == 0 and json.loads(done.stdout)["left"] == []
        assert admins() == ["anna"]
    finally:
        proxy.stop()


def test_administrators_and_grants_of_others_stay_as_they_are(dev, context):
    lake_formation = dev.client("lakeformation")
    others = [{"DataLakePrincipalIdentifier": f"arn:aws:iam::000000000000:user/{name}"} for name in ("anna", "deployer")]
    lake_formation.put_data_lake_settings(DataLakeSettings={"DataLakeAdmins": others})
    # A deployer who is no root becomes an administrator beside them, unless they are one.
    environment = dev.environment | {"AWS_ACCESS_KEY_ID": "deployer"}
    command = [BINARY, "deploy", "--all", "--context", str(context), "--output", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    settings = lake_formation.get_data_lake_settings()["DataLakeSettings"]
    assert settings["DataLakeAdmins"] == others
    held = lake_formation.list_permissions(Principal={"DataLakePrincipalIdentifier": WRITER})
    granted = {json.dumps(entry["Resource"], sort_keys=True) for entry in held["PrincipalResourcePermissions"]}
    assert len(granted) == 2 and all("transactions" in text or "firehoses3" in text for text in granted)
    destroy(dev, context)
    assert lake_formation.get_data_lake_settings()["DataLakeSettings"]["DataLakeAdmins"] == others


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_change_the_next_deploy_and_destroy_finish(dev, context, moment):
    context.write_text(CONTEXT.replace("STREAM", "kinesis"))
    for verb, arguments in [("deploy", ["--all"]), ("destroy", ["--all", "--yes", "all"])]:
        kills = 0
        for change in range(1, 80):
            done = call(dev, context, verb, *arguments, check=False, fail_point=f"{moment}:{change}")
            if done.returncode == 0:
                break
            assert done.returncode == -signal.SIGKILL, done.stderr
            kills += 1
            call(dev, context, verb, *arguments)
            if verb == "deploy":
                assert len(world(dev)) == len(set(world(dev))) == 9, world(dev)
                destroy(dev, context)
                assert world(dev) == [], f"{verb} {moment} change {change}"
            else:
                assert world(dev) == [], f"{verb} {moment} change {change}"
                deploy(dev, context)
        assert kills >= 12
    assert world(dev) == []
