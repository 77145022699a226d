"""Standard queues of SQS. These tests would pass against AWS."""

import hashlib
import json
import threading
import time

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def sqs(dynaberg):
    return dynaberg.client("sqs")


@pytest.fixture
def queue(sqs, request):
    name = request.node.name.split("[")[0][-80:]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


def arn(sqs, url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def receive(sqs, url, **arguments):
    return sqs.receive_message(QueueUrl=url, **arguments).get("Messages", [])


def counts(sqs, url):
    names = ["", "Delayed", "NotVisible"]
    names = [f"ApproximateNumberOfMessages{name}" for name in names]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return tuple(int(attributes[name]) for name in names)


def refused(call, code, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert error.value.response["Error"]["Code"] == code, error.value
    return error.value


def test_a_message_is_sent_received_and_deleted(sqs, queue):
    sent = sqs.send_message(QueueUrl=queue, MessageBody="grüße\r\n<&>")
    assert sent["MD5OfMessageBody"] == hashlib.md5("grüße\r\n<&>".encode()).hexdigest()
    assert "SequenceNumber" not in sent
    (message,) = receive(sqs, queue, AttributeNames=["All"])
    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == "grüße\r\n<&>"
    attributes = message["Attributes"]
    assert attributes["ApproximateReceiveCount"] == "1"
    assert attributes.keys() == {
        "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
    }
    assert receive(sqs, queue) == []
    assert counts(sqs, queue) == (0, 0, 1)
    for _ in range(2):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert counts(sqs, queue) == (0, 0, 0)


def test_a_message_that_is_given_back_is_received_again(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    (first,) = receive(sqs, queue, VisibilityTimeout=600)
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    (second,) = receive(sqs, queue, AttributeNames=["ApproximateReceiveCount"])
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}
    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    # The handle of the last receive is the one that counts.
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
    assert counts(sqs, queue) == (0, 0, 1)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"])
    assert counts(sqs, queue) == (0, 0, 0)


def test_a_message_reappears_after_its_visibility_timeout(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    (first,) = receive(sqs, queue, VisibilityTimeout=1)
    (second,) = receive(sqs, queue, WaitTimeSeconds=10)
    assert second["MessageId"] == first["MessageId"]
    # Nobody else has it: the handle is good after its time, too.
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=second["ReceiptHandle"])
    assert counts(sqs, queue) == (0, 0, 0)


def test_visibility_changes_only_while_a_message_is_in_flight(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    (message,) = receive(sqs, queue)
    handle = {"QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"]}
    refused(sqs.change_message_visibility, "InvalidParameterValue", **handle, VisibilityTimeout=43_201)
    sqs.change_message_visibility(**handle, VisibilityTimeout=0)
    with pytest.raises(sqs.exceptions.MessageNotInflight):
        sqs.change_message_visibility(**handle, VisibilityTimeout=5)
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle="nonsense", VisibilityTimeout=5)


def test_a_delayed_message_comes_when_it_is_due(sqs, queue):
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=1)
    assert receive(sqs, queue) == []
    assert counts(sqs, queue) == (0, 1, 0)
    started = time.monotonic()
    (message,) = receive(sqs, queue, WaitTimeSeconds=10)
    assert message["Body"] == "later"
    assert time.monotonic() - started < 5
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "900"})
    sqs.send_message(QueueUrl=queue, MessageBody="much later")
    sqs.send_message(QueueUrl=queue, MessageBody="now", DelaySeconds=0)
    assert [message["Body"] for message in receive(sqs, queue)] == ["now"]


def test_a_long_poll_ends_as_soon_as_a_message_is_sent(sqs, queue):
    polled = {}

    def poll():
        polled["messages"] = receive(sqs, queue, WaitTimeSeconds=20)
        polled["at"] = time.monotonic()

    thread = threading.Thread(target=poll)
    thread.start()
    time.sleep(0.5)
    sent_at = time.monotonic()
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    thread.join(timeout=30)
    assert len(polled["messages"]) == 1
    assert polled["at"] - sent_at < 2


def test_a_long_poll_without_a_message_waits_its_time(sqs, queue):
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"ReceiveMessageWaitTimeSeconds": "1"})
    started = time.monotonic()
    assert receive(sqs, queue) == []
    assert time.monotonic() - started >= 0.9
    started = time.monotonic()
    assert receive(sqs, queue, WaitTimeSeconds=0) == []
    assert time.monotonic() - started < 0.9


