"""SIGKILL while messages are sent and deleted: what was acknowledged stays so."""

import threading
import uuid

import botocore.exceptions

from dynaberg import Dynaberg

KILLS = 3
SENDERS = 4


def test_what_was_acknowledged_survives_a_kill(tmp_path):
    sent, deleted = set(), set()
    for life in range(KILLS + 1):
        running = Dynaberg(tmp_path / "data")
        sqs = running.client("sqs")
        url = sqs.create_queue(QueueName="killed", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
        if life == KILLS:
            break
        senders = [threading.Thread(target=send_until_killed, args=(running, url, sent)) for _ in range(SENDERS)]
        deleter = threading.Thread(target=delete_until_killed, args=(running, url, deleted))
        enough = len(sent) + 200
        for thread in (*senders, deleter):
            thread.start()
        while len(sent) < enough:
            senders[0].join(timeout=0.01)
        running.kill()
        for thread in (*senders, deleter):
            thread.join()
    left = set()
    # What the killed deleter had received comes back after its timeout.
    last = {"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 600, "WaitTimeSeconds": 8}
    while messages := sqs.receive_message(**last).get("Messages"):
        left |= {message["Body"] for message in messages}
    running.stop()
    acknowledged = {body for body, is_acknowledged in deleted if is_acknowledged}
    # A delete that was cut off may have been done or not.
    tried = {body for body, _ in deleted}
    assert sent - left <= tried, "a message that was sent is gone"
    assert not acknowledged & left, "a message that was deleted is back"


def send_until_killed(running, url, sent):
    sqs = running.client("sqs")
    try:
        while True:
            body = str(uuid.uuid4())
            sqs.send_message(QueueUrl=url, MessageBody=body)
            sent.add(body)
    except botocore.exceptions.BotoCoreError:
        pass


def delete_until_killed(running, url, deleted):
    sqs = running.client("sqs")
    try:
        while True:
            received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=3, VisibilityTimeout=5)
            for message in received.get("Messages", []):
                deleted.add((message["Body"], False))
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                deleted.add((message["Body"], True))
    except botocore.exceptions.BotoCoreError:
        pass
