"""Delivery streams to Iceberg tables: each record once, in order, or in an error object that says why."""

import datetime
import json
import random
from decimal import Decimal

import pytest

from dynaberg import Dynaberg, eventually, read_pyiceberg
from firehoses import (
    ACCOUNT,
    ROLE,
    catalog_arn,
    counts,
    create_table,
    failures,
    iceberg,
    objects,
    processing,
    put,
    s3,
    settled,
    warehouse,
)
from functions import create

COLUMNS = {"id": "string", "n": "long", "note": "string"}


@pytest.fixture(scope="module")
def lake(dynaberg):
    """Makes delivery streams to fresh tables of one table bucket."""
    arn = warehouse(dynaberg, "firehose-lake", {})
    dynaberg.client("s3").create_bucket(Bucket="failed")
    return Lake(dynaberg, arn)


class Lake:
    bucket = "firehose-lake"

    def __init__(self, dynaberg, arn):
        self.dynaberg, self.arn = dynaberg, arn
        self.client = dynaberg.client("firehose")

    def table(self, name, columns=COLUMNS):
        create_table(self.dynaberg, self.arn, name, columns)

    def stream(self, name, *tables, **settings):
        self.client.create_delivery_stream(
            DeliveryStreamName=name, IcebergDestinationConfiguration=iceberg(self.bucket, *tables, **settings)
        )

    def rows(self, name):
        return read_pyiceberg(self.dynaberg, f"analytics.{name}", self.arn)


def query(operation=".op", table=None):
    fields = f"operation: {operation}" + (f", destinationDatabaseName: \"analytics\", destinationTableName: {table}" if table else "")
    parameters = {"MetadataExtractionQuery": f"{{{fields}}}", "JsonParsingEngine": "JQ-1.6"}
    return {"ProcessingConfiguration": processing(("MetadataExtraction", parameters))}


def test_first_level_members_become_columns(lake):
    columns = {
        "id": "string",
        "n": "long",
        "small": "int",
        "amount": "decimal(38,2)",
        "day": "date",
        "at": "timestamp",
        "on": "boolean",
        "x": "double",
    }
    lake.table("types", columns)
    lake.stream("types", ("types", {}))
    record = b"""{"id": "a", "n": 9007199254740993, "small": 7, "amount": 123456789012345678901234567890.25,
        "day": "2026-11-22", "at": 1795356239000001, "on": true, "x": 0.5, "nobody": "asks", "N": 5}"""
    put(lake.client, "types", [record, {"id": "b"}])
    found = settled(lake.dynaberg, "types", 2)
    assert found["delivered_records_total"] == 2
    rows = {row["id"]: row for row in lake.rows("types")}
    assert rows["a"] == {
        "id": "a",
        "n": 9007199254740993,
        "small": 7,
        "amount": Decimal("123456789012345678901234567890.25"),
        "day": datetime.date(2026, 11, 22),
        "at": datetime.datetime(2026, 11, 22, 14, 3, 59, 1),
        "on": True,
        "x": 0.5,
    }
    assert rows["b"]["n"] is None


def test_without_an_operation_every_record_is_a_row(lake):
    lake.table("inserted")
    lake.stream("inserted", ("inserted", {"UniqueKeys": ["id"]}))
    for _ in range(2):
        put(lake.client, "inserted", [{"id": "a", "n": 1}, {"id": "a", "n": 1}])
    settled(lake.dynaberg, "inserted", 4)
    assert [row["n"] for row in lake.rows("inserted")] == [1, 1, 1, 1]


def test_updates_and_deletes_count_in_the_order_of_their_records(lake):
    lake.table("ordered")
    lake.stream("ordered", ("ordered", {"UniqueKeys": ["id"]}), **query())
    rng, state, records = random.Random(7), {}, []
    for number in range(3_000):
        key = f"k{rng.randrange(40)}"
        op = rng.choice(["insert", "update", "update", "delete"])
        records.append({"id": key, "n": number, "op": op})
        if op == "insert":
            state.setdefault(key, []).append(number)
        elif op == "update":
            state[key] = [number]
        else:
            state.pop(key, None)
    for first in range(0, len(records), 250):
        put(lake.client, "ordered", records[first : first + 250])
    found = settled(lake.dynaberg, "ordered", len(records))
    assert found["delivered_records_total"] == len(records)
    rows = sorted((row["id"], row["n"]) for row in lake.rows("ordered"))
    assert rows == sorted((key, number) for key, numbers in state.items() for number in numbers)