def test_message_attributes_travel_along_and_are_chosen_by_name(sqs, queue):
    attributes = {
        "Hello": {"DataType": "String", "StringValue": "There"},
        "Help.Me": {"DataType": "String.json", "StringValue": "{}"},
        "Number": {"DataType": "Number", "StringValue": "1.50"},
        "Bytes": {"DataType": "Binary.png", "BinaryValue": b"\x00\xff"},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    # boto3 checks the digests of the answers by itself.
    sent = sqs.send_message(
        QueueUrl=queue, MessageBody="x", MessageAttributes=attributes, MessageSystemAttributes=trace
    )
    assert sent["MD5OfMessageAttributes"] and sent["MD5OfMessageSystemAttributes"]

    def chosen(*names):
        (message,) = receive(sqs, queue, VisibilityTimeout=0, MessageAttributeNames=list(names), AttributeNames=["All"])
        assert message["Attributes"]["AWSTraceHeader"] == trace["AWSTraceHeader"]["StringValue"]
        return message

    assert chosen("All")["MessageAttributes"] == attributes
    assert chosen("All")["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert chosen(".*")["MessageAttributes"] == attributes
    assert chosen("Help.*", "Number")["MessageAttributes"].keys() == {"Help.Me", "Number"}
    assert "MessageAttributes" not in chosen("Nothing")


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"a": {"DataType": "String", "StringValue": ""}}, "InvalidParameterValue"),
        ({"a": {"DataType": "Number", "StringValue": "x"}}, "InvalidParameterValue"),
        ({"a": {"DataType": "Text", "StringValue": "x"}}, "InvalidParameterValue"),
        ({"AWS.a": {"DataType": "String", "StringValue": "x"}}, "InvalidParameterValue"),
        ({f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}, "InvalidParameterValue"),
        ({"a": {"DataType": "String", "StringValue": "\x01"}}, "InvalidMessageContents"),
    ],
)
def test_attributes_that_aws_refuses_are_refused(sqs, queue, attributes, code):
    refused(sqs.send_message, code, QueueUrl=queue, MessageBody="x", MessageAttributes=attributes)


def test_messages_have_a_size_and_a_character_limit(sqs, queue):
    error = refused(sqs.send_message, "InvalidParameterValue", QueueUrl=queue, MessageBody="x" * 1_048_577)
    assert "Message must be shorter than 1048576 bytes." in str(error)
    sqs.send_message(QueueUrl=queue, MessageBody="x" * 1_048_576)
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"MaximumMessageSize": "1024"})
    attributes = {"a": {"DataType": "String", "StringValue": "x" * 20}}
    arguments = {"QueueUrl": queue, "MessageBody": "x" * 1_000, "MessageAttributes": attributes}
    refused(sqs.send_message, "InvalidParameterValue", **arguments)
    refused(sqs.send_message, "MissingParameter", QueueUrl=queue, MessageBody="")
    with pytest.raises(sqs.exceptions.InvalidMessageContents):
        sqs.send_message(QueueUrl=queue, MessageBody="\x00")


def test_a_batch_succeeds_and_fails_entry_by_entry(sqs, queue):
    entries = [
        {"Id": "good", "MessageBody": "x"},
        {"Id": "bad", "MessageBody": "\x00"},
        {"Id": "late", "MessageBody": "y", "DelaySeconds": 901},
    ]
    answer = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    failed = {entry["Id"]: (entry["Code"], entry["SenderFault"]) for entry in answer["Failed"]}
    assert failed == {"bad": ("InvalidMessageContents", True), "late": ("InvalidParameterValue", True)}
    (message,) = receive(sqs, queue, MaxNumberOfMessages=10)
    entries = [
        {"Id": "a", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 30},
        {"Id": "b", "ReceiptHandle": "nonsense", "VisibilityTimeout": 30},
    ]
    answer = sqs.change_message_visibility_batch(QueueUrl=queue, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["a"]
    assert [entry["Code"] for entry in answer["Failed"]] == ["ReceiptHandleIsInvalid"]
    entries = [{"Id": entry["Id"], "ReceiptHandle": entry["ReceiptHandle"]} for entry in entries]
    answer = sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["a"]
    assert counts(sqs, queue) == (0, 0, 0)


def test_a_batch_that_is_wrong_as_a_whole_is_refused(sqs, queue):
    entries = [{"Id": str(number), "MessageBody": "x"} for number in range(11)]
    prefix = "AWS.SimpleQueueService."
    send = sqs.send_message_batch
    refused(send, f"{prefix}TooManyEntriesInBatchRequest", QueueUrl=queue, Entries=entries)
    refused(send, f"{prefix}EmptyBatchRequest", QueueUrl=queue, Entries=[])
    refused(send, f"{prefix}BatchEntryIdsNotDistinct", QueueUrl=queue, Entries=entries[:1] * 2)
    bad = [{"Id": "a b", "MessageBody": "x"}]
    refused(send, f"{prefix}InvalidBatchEntryId", QueueUrl=queue, Entries=bad)
    large = [{"Id": str(number), "MessageBody": "x" * 524_289} for number in range(2)]
    error = refused(send, f"{prefix}BatchRequestTooLong", QueueUrl=queue, Entries=large)
    assert "1048578" in str(error)


def test_dead_letters_move_with_their_history(sqs, queue):
    dead = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    policy = {"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": "2"}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps(policy)})
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [queue]
    sent = sqs.send_message(QueueUrl=queue, MessageBody="poison")
    for _ in range(2):
        assert len(receive(sqs, queue, VisibilityTimeout=0)) == 1
    assert receive(sqs, queue) == []
    (letter,) = receive(sqs, dead, AttributeNames=["All"], WaitTimeSeconds=5)
    assert letter["MessageId"] == sent["MessageId"]
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == arn(sqs, queue)
    assert letter["Attributes"]["ApproximateReceiveCount"] == "3"
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": ""})
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead).get("queueUrls", []) == []
    sqs.delete_queue(QueueUrl=dead)


