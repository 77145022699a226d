"""FIFO queues of SQS. These tests would pass against AWS."""

import json
import time

import pytest

from test_sqs import arn, counts, receive, refused


@pytest.fixture(scope="module")
def sqs(dynaberg):
    return dynaberg.client("sqs")


@pytest.fixture
def queue(sqs, request):
    url = sqs.create_queue(
        QueueName=request.node.name[-70:] + ".fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    )["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


def send(sqs, url, body, group="g", **arguments):
    return sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group, **arguments)


def delete(sqs, url, messages):
    for message in messages:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def test_a_fifo_queue_says_so(sqs, queue):
    shown = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert shown["FifoQueue"] == "true"
    assert (shown["DeduplicationScope"], shown["FifoThroughputLimit"]) == ("queue", "perQueue")
    refused(sqs.set_queue_attributes, "InvalidAttributeValue", QueueUrl=queue, Attributes={"FifoQueue": "false"})


def test_a_group_comes_in_order_and_is_locked_while_in_flight(sqs, queue):
    for number in range(4):
        send(sqs, queue, f"a{number}", "a")
    send(sqs, queue, "b0", "b")
    first = receive(sqs, queue, MaxNumberOfMessages=2, AttributeNames=["All"])
    assert [message["Body"] for message in first] == ["a0", "a1"]
    numbers = [int(message["Attributes"]["SequenceNumber"]) for message in first]
    assert numbers == sorted(numbers) and len(str(numbers[0])) == 20
    assert {message["Attributes"]["MessageGroupId"] for message in first} == {"a"}
    # Group a is locked, group b is not.
    assert [message["Body"] for message in receive(sqs, queue, MaxNumberOfMessages=10)] == ["b0"]
    delete(sqs, queue, first[:1])
    assert receive(sqs, queue, MaxNumberOfMessages=10) == []
    delete(sqs, queue, first[1:])
    rest = receive(sqs, queue, MaxNumberOfMessages=10)
    assert [message["Body"] for message in rest] == ["a2", "a3"]


def test_deleting_the_head_of_a_group_wakes_a_long_poll(sqs, queue):
    send(sqs, queue, "1")
    send(sqs, queue, "2")
    (head,) = receive(sqs, queue)
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=head["ReceiptHandle"], VisibilityTimeout=1)
    (again,) = receive(sqs, queue, WaitTimeSeconds=10)
    assert again["Body"] == "1"
    delete(sqs, queue, [again])
    assert receive(sqs, queue)[0]["Body"] == "2"


def test_the_same_message_is_taken_once_in_five_minutes(sqs, queue):
    first = send(sqs, queue, "same")
    again = send(sqs, queue, "same", group="another")
    assert (again["MessageId"], again["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    other = send(sqs, queue, "same", MessageDeduplicationId="explicit")
    assert other["MessageId"] != first["MessageId"]
    delete(sqs, queue, receive(sqs, queue, MaxNumberOfMessages=10))
    assert send(sqs, queue, "same")["MessageId"] == first["MessageId"]
    assert counts(sqs, queue) == (0, 0, 0)


def test_groups_may_deduplicate_by_themselves(sqs, queue):
    attributes = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    refused(
        sqs.set_queue_attributes, "InvalidAttributeValue",
        QueueUrl=queue, Attributes={"FifoThroughputLimit": "perMessageGroupId"},
    )
    sqs.set_queue_attributes(QueueUrl=queue, Attributes=attributes)
    first = send(sqs, queue, "same", group="a")
    assert send(sqs, queue, "same", group="a")["MessageId"] == first["MessageId"]
    assert send(sqs, queue, "same", group="b")["MessageId"] != first["MessageId"]


def test_what_a_fifo_queue_needs_and_does_not_take(sqs, queue):
    refused(sqs.send_message, "MissingParameter", QueueUrl=queue, MessageBody="x")
    refused(send, "InvalidParameterValue", sqs=sqs, url=queue, body="x", DelaySeconds=2)
    refused(send, "InvalidParameterValue", sqs=sqs, url=queue, body="x", MessageDeduplicationId="a b")
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"ContentBasedDeduplication": "false"})
    refused(send, "InvalidParameterValue", sqs=sqs, url=queue, body="x")
    refused(sqs.create_queue, "InvalidParameterValue", QueueName="no-suffix", Attributes={"FifoQueue": "true"})


def test_a_handle_expires_with_its_time(sqs, queue):
    send(sqs, queue, "x")
    (message,) = receive(sqs, queue, VisibilityTimeout=0)
    error = refused(
        sqs.delete_message, "InvalidParameterValue", QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"]
    )
    assert "The receipt handle has expired" in str(error)


def test_an_attempt_that_is_repeated_gets_the_same_messages(sqs, queue):
    send(sqs, queue, "1")
    send(sqs, queue, "2")
    first = receive(sqs, queue, MaxNumberOfMessages=10, ReceiveRequestAttemptId="attempt")
    again = receive(sqs, queue, MaxNumberOfMessages=10, ReceiveRequestAttemptId="attempt")
    assert first == again and len(first) == 2
    assert receive(sqs, queue, MaxNumberOfMessages=10) == []
    delete(sqs, queue, again)
    assert receive(sqs, queue, ReceiveRequestAttemptId="attempt") == []


def test_delays_hold_for_the_queue(sqs, queue):
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "1"})
    send(sqs, queue, "1")
    send(sqs, queue, "2")
    assert receive(sqs, queue, MaxNumberOfMessages=10) == []
    started = time.monotonic()
    assert receive(sqs, queue, WaitTimeSeconds=10)[0]["Body"] == "1"
    assert time.monotonic() - started < 5


def test_a_dead_letter_unblocks_its_group(sqs, queue):
    dead = sqs.create_queue(QueueName="dead-fifo.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    policy = {"deadLetterTargetArn": arn(sqs, dead), "maxReceiveCount": 1}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": json.dumps(policy)})
    send(sqs, queue, "poison")
    send(sqs, queue, "good")
    assert receive(sqs, queue, VisibilityTimeout=0)[0]["Body"] == "poison"
    assert receive(sqs, queue)[0]["Body"] == "good"
    (letter,) = receive(sqs, dead, WaitTimeSeconds=5, AttributeNames=["MessageGroupId"])
    assert (letter["Body"], letter["Attributes"]["MessageGroupId"]) == ("poison", "g")
    sqs.delete_queue(QueueUrl=dead)
