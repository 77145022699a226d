"""Event source mappings by boto3: records of a Kinesis stream, and tumbling windows of any stream."""

import base64
import datetime
import json
import time
import uuid

import pytest
from botocore.exceptions import ClientError

from dynaberg import Dynaberg, eventually
from functions import ROLE
from test_event_source_mappings import Recorded as RecordedChanges
from test_event_source_mappings import make_table

# A record's data, as JSON where it is some.
DATA = """
        import base64
        data = [json.loads(base64.b64decode(record["kinesis"]["data"])) for record in event["Records"]]
"""


class Recorded(RecordedChanges):
    @property
    def data(self):
        return [json.loads(base64.b64decode(record["kinesis"]["data"])) for record in self.records]


@pytest.fixture(scope="module")
def functions(dynaberg):
    return dynaberg.client("lambda")


@pytest.fixture(scope="module")
def kinesis(dynaberg):
    return dynaberg.client("kinesis")


@pytest.fixture
def stream(kinesis):
    return make_stream(kinesis)


@pytest.fixture(scope="module", autouse=True)
def aging(kinesis):
    """A stream with records of the beginning of these tests: a record's age is limited to a minute at the least."""
    stream = make_stream(kinesis)
    stream.put("old", "older")
    return stream, time.time()


class Stream:
    """A stream of one shard or more."""

    def __init__(self, kinesis, name):
        self.kinesis, self.name = kinesis, name
        self.arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]

    def put(self, *values, key="one"):
        entries = [{"Data": json.dumps(value).encode(), "PartitionKey": key} for value in values]
        assert self.kinesis.put_records(StreamName=self.name, Records=entries)["FailedRecordCount"] == 0


def make_stream(kinesis, shards=1):
    name = f"events-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})
    return Stream(kinesis, name)


def connect(functions, recorded, stream, **settings):
    return functions.create_event_source_mapping(
        **{
            "EventSourceArn": stream.arn,
            "FunctionName": recorded.name,
            "StartingPosition": "TRIM_HORIZON",
            **settings,
        }
    )["UUID"]


def test_records_arrive_as_lambda_hands_them_over_and_in_order(functions, stream, tmp_path):
    recorded = Recorded(functions, tmp_path)
    stream.put(*range(30))
    connect(functions, recorded, stream, BatchSize=10)
    eventually(lambda: len(recorded.records) >= 30)
    assert recorded.data == list(range(30))
    assert [len(batch) for batch in recorded.batches] == [10, 10, 10]
    record = recorded.records[0]
    number = record["kinesis"]["sequenceNumber"]
    assert record == {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "one",
            "sequenceNumber": number,
            "data": base64.b64encode(b"0").decode(),
            "approximateArrivalTimestamp": record["kinesis"]["approximateArrivalTimestamp"],
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": ROLE,
        "awsRegion": "us-east-1",
        "eventSourceARN": stream.arn,
    }
    assert abs(record["kinesis"]["approximateArrivalTimestamp"] - time.time()) < 120


def test_latest_hands_over_what_is_put_after_the_mapping_was_made(functions, stream, tmp_path):
    recorded = Recorded(functions, tmp_path)
    stream.put("before")
    connect(functions, recorded, stream, StartingPosition="LATEST")
    stream.put("after")
    eventually(lambda: recorded.data == ["after"])


def test_a_moment_hands_over_what_arrived_since(functions, stream, kinesis, tmp_path):
    stream.put("first", "second")
    listed = kinesis.list_shards(StreamName=stream.name)["Shards"]
    found = kinesis.get_shard_iterator(
        StreamName=stream.name, ShardId=listed[0]["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )
    arrived = kinesis.get_records(ShardIterator=found["ShardIterator"])["Records"][0]["ApproximateArrivalTimestamp"]
    moment = arrived + datetime.timedelta(milliseconds=1)
    # The clock of arrivals has to be past it.
    while (now := datetime.datetime.now(datetime.timezone.utc)) <= moment:
        pass
    assert now > moment
    stream.put("third")
    recorded = Recorded(functions, tmp_path)
    mapping = connect(
        functions, recorded, stream, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=now
    )
    shown = functions.get_event_source_mapping(UUID=mapping)
    assert shown["StartingPosition"] == "AT_TIMESTAMP"
    assert abs((shown["StartingPositionTimestamp"] - now).total_seconds()) < 1
    eventually(lambda: recorded.data == ["third"])


def test_filters_look_into_the_data_and_drop_what_is_not_json(functions, stream, kinesis, tmp_path):
    recorded = Recorded(functions, tmp_path)
    pattern = {"data": {"order": {"type": ["buy"], "quantity": [{"numeric": [">", 10]}]}}}
    connect(functions, recorded, stream, FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]})
    kinesis.put_record(StreamName=stream.name, Data=b"no JSON", PartitionKey="one")
    orders = [("sell", 100), ("buy", 5), ("buy", 11), ("buy", 12)]
    stream.put(*({"order": {"type": kind, "quantity": quantity}} for kind, quantity in orders))
    eventually(lambda: len(recorded.records) >= 2)
    assert [record["order"]["quantity"] for record in recorded.data] == [11, 12]


