"""Lambda with SQS: queues as event sources, as on-failure destinations of streams and as dead-letter queues."""

import itertools
import json
import sqlite3
import time
import uuid

import pytest
from botocore.exceptions import ClientError

from dynaberg import Dynaberg, eventually
from functions import create
from test_event_source_mappings import FAIL_ON_POISON, Recorded, connect, make_table

FAIL_ON_BAD_BODY = """
        if any(record["body"] == "bad" for record in event["Records"]):
            raise ValueError("bad body")
"""
REPORT_BAD_BODY = """
        failed = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
        return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}
"""


@pytest.fixture(scope="module")
def functions(dynaberg):
    return dynaberg.client("lambda")


@pytest.fixture(scope="module")
def sqs(dynaberg):
    return dynaberg.client("sqs")


def make_queue(sqs, name=None, **attributes):
    """A queue's URL and ARN."""
    name = name or f"queue-{uuid.uuid4().hex[:8]}"
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def receive(sqs, url):
    """One message, waited for."""
    deadline = time.monotonic() + 60
    while True:
        answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2, MessageAttributeNames=["All"])
        if messages := answer.get("Messages"):
            return messages[0]
        assert time.monotonic() < deadline, "no message"


def is_empty(sqs, url):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return all(found[name] == "0" for name in names)


def listen(functions, recorded, arn, **settings):
    settings = {"EventSourceArn": arn, "FunctionName": recorded.name, **settings}
    return functions.create_event_source_mapping(**settings)["UUID"]


def test_messages_are_handed_over_as_lambda_does_and_deleted(functions, sqs, tmp_path):
    url, arn = make_queue(sqs)
    recorded = Recorded(functions, tmp_path)
    listen(functions, recorded, arn)
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="hello", MessageAttributes={"kind": {"DataType": "String", "StringValue": "greeting"}}
    )
    (record,) = eventually(lambda: recorded.records)
    assert record["messageId"] == sent["MessageId"] and record["body"] == "hello"
    assert record["md5OfBody"] == sent["MD5OfMessageBody"]
    assert record["eventSource"] == "aws:sqs" and record["eventSourceARN"] == arn
    assert record["awsRegion"] == "us-east-1" and record["receiptHandle"]
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert {"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"} <= record["attributes"].keys()
    kind = record["messageAttributes"]["kind"]
    assert (kind["stringValue"], kind["dataType"], kind["stringListValues"]) == ("greeting", "String", [])
    eventually(lambda: is_empty(sqs, url))