def test_records_that_do_not_fit_go_to_error_objects_and_the_others_to_the_table(lake):
    lake.table("strict")
    lake.stream("strict", ("strict", {"UniqueKeys": ["id"], "S3ErrorOutputPrefix": "strict/"}), **query())
    bad = {
        b"no json": "Iceberg.InvalidRecordFormat",
        b'{"id": "a", "n": "many"}': "Iceberg.SchemaTypeMismatch",
        b'{"n": 1}': "Iceberg.MissingColumnWithinRecord",
        b'{"n": 1, "op": "update"}': "Iceberg.UniqueKeysNotFound",
        b'{"id": "a", "op": "merge"}': "Iceberg.InvalidOperation",
        b'{"id": "a", "note": ' + b"[" * 100_000 + b"]" * 100_000 + b"}": "Iceberg.InvalidRecordFormat",
        b'{"id": "a", "note": ' + b"[" * 100 + b"]" * 100 + b"}": "Iceberg.InvalidRecordFormat",
    }
    good = [{"id": f"g{number}", "n": number} for number in range(5)]
    put(lake.client, "strict", [*bad, *good])
    found = settled(lake.dynaberg, "strict", 12)
    assert (found["delivered_records_total"], found["failed_records_total"]) == (5, 7)
    assert sorted(row["id"] for row in lake.rows("strict")) == [f"g{number}" for number in range(5)]

    def told():
        lines = failures(lake.dynaberg, prefix="strict/")
        return lines if len(lines) == 7 else None

    lines = eventually(told)
    assert {line["record"]: line["errorCode"] for line in lines} == bad
    for line in lines:
        assert line["attemptsMade"] == 1 and line["errorMessage"]
        assert line["arrivalTimestamp"] <= line["attemptEndingTimestamp"]
    today = datetime.datetime.now(datetime.UTC)
    assert all(key.startswith(f"strict/iceberg-failed/{today:%Y/%m/%d/}") for key in objects(lake.dynaberg, "failed", "strict/"))


def test_records_choose_their_table(lake):
    lake.table("east")
    lake.table("west")
    lake.stream("routed", ("east", {"UniqueKeys": ["id"]}), ("west", {}), **query(table=".to"))
    records = [{"id": f"{number}", "n": number, "to": ("east", "west")[number % 2]} for number in range(20)]
    put(lake.client, "routed", [*records, {"id": "x"}, {"id": "0", "to": "west", "op": "delete"}])
    found = settled(lake.dynaberg, "routed", 22)
    assert found["failed_records_total"] == 2
    assert sorted(row["n"] for row in lake.rows("east")) == list(range(0, 20, 2))
    assert sorted(row["n"] for row in lake.rows("west")) == list(range(1, 20, 2))


def test_records_for_a_table_that_is_missing_wait_for_it(lake):
    lake.stream("early", ("late", {}))
    put(lake.client, "early", [{"id": "a", "n": 1}])

    def problem():
        description = lake.client.describe_delivery_stream(DeliveryStreamName="early")["DeliveryStreamDescription"]
        return description.get("FailureDescription", {}).get("Details")

    assert "analytics.late" in eventually(problem)
    eventually(lambda: counts(lake.dynaberg, "early").get("buffered_records") == 1)
    lake.table("late")
    settled(lake.dynaberg, "early", 1)
    assert [row["id"] for row in lake.rows("late")] == ["a"]
    eventually(lambda: problem() is None)