def test_a_failing_batch_is_bisected_down_to_its_record_which_the_queue_is_told_of(
    dynaberg, functions, stream, tmp_path
):
    sqs = dynaberg.client("sqs")
    url = sqs.create_queue(QueueName=f"failed-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    stream.put(*range(8))
    recorded = Recorded(functions, tmp_path, DATA + "        if 2 in data: raise ValueError('poison')")
    connect(
        functions,
        recorded,
        stream,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    (told,) = eventually(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    message = json.loads(told["Body"])
    assert message["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert message["requestContext"]["approximateInvokeCount"] == 5
    info = message["KinesisBatchInfo"]
    assert (info["shardId"], info["batchSize"], info["streamArn"]) == ("shardId-000000000000", 1, stream.arn)
    assert "DDBStreamBatchInfo" not in message
    bad = [record for record in recorded.records if base64.b64decode(record["kinesis"]["data"]) == b"2"]
    assert info["startSequenceNumber"] == info["endSequenceNumber"] == bad[0]["kinesis"]["sequenceNumber"]

    def taken():
        batches = [[base64.b64decode(r["kinesis"]["data"]) for r in batch] for batch in recorded.batches]
        return [int(data) for batch in batches if b"2" not in batch for data in batch]

    eventually(lambda: taken() == [0, 1, 3, 4, 5, 6, 7])


def test_partial_batch_responses_go_on_at_the_first_failed_record(functions, stream, tmp_path):
    recorded = Recorded(
        functions,
        tmp_path,
        DATA
        + """
        failed = [r["kinesis"]["sequenceNumber"] for r, d in zip(event["Records"], data) if d == 3]
        return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
        """,
    )
    stream.put(*range(6))
    connect(functions, recorded, stream, MaximumRetryAttempts=2, FunctionResponseTypes=["ReportBatchItemFailures"])
    eventually(lambda: len(recorded.batches) >= 3)
    assert recorded.data == [0, 1, 2, 3, 4, 5, 3, 4, 5, 3, 4, 5]


def test_children_of_a_shard_are_read_after_it(functions, stream, kinesis, tmp_path):
    recorded = Recorded(functions, tmp_path)
    connect(functions, recorded, stream, BatchSize=7)
    for round_ in range(3):
        stream.put(*range(round_ * 20, round_ * 20 + 20))
        kinesis.update_shard_count(
            StreamName=stream.name, TargetShardCount=2 - round_ % 2, ScalingType="UNIFORM_SCALING"
        )
        kinesis.get_waiter("stream_exists").wait(
            StreamName=stream.name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100}
        )
    stream.put(*range(60, 80))
    eventually(lambda: len(recorded.records) >= 80)
    assert recorded.data == list(range(80))


# Counts, and says what it was when its window is over.
COUNTER = """
        import time
        state = dict(event["state"])
        state["count"] = state.get("count", 0) + len(event["Records"])
        state["times"] = state.get("times", 0) + 1
        with open(PATH + ".windows", "a") as out:
            out.write(json.dumps({k: v for k, v in event.items() if k != "Records"} | {"now": time.time()}) + "\\n")
        return {"state": state}
"""


def windows(recorded):
    """What each invocation was told of its window, beside how many records it got."""
    path = recorded.path.with_name(recorded.path.name + ".windows")
    told = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [window | {"records": len(batch)} for window, batch in zip(told, recorded.batches)]


def closed(recorded):
    return [window for window in windows(recorded) if window["isFinalInvokeForWindow"]]


def counted(recorded):
    return sum(window["state"]["count"] for window in closed(recorded))


@pytest.mark.parametrize("source", ["kinesis", "dynamodb"])
def test_a_tumbling_window_adds_up_over_batches_and_ends_with_a_last_invocation(
    dynaberg, functions, kinesis, tmp_path, source
):
    recorded = Recorded(functions, tmp_path, COUNTER)
    if source == "kinesis":
        stream = make_stream(kinesis)
        arn, put = stream.arn, stream.put
    else:
        table = make_table(dynaberg)
        arn = table.latest_stream_arn

        def put(*values):
            for value in values:
                table.put_item(Item={"id": "one", "version": value})

    mapping = functions.create_event_source_mapping(
        EventSourceArn=arn,
        FunctionName=recorded.name,
        StartingPosition="TRIM_HORIZON",
        BatchSize=4,
        TumblingWindowInSeconds=5,
    )
    assert mapping["TumblingWindowInSeconds"] == 5
    for count in (10, 15):
        put(*range(count))
        eventually(lambda: counted(recorded) == (10 if count == 10 else 25))
    # However the records fell into windows.
    for last in closed(recorded):
        start, end = (datetime.datetime.fromisoformat(last["window"][edge]) for edge in ("start", "end"))
        assert (end - start).total_seconds() == 5 and start.timestamp() % 5 == 0
        assert last["now"] >= end.timestamp() and last["records"] == 0
        assert last["eventSourceARN"] == arn and last["shardId"].startswith("shardId-")
        of_window = [window for window in windows(recorded) if window["window"] == last["window"]]
        assert sum(window["records"] for window in of_window) == last["state"]["count"]
        assert of_window[0]["state"] == {} and not of_window[0]["isWindowTerminatedEarly"]
        assert [window["state"].get("times", 0) for window in of_window] == list(range(len(of_window)))
    assert any(last["state"]["times"] > 1 for last in closed(recorded))


def test_a_state_that_is_too_long_ends_its_window_early(functions, stream, tmp_path):
    body = COUNTER.replace('return {"state"', 'state["text"] = "x" * (1 << 20)\n        return {"state"')
    recorded = Recorded(functions, tmp_path, body)
    connect(functions, recorded, stream, TumblingWindowInSeconds=900)
    stream.put(1)
    (last,) = eventually(lambda: closed(recorded))
    assert last["isWindowTerminatedEarly"] and last["state"]["count"] == 1


def test_an_answer_without_a_state_is_a_failure(functions, stream, tmp_path):
    recorded = Recorded(functions, tmp_path)
    mapping = connect(functions, recorded, stream, TumblingWindowInSeconds=60)
    stream.put(1)
    eventually(lambda: len(recorded.batches) >= 2)
    result = functions.get_event_source_mapping(UUID=mapping)["LastProcessingResult"]
    assert result == "PROBLEM: Function call failed"


def test_a_window_goes_on_after_a_kill(tmp_path):
    running = Dynaberg(tmp_path / "data")
    recorded = Recorded(running.client("lambda"), tmp_path, COUNTER)
    stream = make_stream(running.client("kinesis"))
    connect(running.client("lambda"), recorded, stream, TumblingWindowInSeconds=20)
    stream.put(1, 2, 3)
    eventually(lambda: len(recorded.records) >= 3)
    # A batch whose end was not kept comes again, with the state from before it.
    running.kill()
    running = Dynaberg(tmp_path / "data")
    try:
        Stream(running.client("kinesis"), stream.name).put(4, 5)
        eventually(lambda: counted(recorded) == 5, timeout=90)
    finally:
        running.stop()


def test_records_that_are_too_old_are_given_up_and_the_others_go_on(dynaberg, functions, aging, tmp_path):
    stream, put_at = aging
    sqs = dynaberg.client("sqs")
    url = sqs.create_queue(QueueName=f"aged-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    recorded = Recorded(functions, tmp_path)
    eventually(lambda: time.time() > put_at + 61, timeout=90)
    stream.put("young")
    connect(
        functions,
        recorded,
        stream,
        MaximumRecordAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    (told,) = eventually(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    message = json.loads(told["Body"])
    assert message["requestContext"]["condition"] == "MaximumRecordAgeExceeded"
    assert message["requestContext"]["approximateInvokeCount"] == 0
    assert message["KinesisBatchInfo"]["batchSize"] == 2
    eventually(lambda: recorded.data == ["young"])


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"StartingPosition": "AT_TIMESTAMP"}, "InvalidParameterValueException"),
        ({"StartingPosition": "AT_TIMESTAMP", "StartingPositionTimestamp": 4_000_000_000}, "InvalidParameterValueException"),
        ({"StartingPositionTimestamp": 1}, "InvalidParameterValueException"),
        ({"TumblingWindowInSeconds": 901}, "ValidationException"),
        ({"TumblingWindowInSeconds": 30, "ParallelizationFactor": 2}, "InvalidParameterValueException"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"data": ["text"]}'}]}}, "InvalidParameterValueException"),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"partitionKey": ["1"]}'}]}}, "InvalidParameterValueException"),
        ({"EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/none"}, "InvalidParameterValueException"),
        (
            {"EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/some/consumer/c:1"},
            "InvalidParameterValueException",
        ),
        ({"ScalingConfig": {"MaximumConcurrency": 2}}, "InvalidParameterValueException"),
    ],
)
def test_what_cannot_be_is_refused_by_name(functions, stream, tmp_path, settings, code):
    recorded = Recorded(functions, tmp_path)
    with pytest.raises(ClientError) as caught:
        connect(functions, recorded, stream, **settings)
    assert caught.value.response["Error"]["Code"] == code, caught.value