def test_failed_messages_come_back_and_end_in_the_queue_s_own_dead_letter_queue(functions, sqs, tmp_path):
    dead_url, dead_arn = make_queue(sqs)
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 2})
    url, arn = make_queue(sqs, RedrivePolicy=redrive, VisibilityTimeout="1")
    recorded = Recorded(functions, tmp_path, FAIL_ON_BAD_BODY)
    listen(functions, recorded, arn, BatchSize=1)
    for body in ("good", "bad"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    assert receive(sqs, dead_url)["Body"] == "bad"
    assert [record["body"] for record in recorded.records].count("bad") == 2
    eventually(lambda: is_empty(sqs, url))


def test_only_the_messages_that_a_function_names_come_back(functions, sqs, tmp_path):
    dead_url, dead_arn = make_queue(sqs)
    redrive = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1})
    url, arn = make_queue(sqs, RedrivePolicy=redrive, VisibilityTimeout="1")
    for body in ("one", "bad", "two"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    recorded = Recorded(functions, tmp_path, REPORT_BAD_BODY)
    listen(functions, recorded, arn, FunctionResponseTypes=["ReportBatchItemFailures"])
    assert receive(sqs, dead_url)["Body"] == "bad"
    eventually(lambda: is_empty(sqs, url))
    assert sorted(record["body"] for record in recorded.records) == ["bad", "one", "two"]


def test_a_filter_looks_into_bodies_that_are_json_and_drops_what_it_does_not_describe(functions, sqs, tmp_path):
    url, arn = make_queue(sqs)
    recorded = Recorded(functions, tmp_path)
    pattern = json.dumps({"body": {"total": [{"numeric": [">", 10]}]}})
    listen(functions, recorded, arn, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    for body in ('{"total": 11}', '{"total": 10}', "no json"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    eventually(lambda: recorded.records and is_empty(sqs, url))
    assert [record["body"] for record in recorded.records] == ['{"total": 11}']


def test_no_more_batches_are_in_the_function_than_the_mapping_allows(functions, sqs, tmp_path):
    url, arn = make_queue(sqs)
    body = """
        import time
        with open(PATH + ".running", "a") as out:
            out.write("1\\n")
        time.sleep(0.2)
        with open(PATH + ".running", "a") as out:
            out.write("-1\\n")
    """
    recorded = Recorded(functions, tmp_path, body)
    for number in range(5):
        entries = [{"Id": str(entry), "MessageBody": f"{number}-{entry}"} for entry in range(10)]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)
    listen(functions, recorded, arn, BatchSize=1, ScalingConfig={"MaximumConcurrency": 3})
    eventually(lambda: is_empty(sqs, url))
    assert sorted(record["body"] for record in recorded.records) == sorted(
        f"{number}-{entry}" for number in range(5) for entry in range(10)
    )
    # Lines that short are appended whole, in the order in which things happened.
    path = recorded.path.with_name(recorded.path.name + ".running")
    running = list(itertools.accumulate(int(line) for line in path.read_text().splitlines()))
    assert len(running) == 100 and running[-1] == 0 and max(running) <= 3


def test_groups_of_a_fifo_queue_stay_in_order(functions, sqs, tmp_path):
    url, arn = make_queue(sqs, name=f"queue-{uuid.uuid4().hex[:8]}.fifo", FifoQueue="true")
    recorded = Recorded(functions, tmp_path)
    listen(functions, recorded, arn)
    for number in range(12):
        sqs.send_message(
            QueueUrl=url, MessageBody=str(number), MessageGroupId=f"g{number % 2}", MessageDeduplicationId=str(number)
        )
    eventually(lambda: len(recorded.records) >= 12)
    for group in range(2):
        bodies = [r["body"] for r in recorded.records if r["attributes"]["MessageGroupId"] == f"g{group}"]
        assert bodies == [str(number) for number in range(group, 12, 2)]


def test_a_handler_forwards_records_of_a_stream_with_boto3(dynaberg, functions, sqs):
    """As the AWS sample does it: batch 100 from TRIM_HORIZON, each new image sent on by the handler's own client."""
    url, _ = make_queue(sqs)
    table = make_table(dynaberg)
    for number in range(5):
        table.put_item(Item={"id": f"item-{number}"})
    forwarder = """
        import json, os
        import boto3

        sqs = boto3.client("sqs")

        def handler(event, context):
            for record in event["Records"]:
                image = record["dynamodb"]["NewImage"]
                sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(image))
            return {"statusCode": 200, "body": len(event["Records"])}
    """
    name = create(functions, forwarder, Timeout=180, Environment={"Variables": {"QUEUE": url}})
    functions.create_event_source_mapping(
        EventSourceArn=table.latest_stream_arn, FunctionName=name, StartingPosition="TRIM_HORIZON", BatchSize=100
    )
    seen = set()
    while len(seen) < 5:
        seen.add(json.loads(receive(sqs, url)["Body"])["id"]["S"])
    assert seen == {f"item-{number}" for number in range(5)}


def test_what_queues_do_not_have_is_refused(functions, sqs, tmp_path):
    _, arn = make_queue(sqs)
    recorded = Recorded(functions, tmp_path)
    for settings in (
        {"StartingPosition": "LATEST"},
        {"BisectBatchOnFunctionError": True},
        {"BatchSize": 11},
        {"EventSourceArn": f"{arn}-which-is-not-there"},
    ):
        with pytest.raises(ClientError):
            listen(functions, recorded, **{"arn": arn, **settings})


def test_a_batch_of_a_stream_that_is_given_up_is_told_to_a_queue_in_lambda_s_shape(dynaberg, functions, sqs, tmp_path):
    url, arn = make_queue(sqs)
    table = make_table(dynaberg)
    for version in range(6):
        table.put_item(Item={"id": "one", "version": version, **({"poison": True} if version == 4 else {})})
    recorded = Recorded(functions, tmp_path, FAIL_ON_POISON)
    connect(
        functions,
        recorded,
        table,
        BatchSize=100,
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    message = json.loads(receive(sqs, url)["Body"])
    poison = next(r for r in recorded.records if "poison" in r["dynamodb"]["NewImage"])
    number = poison["dynamodb"]["SequenceNumber"]
    context, info = message["requestContext"], message["DDBStreamBatchInfo"]
    assert context["functionArn"].endswith(f":function:{recorded.name}") and uuid.UUID(context["requestId"])
    assert (context["condition"], message["version"]) == ("RetryAttemptsExhausted", "1.0")
    assert message["responseContext"]["functionError"] == "Unhandled"
    assert (info["startSequenceNumber"], info["endSequenceNumber"], info["batchSize"]) == (number, number, 1)
    assert info["streamArn"] == table.latest_stream_arn and info["shardId"].startswith("shardId-")
    assert info["approximateArrivalOfFirstRecord"] == info["approximateArrivalOfLastRecord"]
    assert "payload" not in message, "only S3 gets the records"


def test_an_event_that_failed_three_times_goes_to_the_function_s_dead_letter_queue(tmp_path):
    running = Dynaberg(tmp_path / "data")
    try:
        functions, sqs = running.client("lambda"), running.client("sqs")
        url, arn = make_queue(sqs, name="letters")
        name = create(
            functions, "def handler(event, context): raise ValueError('no')", DeadLetterConfig={"TargetArn": arn}
        )
        sent = functions.invoke(FunctionName=name, InvocationType="Event", Payload='{"n": 1}')
        database = tmp_path / "data" / "lambda" / "lambda.sqlite"

        def failures():
            with sqlite3.connect(database) as connection:
                return [count for (count,) in connection.execute("SELECT failures FROM event")]

        eventually(lambda: failures() == [1])
        running.kill()
        # Two minutes later, and after the second try.
        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE event SET failures = 2, due_ms = 0")
        connection.close()
        running = Dynaberg(tmp_path / "data")
        message = receive(running.client("sqs"), f"{running.endpoint}/000000000000/letters")
        assert json.loads(message["Body"]) == {"n": 1}
        attributes = {key: value["StringValue"] for key, value in message["MessageAttributes"].items()}
        assert attributes["RequestID"] == sent["ResponseMetadata"]["RequestId"]
        assert "ValueError" in attributes["ErrorMessage"]
        eventually(lambda: failures() == [])
    finally:
        running.stop()
