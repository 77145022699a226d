"""Event source mappings by boto3: records of a DynamoDB stream, handed to a Python function."""

import json
import uuid

import pytest
from botocore.exceptions import ClientError

from dynaberg import Dynaberg, eventually
from functions import create

# Appends what it was handed to a file; fails where a record of the batch says so.
RECORDER = """
    import json, os

    PATH = {path!r}

    def image(record):
        return record["dynamodb"].get("NewImage", {{}})

    def handler(event, context):
        with open(PATH, "a") as out:
            out.write(json.dumps([context.aws_request_id, event["Records"]]) + "\\n")
        {body}
"""
FAIL_ON_POISON = """
        if any("poison" in image(record) for record in event["Records"]):
            raise ValueError("poison")
"""


class Recorded:
    """What a recording function was handed, batch by batch."""

    def __init__(self, functions, folder, body="", **settings):
        self.path = folder / f"{uuid.uuid4().hex}.jsonl"
        self.name = create(functions, RECORDER.format(path=str(self.path), body=body.strip()), **settings)

    @property
    def batches(self):
        if not self.path.exists():
            return []
        return [json.loads(line)[1] for line in self.path.read_text().splitlines()]

    @property
    def records(self):
        return [record for batch in self.batches for record in batch]

    @property
    def ids(self):
        return [record["dynamodb"]["Keys"]["id"]["S"] for record in self.records]


@pytest.fixture(scope="module")
def functions(dynaberg):
    return dynaberg.client("lambda")


@pytest.fixture
def table(dynaberg):
    return make_table(dynaberg)


