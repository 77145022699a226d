"""Queues as such: names, attributes, tags, permissions, listing. These tests would pass against AWS."""

import json

import boto3
import pytest

from test_sqs import arn, refused


@pytest.fixture(scope="module")
def sqs(dynaberg):
    return dynaberg.client("sqs")


@pytest.fixture
def queue(sqs, request):
    url = sqs.create_queue(QueueName=request.node.name.split("[")[0][-80:])["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


def attributes(sqs, url, *names):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names)).get("Attributes", {})


def test_a_queue_has_the_attributes_of_aws(sqs, queue):
    shown = attributes(sqs, queue, "All")
    assert shown.pop("CreatedTimestamp") == shown.pop("LastModifiedTimestamp")
    assert shown == {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "QueueArn": arn(sqs, queue),
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "true",
        "VisibilityTimeout": "30",
    }
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})
    assert attributes(sqs, queue, "VisibilityTimeout", "Policy") == {"VisibilityTimeout": "0"}
    assert attributes(sqs, queue) == {}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("VisibilityTimeout", "43201", "InvalidAttributeValue"),
        ("DelaySeconds", "-1", "InvalidAttributeValue"),
        ("MaximumMessageSize", "1023", "InvalidAttributeValue"),
        ("MessageRetentionPeriod", "59", "InvalidAttributeValue"),
        ("ReceiveMessageWaitTimeSeconds", "21", "InvalidAttributeValue"),
        ("Policy", "{", "InvalidAttributeValue"),
        ("FifoQueue", "true", "InvalidAttributeName"),
        ("ContentBasedDeduplication", "true", "InvalidAttributeName"),
        ("Nothing", "1", "InvalidAttributeName"),
    ],
)
def test_values_that_aws_refuses_are_refused(sqs, queue, name, value, code):
    refused(sqs.set_queue_attributes, code, QueueUrl=queue, Attributes={name: value})


def test_creating_a_queue_again_gives_the_same_one(sqs, queue):
    name = queue.rsplit("/", 1)[1]
    assert sqs.create_queue(QueueName=name)["QueueUrl"] == queue
    assert sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "0"})["QueueUrl"] == queue
    with pytest.raises(sqs.exceptions.QueueNameExists) as error:
        sqs.create_queue(QueueName=name, Attributes={"DelaySeconds": "1"})
    assert error.value.response["Error"]["Code"] == "QueueAlreadyExists"


@pytest.mark.parametrize("name", ["a b", "x" * 81, "dot.ted", "name.fifo"])
def test_a_name_that_is_none_is_refused(sqs, name):
    refused(sqs.create_queue, "InvalidParameterValue", QueueName=name)


def test_a_queue_that_is_not_there_says_so(sqs, dynaberg):
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as error:
        sqs.get_queue_url(QueueName="nothing")
    assert error.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    url = f"{dynaberg.endpoint}/000000000000/nothing"
    for call in (sqs.delete_queue, sqs.purge_queue, sqs.receive_message, sqs.list_queue_tags):
        refused(call, "AWS.SimpleQueueService.NonExistentQueue", QueueUrl=url)


def test_a_deleted_queue_is_gone_with_its_messages(sqs):
    url = sqs.create_queue(QueueName="to-be-deleted")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    sqs.delete_queue(QueueUrl=url)
    refused(sqs.send_message, "AWS.SimpleQueueService.NonExistentQueue", QueueUrl=url, MessageBody="x")


def test_queues_are_listed_by_prefix_and_page(sqs):
    urls = [sqs.create_queue(QueueName=f"listed-{number}")["QueueUrl"] for number in range(5)]
    assert sqs.list_queues(QueueNamePrefix="listed-")["QueueUrls"] == urls
    assert sqs.list_queues(QueueNamePrefix="nothing-").get("QueueUrls", []) == []
    pages = sqs.get_paginator("list_queues").paginate(QueueNamePrefix="listed-", PaginationConfig={"PageSize": 2})
    assert [page["QueueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]
    for url in urls:
        sqs.delete_queue(QueueUrl=url)


def test_regions_and_accounts_have_queues_of_their_own(sqs, dynaberg):
    url = sqs.create_queue(QueueName="here")["QueueUrl"]
    elsewhere = dynaberg.client("sqs", region_name="eu-west-1")
    refused(elsewhere.get_queue_url, "AWS.SimpleQueueService.NonExistentQueue", QueueName="here")
    other = boto3.client(
        "sqs", endpoint_url=dynaberg.endpoint, region_name="us-east-1",
        aws_access_key_id="111122223333", aws_secret_access_key="x",
    )
    refused(other.get_queue_url, "AWS.SimpleQueueService.NonExistentQueue", QueueName="here")
    refused(other.receive_message, "AccessDenied", QueueUrl=url)
    sqs.delete_queue(QueueUrl=url)


def test_tags_are_kept(sqs):
    url = sqs.create_queue(QueueName="tagged", tags={"team": "lake", "stage": "dev"})["QueueUrl"]
    sqs.tag_queue(QueueUrl=url, Tags={"stage": "prod", "owner": "me"})
    sqs.untag_queue(QueueUrl=url, TagKeys=["team", "nothing"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"stage": "prod", "owner": "me"}
    too_many = {f"tag{number}": "x" for number in range(51)}
    refused(sqs.tag_queue, "InvalidParameterValue", QueueUrl=url, Tags=too_many)
    sqs.delete_queue(QueueUrl=url)


def test_permissions_are_statements_of_the_policy(sqs, queue):
    grant = {"QueueUrl": queue, "AWSAccountIds": ["111122223333"], "Actions": ["ReceiveMessage"]}
    sqs.add_permission(**grant, Label="one")
    policy = json.loads(attributes(sqs, queue, "Policy")["Policy"])
    assert policy["Statement"] == [
        {
            "Sid": "one",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": "SQS:ReceiveMessage",
            "Resource": arn(sqs, queue),
        }
    ]
    refused(sqs.add_permission, "InvalidParameterValue", **grant, Label="one")
    refused(sqs.add_permission, "InvalidParameterValue", **{**grant, "Actions": ["Fly"]}, Label="two")
    sqs.remove_permission(QueueUrl=queue, Label="one")
    refused(sqs.remove_permission, "InvalidParameterValue", QueueUrl=queue, Label="one")
    assert attributes(sqs, queue, "Policy") == {}