def test_records_for_a_table_that_is_missing_for_longer_than_they_are_retried_go_to_error_objects(lake):
    lake.stream("impatient", ("never", {"S3ErrorOutputPrefix": "never/"}), RetryOptions={"DurationInSeconds": 0})
    put(lake.client, "impatient", [{"id": "a", "n": 1}, {"id": "b", "n": 2}])
    found = settled(lake.dynaberg, "impatient", 2)
    assert found["failed_records_total"] == 2 and found["delivered_records_total"] == 0
    lines = eventually(lambda: failures(lake.dynaberg, prefix="never/iceberg-failed/"))
    assert [json.loads(line["record"])["id"] for line in lines] == ["a", "b"]
    assert {line["errorCode"] for line in lines} == {"Iceberg.NoSuchTable"}
    # What comes once the table is there is delivered, and what was given up can be put again.
    lake.table("never")
    put(lake.client, "impatient", [{"id": "c", "n": 3}])
    assert settled(lake.dynaberg, "impatient", 3)["delivered_records_total"] == 1
    redrive = ["dlq", "firehose", "impatient", "--redrive", "--code", "Iceberg.NoSuchTable"]
    lake.dynaberg.run(*redrive)
    settled(lake.dynaberg, "impatient", 5)
    assert sorted(row["id"] for row in lake.rows("never")) == ["a", "b", "c"]


def test_all_records_are_backed_up_as_they_were_put_once_over_kills(tmp_path):
    running = Dynaberg(tmp_path / "data")
    arn = warehouse(running, "lake", {"kept": COLUMNS})
    running.client("s3").create_bucket(Bucket="failed")
    place = s3(Prefix="all/", ErrorOutputPrefix="errors/")
    settings = iceberg("lake", ("kept", {}), S3BackupMode="AllData", S3Configuration=place)
    running.client("firehose").create_delivery_stream(
        DeliveryStreamName="all", IcebergDestinationConfiguration=settings
    )
    sent = []
    for turn in range(4):
        batch = [{"id": f"{turn}-{number}", "n": number} for number in range(50)]
        batch[7] = {"id": f"{turn}-7", "n": "not a number"}
        put(running.client("firehose"), "all", batch)
        sent += batch
        running.kill()
        running = Dynaberg(tmp_path / "data", ports=running.ports)
    try:
        found = settled(running, "all", 200)
        assert (found["delivered_records_total"], found["failed_records_total"]) == (196, 4)
        assert len(read_pyiceberg(running, "analytics.kept", arn)) == 196

        def backed_up():
            text = b"".join(objects(running, "failed", "all/").values()).decode()
            # Without a delimiter one record follows another.
            records = [json.loads(record) for record in text.replace("}{", "}\n{").split("\n") if record]
            return records if len(records) >= 200 else None

        assert sorted(eventually(backed_up), key=json.dumps) == sorted(sent, key=json.dumps)
    finally:
        running.stop()


def test_append_only_refuses_updates(lake):
    lake.table("grows")
    lake.stream("grows", ("grows", {}), AppendOnly=True, **query())
    put(lake.client, "grows", [{"id": "a"}, {"id": "a", "op": "update"}])
    found = settled(lake.dynaberg, "grows", 2)
    assert (found["delivered_records_total"], found["failed_records_total"]) == (1, 1)


def test_a_resource_link_leads_to_the_table_bucket(lake):
    lake.table("linked")
    target = {"CatalogId": f"{ACCOUNT}:s3tablescatalog/{lake.bucket}", "DatabaseName": "analytics"}
    glue = lake.dynaberg.client("glue")
    glue.create_database(DatabaseInput={"Name": "firehoses3tableresourcelink", "TargetDatabase": target})
    settings = iceberg(lake.bucket, CatalogConfiguration={"CatalogARN": catalog_arn()})
    settings["DestinationTableConfigurationList"] = [
        {"DestinationDatabaseName": "firehoses3tableresourcelink", "DestinationTableName": "linked"}
    ]
    lake.client.create_delivery_stream(DeliveryStreamName="linked", IcebergDestinationConfiguration=settings)
    put(lake.client, "linked", [{"id": "a"}])
    settled(lake.dynaberg, "linked", 1)
    assert [row["id"] for row in lake.rows("linked")] == ["a"]
    # The services are those of other tests too, which list their databases.
    lake.client.delete_delivery_stream(DeliveryStreamName="linked")
    glue.delete_database(Name="firehoses3tableresourcelink")


