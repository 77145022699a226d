"""`dynaberg doctor` on a deployment that the test builds as the AWS sample does, faults included; and on one without."""

import io
import json
import subprocess
import threading
import zipfile
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote

import pyarrow as pa
import pytest

import functions
from dynaberg import BINARY, Dynaberg, eventually, pyiceberg_catalog
from firehoses import iceberg, processing, put, s3

ROLE = "arn:aws:iam::000000000000:role/forwarder"
KEY = [("transaction_id", "S", "HASH"), ("timestamp", "N", "RANGE")]
FORWARDER = "def handler(event, context):\n    return {}\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    running = Dynaberg(tmp_path_factory.mktemp("doctor") / "data")
    running.client("s3tables").create_table_bucket(name="lake")
    yield running
    running.stop()


def doctor(running, source, table=None, check=False):
    options = ["--table", table] if table else []
    done = running.run("doctor", source, *options, "--output", "json", check=check)
    report = json.loads(done.stdout)
    assert done.returncode == (1 if report["findings"] else 0), done.stderr
    return report


def faults(report):
    return [finding["fault"] for finding in report["findings"]]


def source_table(running, name, stream=True):
    specification = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    running.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": attribute, "KeyType": kind} for attribute, _, kind in KEY],
        AttributeDefinitions=[{"AttributeName": attribute, "AttributeType": kind} for attribute, kind, _ in KEY],
        BillingMode="PAY_PER_REQUEST",
        **({"StreamSpecification": specification} if stream else {}),
    )
    return running.resource("dynamodb").Table(name)