def make_table(dynaberg):
    """A table with a stream, as a boto3 resource."""
    return dynaberg.resource("dynamodb").create_table(
        TableName=f"orders-{uuid.uuid4().hex[:8]}",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


def put(table, ids, **attributes):
    for item_id in ids:
        table.put_item(Item={"id": item_id, **attributes})


def connect(functions, recorded, table, **settings):
    """Creates a mapping and gives its id."""
    return functions.create_event_source_mapping(
        **{
            "EventSourceArn": table.latest_stream_arn,
            "FunctionName": recorded.name,
            "StartingPosition": "TRIM_HORIZON",
            **settings,
        }
    )["UUID"]


def test_a_mapping_lives_from_its_creation_to_its_deletion(functions, table, tmp_path):
    recorded = Recorded(functions, tmp_path)
    created = functions.create_event_source_mapping(
        EventSourceArn=table.latest_stream_arn,
        FunctionName=recorded.name,
        StartingPosition="TRIM_HORIZON",
        BatchSize=100,
        MaximumRetryAttempts=3,
        BisectBatchOnFunctionError=True,
        FilterCriteria={"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]},
    )
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (created["State"], created["BatchSize"], created["ParallelizationFactor"]) == ("Creating", 100, 1)
    assert created["FunctionArn"].endswith(f":function:{recorded.name}")
    mapping = created["UUID"]
    found = functions.get_event_source_mapping(UUID=mapping)
    assert (found["State"], found["MaximumRetryAttempts"]) == ("Enabled", 3)
    for question in ({"FunctionName": recorded.name}, {"EventSourceArn": table.latest_stream_arn}):
        listed = functions.list_event_source_mappings(**question)["EventSourceMappings"]
        assert [entry["UUID"] for entry in listed] == [mapping]
    with pytest.raises(functions.exceptions.ResourceConflictException, match=mapping):
        connect(functions, recorded, table)

    put(table, ["a"])
    eventually(lambda: recorded.ids == ["a"])
    assert eventually(lambda: functions.get_event_source_mapping(UUID=mapping)["LastProcessingResult"] == "OK")
    updated = functions.update_event_source_mapping(UUID=mapping, Enabled=False, BatchSize=7)
    assert (updated["State"], updated["BatchSize"]) == ("Updating", 7)
    assert functions.get_event_source_mapping(UUID=mapping)["State"] == "Disabled"
    put(table, ["b"])
    functions.update_event_source_mapping(UUID=mapping, Enabled=True)
    eventually(lambda: recorded.ids == ["a", "b"])
    assert functions.delete_event_source_mapping(UUID=mapping)["State"] == "Deleting"
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_event_source_mapping(UUID=mapping)


def test_records_arrive_as_lambda_hands_them_over_and_in_order(functions, table, tmp_path):
    recorded = Recorded(functions, tmp_path)
    connect(functions, recorded, table, BatchSize=10)
    for version in range(30):
        table.put_item(Item={"id": "one", "version": version})
    table.delete_item(Key={"id": "one"})
    eventually(lambda: len(recorded.records) >= 31)
    assert [record["eventName"] for record in recorded.records] == ["INSERT"] + ["MODIFY"] * 29 + ["REMOVE"]
    versions = [record["dynamodb"]["NewImage"]["version"]["N"] for record in recorded.records[:-1]]
    assert versions == [str(version) for version in range(30)]
    record = recorded.records[1]
    assert record["eventSource"] == "aws:dynamodb" and record["awsRegion"] == "us-east-1"
    assert record["eventSourceARN"] == table.latest_stream_arn
    assert record["dynamodb"]["OldImage"]["version"] == {"N": "0"}
    assert record["dynamodb"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert isinstance(record["dynamodb"]["ApproximateCreationDateTime"], (int, float))
    assert all(len(batch) <= 10 for batch in recorded.batches)


def test_latest_hands_over_what_is_written_after_the_mapping_was_made(functions, table, tmp_path):
    recorded = Recorded(functions, tmp_path)
    put(table, ["before-1", "before-2"])
    connect(functions, recorded, table, StartingPosition="LATEST")
    put(table, ["after-1", "after-2"])
    eventually(lambda: len(recorded.ids) >= 2)
    assert sorted(recorded.ids) == ["after-1", "after-2"]


def test_a_window_gathers_a_batch(functions, table, tmp_path):
    recorded = Recorded(functions, tmp_path)
    connect(functions, recorded, table, BatchSize=1000, MaximumBatchingWindowInSeconds=3)
    for version in range(20):
        table.put_item(Item={"id": "one", "version": version})
    eventually(lambda: len(recorded.records) == 20)
    assert len(recorded.batches) <= 2


def test_filters_hold_back_what_they_do_not_describe(functions, table, tmp_path):
    recorded = Recorded(functions, tmp_path)
    patterns = [
        {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": [{"prefix": "ord"}]}}}},
        {"eventName": ["REMOVE"]},
    ]
    filters = [{"Pattern": json.dumps(pattern)} for pattern in patterns]
    connect(functions, recorded, table, FilterCriteria={"Filters": filters})
    put(table, ["1"], kind="order")
    put(table, ["2"], kind="refund")
    put(table, ["1"], kind="order", changed=True)
    table.delete_item(Key={"id": "2"})
    put(table, ["3"], kind="ordinary")
    eventually(lambda: len(recorded.ids) >= 3)
    assert sorted((record["eventName"], record["dynamodb"]["Keys"]["id"]["S"]) for record in recorded.records) == [
        ("INSERT", "1"),
        ("INSERT", "3"),
        ("REMOVE", "2"),
    ]


def test_a_failing_batch_is_bisected_down_to_its_record_which_goes_to_s3_with_its_payload(
    dynaberg, functions, table, tmp_path
):
    bucket = f"failed-{uuid.uuid4().hex[:8]}"
    s3 = dynaberg.client("s3")
    s3.create_bucket(Bucket=bucket)
    # One item, so that all records are of one shard, and its third version is the bad one.
    for version in range(8):
        table.put_item(Item={"id": "one", "version": version, **({"poison": True} if version == 2 else {})})
    recorded = Recorded(functions, tmp_path, FAIL_ON_POISON)
    mapping = connect(
        functions,
        recorded,
        table,
        BatchSize=100,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}},
    )
    listing = eventually(lambda: s3.list_objects_v2(Bucket=bucket).get("Contents"))
    key = listing[0]["Key"]
    assert len(listing) == 1 and key.startswith(f"aws/lambda/{mapping}/shardId-")
    message = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    assert message["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert message["requestContext"]["functionArn"].endswith(f":function:{recorded.name}")
    # 8, 4, 2 and then 1, which is tried once more.
    assert message["requestContext"]["approximateInvokeCount"] == 5
    assert message["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    info = message["DDBStreamBatchInfo"]
    assert (info["batchSize"], info["streamArn"]) == (1, table.latest_stream_arn)
    (failed,) = json.loads(message["payload"])["Records"]
    assert failed["dynamodb"]["NewImage"]["version"] == {"N": "2"}
    assert info["startSequenceNumber"] == info["endSequenceNumber"] == failed["dynamodb"]["SequenceNumber"]

    def taken():
        good = [batch for batch in recorded.batches if all("poison" not in r["dynamodb"]["NewImage"] for r in batch)]
        return [record["dynamodb"]["NewImage"]["version"]["N"] for batch in good for record in batch]

    eventually(lambda: len(taken()) >= 7)
    assert taken() == ["0", "1", "3", "4", "5", "6", "7"]


def test_a_record_too_many_times_refused_blocks_its_shard_only_as_long_as_it_may(functions, table, tmp_path):
    recorded = Recorded(functions, tmp_path, FAIL_ON_POISON)
    connect(functions, recorded, table, BatchSize=1, MaximumRetryAttempts=2)
    put(table, ["one"], poison=True)
    table.put_item(Item={"id": "one"})
    eventually(lambda: len(recorded.batches) >= 4)
    assert ["poison" in record["dynamodb"]["NewImage"] for record in recorded.records] == [True, True, True, False]


def test_partial_batch_responses_go_on_at_the_first_failed_record(functions, table, tmp_path):
    recorded = Recorded(
        functions,
        tmp_path,
        """
        failed = [r["dynamodb"]["SequenceNumber"] for r in event["Records"] if "poison" in image(r)]
        return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
        """,
    )
    for version in range(6):
        table.put_item(Item={"id": "one", "version": version, **({"poison": True} if version == 3 else {})})
    connect(
        functions, recorded, table, MaximumRetryAttempts=2, FunctionResponseTypes=["ReportBatchItemFailures"]
    )

    def seen():
        return [[int(r["dynamodb"]["NewImage"]["version"]["N"]) for r in batch] for batch in recorded.batches]

    # All six, then from the bad one on as often as allowed; that rest is given up whole, as Lambda does it.
    eventually(lambda: len(seen()) >= 3)
    assert seen()[:3] == [[0, 1, 2, 3, 4, 5], [3, 4, 5], [3, 4, 5]]
    table.put_item(Item={"id": "one", "version": 6})
    eventually(lambda: seen()[-1] == [6])


def test_more_lanes_keep_the_records_of_each_item_in_order(functions, table, tmp_path):
    recorded = Recorded(functions, tmp_path, "import time; time.sleep(0.01)")
    connect(functions, recorded, table, BatchSize=5, ParallelizationFactor=4)
    for version in range(20):
        for item in range(6):
            table.put_item(Item={"id": f"item-{item}", "version": version})
    eventually(lambda: len(recorded.records) >= 120)
    for item in range(6):
        versions = [
            int(record["dynamodb"]["NewImage"]["version"]["N"])
            for record in recorded.records
            if record["dynamodb"]["Keys"]["id"]["S"] == f"item-{item}"
        ]
        assert versions == list(range(20)), item


def test_a_function_that_is_throttled_or_gone_loses_nothing(functions, table, tmp_path):
    recorded = Recorded(functions, tmp_path)
    functions.put_function_concurrency(FunctionName=recorded.name, ReservedConcurrentExecutions=0)
    mapping = connect(functions, recorded, table, MaximumRetryAttempts=0)
    put(table, ["a", "b"])
    eventually(lambda: "Rate Exceeded" in functions.get_event_source_mapping(UUID=mapping)["LastProcessingResult"])
    functions.delete_function_concurrency(FunctionName=recorded.name)
    eventually(lambda: sorted(recorded.ids) == ["a", "b"])


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 0}, "InvalidParameterValueException"),
        ({"BatchSize": 10_001}, "ValidationException"),
        ({"ParallelizationFactor": 11}, "ValidationException"),
        ({"MaximumRetryAttempts": 10_001}, "ValidationException"),
        ({"MaximumRecordAgeInSeconds": 59}, "InvalidParameterValueException"),
        ({"TumblingWindowInSeconds": 901}, "ValidationException"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"a": 1}'}]}}, "InvalidParameterValueException"),
        ({"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sns:us-east-1:000000000000:topic"}}},
         "InvalidParameterValueException"),
        ({"FunctionName": "no-such-function"}, "ResourceNotFoundException"),
        ({"EventSourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/none/stream/2026-01-01T00:00:00.000"},
         "InvalidParameterValueException"),
        ({"EventSourceArn": "arn:aws:kafka:us-east-1:000000000000:cluster/x/y"}, "InvalidParameterValueException"),
        ({"ScalingConfig": {"MaximumConcurrency": 2}}, "InvalidParameterValueException"),
    ],
)
def test_what_cannot_be_is_refused_by_name(functions, table, tmp_path, settings, code):
    recorded = Recorded(functions, tmp_path)
    with pytest.raises(ClientError) as caught:
        connect(functions, recorded, table, **settings)
    assert caught.value.response["Error"]["Code"] == code, caught.value