# The sample's stack in boto3's words, with its transform's shape.
SAMPLE_HANDLER = """
    import base64, json

    def handler(event, context):
        output = []
        for record in event["records"]:
            payload = json.loads(base64.b64decode(record["data"]))
            if payload.get("status") == "TEST":
                output.append({"recordId": record["recordId"], "result": "Dropped", "data": record["data"]})
                continue
            if payload.get("status") == "LOST":
                continue
            if payload.get("status") == "TWICE":
                output.append({"recordId": record["recordId"], "result": "Ok", "data": record["data"]})
            if payload.get("status") == "BAD":
                output.append({"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]})
                continue
            payload["amount"] = float(payload["amount"])
            data = base64.b64encode(json.dumps(payload).encode()).decode()
            output.append({"recordId": record["recordId"], "result": "Ok", "data": data})
        return {"records": output}
"""


def test_the_settings_of_the_sample_deliver_and_account_for_every_record(lake):
    lake.table("transactions", {"transaction_id": "string", "timestamp": "long", "amount": "decimal(12,2)", "status": "string"})
    function = create(lake.dynaberg.client("lambda"), SAMPLE_HANDLER)
    arn = lake.dynaberg.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    # 60 s in the sample: changed after it was checked, or the test would wait a minute.
    hints = {"IntervalInSeconds": 60, "SizeInMBs": 1}
    parameters = {
        "LambdaArn": f"{arn}:$LATEST",
        "BufferSizeInMBs": "1",
        "BufferIntervalInSeconds": "60",
        "NumberOfRetries": "3",
        "RoleArn": ROLE,
    }
    logging = {"Enabled": True, "LogGroupName": "/aws/firehose/transactions", "LogStreamName": "IcebergDelivery"}
    logs = lake.dynaberg.client("logs")
    place = {"logGroupName": logging["LogGroupName"], "logStreamName": logging["LogStreamName"]}
    logs.create_log_group(logGroupName=place["logGroupName"])
    logs.create_log_stream(**place)
    configuration = {
        "RoleARN": ROLE,
        "CatalogConfiguration": {"CatalogARN": catalog_arn(lake.bucket)},
        "DestinationTableConfigurationList": [
            {
                "DestinationDatabaseName": "analytics",
                "DestinationTableName": "transactions",
                "UniqueKeys": ["transaction_id"],
                "S3ErrorOutputPrefix": "errors/",
            }
        ],
        "BufferingHints": hints,
        "CloudWatchLoggingOptions": logging,
        "ProcessingConfiguration": processing(("Lambda", parameters)),
        "RetryOptions": {"DurationInSeconds": 300},
        "S3BackupMode": "FailedDataOnly",
        "S3Configuration": {
            "RoleARN": ROLE,
            "BucketARN": "arn:aws:s3:::failed",
            "ErrorOutputPrefix": "errors/sample/",
            "BufferingHints": hints,
            "CompressionFormat": "UNCOMPRESSED",
            "CloudWatchLoggingOptions": logging,
        },
    }
    lake.client.create_delivery_stream(
        DeliveryStreamName="sample", DeliveryStreamType="DirectPut", IcebergDestinationConfiguration=configuration
    )
    found = lake.client.describe_delivery_stream(DeliveryStreamName="sample")["DeliveryStreamDescription"]
    described = found["Destinations"][0]["IcebergDestinationDescription"]
    for name, value in configuration.items():
        shown = described["S3DestinationDescription"] if name == "S3Configuration" else described[name]
        assert value == ({key: shown[key] for key in value} if isinstance(value, dict) else shown), name

    at_once = {"IntervalInSeconds": 0, "SizeInMBs": 1}
    lake.client.update_destination(
        DeliveryStreamName="sample",
        CurrentDeliveryStreamVersionId=found["VersionId"],
        DestinationId=found["Destinations"][0]["DestinationId"],
        IcebergDestinationUpdate={
            "BufferingHints": at_once,
            "S3Configuration": s3(),
            "ProcessingConfiguration": processing(("Lambda", {**parameters, "BufferIntervalInSeconds": "0"})),
        },
    )
    statuses = ["APPROVED"] * 6 + ["TEST", "LOST", "TWICE", "BAD"]
    records = [
        {"transaction_id": f"TXN_{number}", "timestamp": number, "amount": "10.25", "status": status}
        for number, status in enumerate(statuses)
    ]
    put(lake.client, "sample", records)
    found = settled(lake.dynaberg, "sample", 10)
    outcome = [found[f"{name}_records_total"] for name in ("delivered", "dropped", "failed")]
    assert outcome == [6, 1, 3]
    rows = sorted(lake.rows("transactions"), key=lambda row: row["timestamp"])
    assert [row["transaction_id"] for row in rows] == [f"TXN_{number}" for number in range(6)]
    assert {row["amount"] for row in rows} == {Decimal("10.25")}

    def told():
        lines = failures(lake.dynaberg, prefix="errors/sample/processing-failed/")
        return lines if len(lines) == 3 else None

    codes = sorted(line["errorCode"] for line in eventually(told))
    assert codes == ["Lambda.DuplicatedRecordId", "Lambda.MissingRecordId", "Lambda.ProcessingFailedStatus"]

    def logged():
        events = [json.loads(event["message"]) for event in logs.get_log_events(**place)["events"]]
        return events if len(events) == 3 else None

    assert sorted(event["errorCode"] for event in eventually(logged)) == codes
    assert all(event["deliveryStreamARN"].endswith(":deliverystream/sample") for event in logged())
    logs.delete_log_group(logGroupName=place["logGroupName"])