def mapping(running, name, **settings):
    """A forwarder as in the sample: batches of 100 from TRIM_HORIZON, and nothing else said."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", FORWARDER)
    client = running.client("lambda")
    client.create_function(
        FunctionName=name, Runtime="python3.12", Handler="index.handler", Role=ROLE, Code={"ZipFile": packed.getvalue()}
    )
    table = running.client("dynamodb").describe_table(TableName=name)["Table"]
    return client.create_event_source_mapping(
        EventSourceArn=table["LatestStreamArn"], FunctionName=name, StartingPosition="TRIM_HORIZON", BatchSize=100,
        **settings,
    )["UUID"]


def lake_table(running, name, schema, rows, partitioned=False):
    arn = running.client("s3tables").list_table_buckets()["tableBuckets"][0]["arn"]
    catalog = pyiceberg_catalog(running, arn)
    catalog.create_namespace_if_not_exists("analytics")
    table = catalog.create_table(f"analytics.{name}", schema)
    if partitioned:
        with table.update_spec() as update:
            update.add_identity("region")
    if rows:
        table.append(pa.Table.from_pylist(rows, schema))
    return arn


def watch(running, name):
    running.client("cloudwatch").put_metric_alarm(
        AlarmName=name, Namespace="AWS/Lambda", MetricName="IteratorAge", Statistic="Maximum", Period=60,
        EvaluationPeriods=1, Threshold=60_000, ComparisonOperator="GreaterThanThreshold",
        Dimensions=[{"Name": "FunctionName", "Value": name}],
    )


SCHEMA = [
    ("transaction_id", pa.string()), ("timestamp", pa.int64()), ("region", pa.string()), ("hour", pa.int32()),
    ("amount", pa.float64()), ("items", pa.string()), ("status", pa.string()), ("fraud", pa.string()),
]
ROWS = [
    # What the forwarder made of the items below: values in text, floats, hours of another zone, no deletes, no updates.
    {"transaction_id": "1", "timestamp": 1, "region": "EU", "hour": 7, "amount": 0.12345678901234568, "items": '{"M": {"a": {"S": "b"}}}', "status": "OK"},
    {"transaction_id": "1", "timestamp": 2, "region": "EU", "hour": 9, "amount": 2.5, "items": "[]", "status": "OLD"},
    {"transaction_id": "2", "timestamp": 1, "region": "US", "hour": 9, "amount": 1.0, "items": "[]", "status": "OK"},
    {"transaction_id": "2", "timestamp": 1, "region": "US", "hour": 9, "amount": 3.0, "items": "[]", "status": "PAID"},
    {"transaction_id": "gone", "timestamp": 1, "region": "US", "hour": 9, "amount": 1.0, "items": "[]", "status": "OK"},
]


def item(id, at, amount, status, hour, **others):
    item = {"transaction_id": id, "timestamp": at, "region": "EU", "hour": hour, "amount": Decimal(amount)}
    return {**item, "status": status, "items": {"a": "b"}, **others}


def test_a_deployment_as_in_the_sample_has_exactly_its_faults_named(running):
    table = source_table(running, "sample")
    table.put_item(Item=item("1", 1, "0.12345678901234567890123", "OK", 9))
    table.put_item(Item=item("1", 2, "2.5", "NEW", 9, device="phone"))
    table.put_item(Item=item("2", 1, "3", "PAID", 9))
    table.put_item(Item=item("before", 1, "3", "OK", 9))
    uuid = mapping(running, "sample")
    warehouse = lake_table(running, "sample", pa.schema(SCHEMA), ROWS)
    off = {"status": "disabled", "settings": {"icebergCompaction": {"targetFileSizeMB": 512}}}
    running.client("s3tables").put_table_maintenance_configuration(
        tableBucketARN=warehouse, namespace="analytics", name="sample", type="icebergCompaction", value=off
    )
    lakeformation = running.client("lakeformation")
    lakeformation.put_data_lake_settings(
        DataLakeSettings={"DataLakeAdmins": [{"DataLakePrincipalIdentifier": ROLE}]}
    )

    report = doctor(running, "sample", "analytics.sample")
    expected = ["W1", "W2", "W4", "W5", "W7", "W9", "W10", "W11", "W12", "W14", "W16", "W17", "W18"]
    assert faults(report) == expected
    evidence = {finding["fault"]: finding["evidence"] for finding in report["findings"]}
    assert evidence["W1"] == "1 of 5 rows have no item any more"
    assert evidence["W2"] == "1 of 5 rows are there again with the same key"
    assert evidence["W4"] == "columns items hold other types than the items"
    assert evidence["W5"] == "columns amount are floats, and their numbers have more digits"
    assert all(word in evidence["W7"] for word in ("no on-failure destination", "for ever", "not bisect"))
    assert evidence["W9"] == "1 of 4 items have no row"
    assert evidence["W10"] == "columns hour differ from the items"
    assert evidence["W12"] == "analytics.sample: it has no partitions, compaction is switched off"
    assert evidence["W14"] == f"{ROLE} is a data lake administrator"
    assert evidence["W17"] == "attributes device have no column" and evidence["W18"] == "columns fraud are never filled"
    assert all(finding["advice"] and finding["what"] for finding in report["findings"])

    # What cannot be looked at is said, not passed over; and no value leaves.
    unseen = {fault for unseen in report["not_seen"] for fault in unseen["faults"]}
    assert unseen == {"W6", "W13", "W15", "W20"}
    assert all(entry["why"] for entry in report["not_seen"])
    assert "PAID" not in json.dumps(report) and "phone" not in json.dumps(report)
    told = running.run("doctor", "sample", "--table", "analytics.sample", "--output", "table", check=False)
    assert told.returncode == 1 and "✗ W1 " in told.stdout and "13 faults found" in told.stderr

    # The way over names the stream, the overlap and the mapping that ends.
    commands = " ".join(step["command"] or "" for step in report["moving"])
    assert "dynaberg init --from dynamodb:sample" in commands and "analytics.sample_mirror" in commands and uuid in commands
    lakeformation.put_data_lake_settings(DataLakeSettings={"DataLakeAdmins": []})


FORGETS = "def handler(event, context):\n    return {'records': []}\n"
# Statements of the sample's kind, and one that is as it should be.
WILD = [
    {"Effect": "Allow", "Action": ["s3:*"], "Resource": "arn:aws:s3:::streambucket/*"},
    {"Effect": "Allow", "Action": "lakeformation:GetDataAccess", "Resource": "*"},
]


class Iam(BaseHTTPRequestHandler):
    """As much of IAM as policies of a role are read by: one of them inline, one attached."""

    def do_POST(self):
        asked = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        attached = [{"Effect": "Allow", "Action": "firehose:PutRecordBatch", "Resource": "*"}]
        xml = {
            "ListRolePolicies": "<PolicyNames><member>own</member></PolicyNames>",
            "GetRolePolicy": f"<PolicyDocument>{quote(json.dumps({'Statement': WILD}))}</PolicyDocument>",
            "ListAttachedRolePolicies": "<PolicyArn>arn:aws:iam::000000000000:policy/p</PolicyArn>",
            "GetPolicy": "<DefaultVersionId>v3</DefaultVersionId>",
            "GetPolicyVersion": f"<Document>{quote(json.dumps({'Statement': attached}))}</Document>",
        }[asked["Action"][0]]
        assert asked.get("VersionId", ["v3"]) == ["v3"]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"<Response>{xml}</Response>".encode())

    def log_message(self, *_):
        pass


def test_a_delivery_stream_shows_keys_that_are_short_a_table_that_is_missing_and_records_that_are_forgotten(running):
    table = source_table(running, "delivered")
    table.put_item(Item=item("1", 1, "3", "OK", 9))
    watch(running, "delivered-age")
    functions.create(running.client("lambda"), FORGETS, name="filter")
    running.client("s3").create_bucket(Bucket="doctor-failed")
    lake_table(running, "delivered", pa.schema([("transaction_id", pa.string()), ("region", pa.string())]), [], True)
    hints = {"BufferSizeInMBs": "0.2", "BufferIntervalInSeconds": "0"}
    lambda_arn = "arn:aws:lambda:us-east-1:000000000000:function:filter"
    configuration = iceberg(
        "lake",
        ("delivered", {"UniqueKeys": ["transaction_id"]}),
        ("never_made", {"UniqueKeys": ["transaction_id", "timestamp"]}),
        ProcessingConfiguration=processing(("Lambda", {"LambdaArn": lambda_arn, **hints})),
        S3Configuration=s3("doctor-failed", ErrorOutputPrefix="errors/"),
    )
    client = running.client("firehose")
    client.create_delivery_stream(DeliveryStreamName="to-delivered", IcebergDestinationConfiguration=configuration)
    put(client, "to-delivered", [{"n": 1}, {"n": 2}])
    running.run("wait", "--delivery-stream", "to-delivered")

    report = doctor(running, "delivered", "analytics.delivered")
    evidence = {finding["fault"]: finding["evidence"] for finding in report["findings"]}
    assert evidence["W3"] == 'delivery stream to-delivered: its unique keys lack ["timestamp"]'
    assert evidence["W6"] == "2 records of delivery stream to-delivered failed with Lambda.MissingRecordId"
    assert evidence["W13"] == "delivery stream to-delivered: table analytics.never_made is not there"
    assert evidence.keys() == {"W3", "W6", "W9", "W13", "W17"}
    # Of another table's delivery stream nothing is said.
    report = doctor(running, "delivered", "analytics.sample")
    assert not {"W3", "W6", "W13"} & set(faults(report))
    client.delete_delivery_stream(DeliveryStreamName="to-delivered")
    running.client("cloudwatch").delete_alarms(AlarmNames=["delivered-age"])


def test_roles_that_may_do_too_much_are_named_where_iam_can_be_asked(running):
    source_table(running, "wild")
    mapping(running, "wild")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Iam)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = running.environment | {"AWS_ENDPOINT_URL_IAM": f"http://127.0.0.1:{server.server_port}"}
    command = [BINARY, "doctor", "wild", "--output", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    server.shutdown()
    report = json.loads(done.stdout)
    assert [finding["evidence"] for finding in report["findings"] if finding["fault"] == "W15"] == [
        "role forwarder: s3:* on arn:aws:s3:::streambucket/*", "role forwarder: firehose:PutRecordBatch on *"
    ]
    assert not any("W15" in unseen["faults"] for unseen in report["not_seen"])


def test_a_batch_that_was_sent_again_is_told_from_a_change(running):
    table = source_table(running, "resent")
    table.put_item(Item={"transaction_id": "1", "timestamp": 1, "region": "EU"})
    watch(running, "resent-age")
    schema = pa.schema([("transaction_id", pa.string()), ("timestamp", pa.int64()), ("region", pa.string())])
    rows = [{"transaction_id": "1", "timestamp": 1, "region": "EU"}] * 3
    lake_table(running, "resent", schema, rows, partitioned=True)
    report = doctor(running, "resent", "analytics.resent")
    assert [(it["fault"], it["evidence"]) for it in report["findings"]] == [
        ("W8", "2 of 3 rows are there again, the same in every column")
    ]
    running.client("cloudwatch").delete_alarms(AlarmNames=["resent-age"])


def test_a_repaired_deployment_has_none(running):
    table = source_table(running, "repaired")
    queue = running.client("sqs").create_queue(QueueName="failed")["QueueUrl"]
    queue = running.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    destination = {"OnFailure": {"Destination": queue["Attributes"]["QueueArn"]}}
    mapping(
        running, "repaired", BisectBatchOnFunctionError=True, MaximumRetryAttempts=5, DestinationConfig=destination
    )
    watch(running, "repaired-age")
    table.put_item(Item={"transaction_id": "1", "timestamp": 1, "region": "EU", "amount": Decimal("0.10")})
    schema = pa.schema(
        [("transaction_id", pa.string()), ("timestamp", pa.int64()), ("region", pa.string()), ("amount", pa.decimal128(38, 2))]
    )
    rows = [{"transaction_id": "1", "timestamp": 1, "region": "EU", "amount": Decimal("0.10")}]
    lake_table(running, "repaired", schema, rows, partitioned=True)
    report = doctor(running, "repaired", "analytics.repaired", check=True)
    assert report["findings"] == []
    running.client("cloudwatch").delete_alarms(AlarmNames=["repaired-age"])


def test_a_table_that_feeds_nothing_is_one_fault_and_the_lake_is_not_looked_at(running):
    source_table(running, "orders", stream=False)
    report = doctor(running, "orders")
    assert faults(report) == ["W19"]
    assert any("--table" in unseen["why"] for unseen in report["not_seen"])
    assert "StreamEnabled=true" in report["moving"][1]["command"]


def test_a_kinesis_stream_that_keeps_a_day_is_a_fault_until_it_keeps_more(running):
    source_table(running, "streamed", stream=False)
    kinesis = running.client("kinesis")
    kinesis.create_stream(StreamName="changes", ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName="changes")["StreamDescriptionSummary"]["StreamARN"]
    running.client("dynamodb").enable_kinesis_streaming_destination(TableName="streamed", StreamArn=arn)
    watch(running, "streamed-age")
    eventually(lambda: faults(doctor(running, "streamed")) == ["W16"])
    kinesis.increase_stream_retention_period(StreamName="changes", RetentionPeriodHours=168)
    assert faults(doctor(running, "streamed")) == []
    running.client("cloudwatch").delete_alarms(AlarmNames=["streamed-age"])


def test_what_a_pipeline_of_dynaberg_keeps_has_no_fault_but_what_is_set_around_it(running, tmp_path):
    table = source_table(running, "kept")
    table.put_item(Item=item("1", 1, "0.12345678901234567890123", "OK", 9))
    table.put_item(Item=item("1", 2, "2.5", "NEW", 9))
    table.delete_item(Key={"transaction_id": "1", "timestamp": 2})
    file = tmp_path / "kept.toml"
    file.write_text(
        '[source]\ntable = "kept"\n[target]\ntable = "analytics.kept"\npartition = ["region"]\n[delivery]\ninterval = "100ms"\n'
    )
    process = subprocess.Popen(
        [BINARY, "run", file, "--console-port", "0", "--data-dir", tmp_path / "index"],
        env=running.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    console = process.stdout.readline().split()[-1]
    running.run("wait", "--console", console)
    process.terminate()
    process.wait(timeout=30)
    watch(running, "kept-age")
    assert faults(doctor(running, "kept", "analytics.kept")) == []


def test_a_source_that_is_not_there_is_said_with_what_to_do(running):
    done = running.run("doctor", "nobody", check=False)
    assert done.returncode == 254 and "ResourceNotFoundException" in done.stderr and "Try:" in done.stderr