def test_kills_at_any_moment_lose_no_record_and_keep_the_order_of_each_item(tmp_path):
    running = Dynaberg(tmp_path / "data", options=["--shard-rotation", "2s"])
    recorded = Recorded(running.client("lambda"), tmp_path)
    table = make_table(running)
    connect(running.client("lambda"), recorded, table, BatchSize=3)
    written = 0
    for round_ in range(4):
        for _ in range(40):
            running.resource("dynamodb").Table(table.name).put_item(
                Item={"id": f"item-{written % 4}", "version": written}
            )
            written += 1
        eventually(lambda: len(recorded.batches) > 3 * round_)
        running.kill()
        running = Dynaberg(tmp_path / "data", options=["--shard-rotation", "2s"])
    try:

        def versions(item):
            """Each version as it was seen first: a batch may be handed over twice, but never before its time."""
            seen = [
                int(record["dynamodb"]["NewImage"]["version"]["N"])
                for record in recorded.records
                if record["dynamodb"]["Keys"]["id"]["S"] == item
            ]
            return list(dict.fromkeys(seen))

        for item in range(4):
            expected = list(range(item, written, 4))
            eventually(lambda: len(versions(f"item-{item}")) >= len(expected))
            assert versions(f"item-{item}") == expected
    finally:
        running.stop()