ROUTING_HANDLER = """
    import base64, json

    def handler(event, context):
        def answer(record):
            change = json.loads(base64.b64decode(record["data"]))
            data = base64.b64encode(json.dumps(change["row"]).encode()).decode()
            metadata = {"otfMetadata": {"destinationDatabaseName": "analytics", "destinationTableName": change["table"],
                        "operation": change["op"]}}
            return {"recordId": record["recordId"], "result": "Ok", "data": data, "metadata": metadata}
        return {"records": [answer(record) for record in event["records"]]}
"""


def test_a_function_says_where_its_records_go_and_what_they_do(lake):
    lake.table("by_function")
    function = create(lake.dynaberg.client("lambda"), ROUTING_HANDLER)
    arn = lake.dynaberg.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    parameters = {"LambdaArn": arn, "BufferIntervalInSeconds": "0"}
    lake.stream(
        "by-function",
        ("by_function", {"UniqueKeys": ["id"]}),
        ("other", {}),
        ProcessingConfiguration=processing(("Lambda", parameters)),
    )
    ops = [("insert", "a", 1), ("insert", "b", 2), ("update", "a", 3), ("delete", "b", 4), ("update", "c", 5)]
    put(lake.client, "by-function", [{"table": "by_function", "op": op, "row": {"id": key, "n": n}} for op, key, n in ops])
    settled(lake.dynaberg, "by-function", 5)
    assert sorted((row["id"], row["n"]) for row in lake.rows("by_function")) == [("a", 3), ("c", 5)]