def test_a_redrive_policy_needs_a_fitting_target(sqs, queue):
    def set_policy(target, count=3):
        policy = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": count})
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})

    own = arn(sqs, queue)
    refused(set_policy, "InvalidParameterValue", target=f"{own}-that-is-not-there")
    refused(set_policy, "InvalidParameterValue", target="nonsense")
    fifo = sqs.create_queue(QueueName="dead.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    refused(set_policy, "InvalidParameterValue", target=arn(sqs, fifo))
    sqs.delete_queue(QueueUrl=fifo)
    closed = sqs.create_queue(
        QueueName="closed", Attributes={"RedriveAllowPolicy": json.dumps({"redrivePermission": "denyAll"})}
    )["QueueUrl"]
    refused(set_policy, "InvalidParameterValue", target=arn(sqs, closed))
    open_to_it = {"redrivePermission": "byQueue", "sourceQueueArns": [own]}
    sqs.set_queue_attributes(QueueUrl=closed, Attributes={"RedriveAllowPolicy": json.dumps(open_to_it)})
    set_policy(target=arn(sqs, closed))
    refused(set_policy, "InvalidParameterValue", target=arn(sqs, closed), count=1_001)
    sqs.delete_queue(QueueUrl=closed)


def test_a_move_task_brings_dead_letters_back(sqs, queue):
    dead = sqs.create_queue(QueueName="moved-letters")["QueueUrl"]
    source = arn(sqs, dead)
    refused(sqs.start_message_move_task, "InvalidParameterValue", SourceArn=source)
    policy = {"deadLetterTargetArn": source, "maxReceiveCount": 1}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps(policy)})
    bodies = {f"letter {number}" for number in range(20)}
    for body in bodies:
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    while receive(sqs, queue, VisibilityTimeout=0, MaxNumberOfMessages=10):
        pass
    assert counts(sqs, dead)[0] == 20
    sqs.start_message_move_task(SourceArn=source)

    def tasks():
        return sqs.list_message_move_tasks(SourceArn=source)["Results"]

    deadline = time.monotonic() + 20
    while tasks()[0]["Status"] == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.1)
    (task,) = tasks()
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 20)
    assert "TaskHandle" not in task
    back = receive(sqs, queue, MaxNumberOfMessages=10, AttributeNames=["ApproximateReceiveCount"])
    back += receive(sqs, queue, MaxNumberOfMessages=10, AttributeNames=["ApproximateReceiveCount"])
    assert {message["Body"] for message in back} == bodies
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in back} == {"1"}
    assert counts(sqs, dead) == (0, 0, 0)
    sqs.delete_queue(QueueUrl=dead)


def test_a_move_task_is_cancelled_where_it_stands(sqs, queue):
    dead = sqs.create_queue(QueueName="cancelled-letters")["QueueUrl"]
    other = sqs.create_queue(QueueName="elsewhere")["QueueUrl"]
    policy = {"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 1}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps(policy)})
    for number in range(10):
        sqs.send_message(QueueUrl=dead, MessageBody=str(number))
    task = {"SourceArn": arn(sqs, dead), "DestinationArn": arn(sqs, other), "MaxNumberOfMessagesPerSecond": 1}
    handle = sqs.start_message_move_task(**task)["TaskHandle"]
    refused(sqs.start_message_move_task, "AWS.SimpleQueueService.UnsupportedOperation", **task)
    assert sqs.list_message_move_tasks(SourceArn=arn(sqs, dead))["Results"][0]["TaskHandle"] == handle
    moved = sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    assert counts(sqs, other)[0] == moved < 10
    assert counts(sqs, dead)[0] == 10 - moved
    refused(sqs.cancel_message_move_task, "InvalidParameterValue", TaskHandle="nonsense")
    for url in (dead, other):
        sqs.delete_queue(QueueUrl=url)


def test_a_purge_empties_a_queue_once_a_minute(sqs, queue):
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(10)])
    sqs.purge_queue(QueueUrl=queue)
    with pytest.raises(sqs.exceptions.PurgeQueueInProgress):
        sqs.purge_queue(QueueUrl=queue)
    deadline = time.monotonic() + 60
    while counts(sqs, queue) != (0, 0, 0) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert counts(sqs, queue) == (0, 0, 0)
