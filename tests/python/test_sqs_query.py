"""The query protocol, as SDKs from before 2023 speak it: forms in, XML out."""

import hashlib
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"


@pytest.fixture(scope="module")
def call(dynaberg):
    def call(action, path="/", **parameters):
        form = {"Action": action, "Version": "2012-11-05", **parameters}
        data = urllib.parse.urlencode({name.replace("_", "."): value for name, value in form.items()})
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        signed = AWSRequest("POST", dynaberg.endpoint + path, headers=headers, data=data)
        SigV4Auth(Credentials("dev", "dev"), "sqs", "us-east-1").add_auth(signed)
        request = urllib.request.Request(signed.url, data.encode(), dict(signed.headers))
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return ElementTree.fromstring(answer.read())
        except urllib.error.HTTPError as error:
            return ElementTree.fromstring(error.read())

    return call


def texts(root, *path):
    return [element.text for element in root.findall(".//" + "/".join(NAMESPACE + name for name in path))]


def test_a_message_goes_in_and_comes_out_as_xml(call):
    undelayed = {"Attribute_1_Name": "DelaySeconds", "Attribute_1_Value": "0"}
    (url,) = texts(call("CreateQueue", QueueName="spoken-in-forms", **undelayed), "QueueUrl")
    body = "a<b>&\r\nü"
    attribute = {
        "MessageAttribute_1_Name": "kind",
        "MessageAttribute_1_Value_DataType": "String",
        "MessageAttribute_1_Value_StringValue": "test",
    }
    sent = call("SendMessage", QueueUrl=url, MessageBody=body, **attribute)
    assert texts(sent, "SendMessageResult", "MD5OfMessageBody") == [hashlib.md5(body.encode()).hexdigest()]
    # The path names the queue as well as the parameter does.
    path = urllib.parse.urlparse(url).path
    received = call("ReceiveMessage", path, AttributeName_1="SentTimestamp", MessageAttributeName_1="All")
    assert texts(received, "Message", "Body") == [body]
    assert texts(received, "Message", "Attribute", "Name") == ["SentTimestamp"]
    assert texts(received, "Message", "MessageAttribute", "Value", "StringValue") == ["test"]
    (handle,) = texts(received, "Message", "ReceiptHandle")
    deleted = call("DeleteMessage", QueueUrl=url, ReceiptHandle=handle)
    assert deleted.tag == NAMESPACE + "DeleteMessageResponse"
    shown = call("GetQueueAttributes", QueueUrl=url, AttributeName_1="All")
    pairs = dict(zip(texts(shown, "Attribute", "Name"), texts(shown, "Attribute", "Value")))
    assert pairs["ApproximateNumberOfMessages"] == "0" and pairs["DelaySeconds"] == "0"
    call("DeleteQueue", QueueUrl=url)


def test_batches_are_numbered(call):
    (url,) = texts(call("CreateQueue", QueueName="batches-in-forms"), "QueueUrl")
    entries = {
        "SendMessageBatchRequestEntry_1_Id": "a",
        "SendMessageBatchRequestEntry_1_MessageBody": "x",
        "SendMessageBatchRequestEntry_2_Id": "b",
        "SendMessageBatchRequestEntry_2_MessageBody": "\x01",
    }
    answer = call("SendMessageBatch", QueueUrl=url, **entries)
    assert texts(answer, "SendMessageBatchResultEntry", "Id") == ["a"]
    assert texts(answer, "BatchResultErrorEntry", "Id") == ["b"]
    assert texts(answer, "BatchResultErrorEntry", "Code") == ["InvalidMessageContents"]
    call("DeleteQueue", QueueUrl=url)


def test_errors_have_the_codes_of_old(call):
    missing = call("GetQueueUrl", QueueName="nothing")
    assert texts(missing, "Error", "Code") == ["AWS.SimpleQueueService.NonExistentQueue"]
    assert texts(call("Fly"), "Error", "Code") == ["InvalidAction"]
    wrong = call("ListQueues", MaxResults="many")
    assert texts(wrong, "Error", "Code") == ["MalformedInput"]