def test_every_record_is_delivered_once_over_kills(tmp_path):
    data = tmp_path / "data"
    running = Dynaberg(data)
    arn = warehouse(running, "killed", {"counted": COLUMNS, "changed": COLUMNS})
    running.client("s3").create_bucket(Bucket="failed")
    settings = iceberg("killed", ("counted", {}), ("changed", {"UniqueKeys": ["id"]}), **query(table=".to"))
    running.client("firehose").create_delivery_stream(
        DeliveryStreamName="killed", IcebergDestinationConfiguration=settings
    )
    rng, sent, last, bad = random.Random(3), 0, {}, 0
    for _ in range(6):
        client = running.client("firehose")
        for _ in range(rng.randrange(3, 8)):
            batch = []
            for _ in range(100):
                key = f"k{rng.randrange(50)}"
                batch.append({"id": f"{sent}", "n": sent, "to": "counted"})
                batch.append({"id": key, "n": sent, "to": "changed", "op": "update"})
                last[key] = sent
                sent += 1
            batch.append({"id": "bad", "n": "many", "to": "counted"})
            bad += 1
            put(client, "killed", batch)
        running.kill()
        running = Dynaberg(data)
    try:
        found = settled(running, "killed", 2 * sent + bad)
        assert found["failed_records_total"] == bad
        rows = read_pyiceberg(running, "analytics.counted", arn)
        assert sorted(row["n"] for row in rows) == list(range(sent))
        rows = read_pyiceberg(running, "analytics.changed", arn)
        assert sorted((row["id"], row["n"]) for row in rows) == sorted(last.items())
        lines = eventually(lambda: len(failures(running)) == bad and failures(running))
        assert {line["errorCode"] for line in lines} == {"Iceberg.SchemaTypeMismatch"}
    finally:
        running.stop()


def test_records_in_error_objects_are_shown_and_put_again(lake):
    lake.table("mended")
    function = create(lake.dynaberg.client("lambda"), BROKEN_HANDLER)
    arn = lake.dynaberg.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    parameters = {"LambdaArn": arn, "BufferIntervalInSeconds": "0", "NumberOfRetries": "0"}
    with_function = processing(("Lambda", parameters))
    lake.stream("mended", ("mended", {}), ProcessingConfiguration=with_function)
    put(lake.client, "mended", [{"id": f"{number}", "n": number} for number in range(10)])
    put(lake.client, "mended", [b"never json"])
    settled(lake.dynaberg, "mended", 11)

    def shown(*arguments):
        return json.loads(lake.dynaberg.run("dlq", "firehose", "mended", *arguments, "--output", "json").stdout)

    code = "Lambda.FunctionError"
    eventually(lambda: shown().get(code, {}).get("records") == 11)
    refused = lake.dynaberg.run("dlq", "firehose", "mended", "--redrive", check=False)
    assert refused.returncode == 252 and "--code" in refused.stderr

    lake.client.update_destination(
        DeliveryStreamName="mended",
        CurrentDeliveryStreamVersionId="1",
        DestinationId="destinationId-000000000001",
        IcebergDestinationUpdate={"ProcessingConfiguration": {"Enabled": False}},
    )
    first = shown("--redrive", "--code", code, "--limit", "4")
    assert first == {"redriven": 4, "remaining": 7, "unreadable": 0}
    settled(lake.dynaberg, "mended", 15)
    assert shown()[code]["records"] == 7
    rest = shown("--redrive", "--code", code)
    assert rest == {"redriven": 7, "remaining": 0, "unreadable": 0}
    settled(lake.dynaberg, "mended", 22)
    assert sorted(row["n"] for row in lake.rows("mended")) == list(range(10))
    left = eventually(lambda: (found := shown()) and found)
    assert {name: found["records"] for name, found in left.items()} == {"Iceberg.InvalidRecordFormat": 1}


BROKEN_HANDLER = """
    def handler(event, context):
        raise ValueError("not today")
"""


def test_a_delivery_stream_that_is_made_again_goes_on_with_its_table_and_another_one_is_kept_out(lake):
    lake.table("again")
    for number in range(2):
        lake.stream("again", ("again", {}))
        put(lake.client, "again", [{"id": f"{number}", "n": number}])
        eventually(lambda: len(lake.rows("again")) == number + 1)
        if number == 0:
            lake.client.delete_delivery_stream(DeliveryStreamName="again")
    lake.stream("intruder", ("again", {}))
    put(lake.client, "intruder", [{"id": "x"}])

    def problem():
        description = lake.client.describe_delivery_stream(DeliveryStreamName="intruder")["DeliveryStreamDescription"]
        return description.get("FailureDescription", {}).get("Details")

    assert "deliverystream/again" in eventually(problem)
    assert sorted(row["n"] for row in lake.rows("again")) == [0, 1]
