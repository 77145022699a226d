"""CloudWatch Logs, as boto3 uses it."""

import json
import time
import uuid

import pytest

from test_cloudwatch import ago, query, refused


@pytest.fixture(scope="module")
def logs(aws):
    return aws("logs")


@pytest.fixture
def group(logs):
    name = f"/dynaberg/{uuid.uuid4().hex}"
    logs.create_log_group(logGroupName=name, tags={"team": "shop"})
    logs.create_log_stream(logGroupName=name, logStreamName="one")
    return name


def put(logs, group, messages, stream="one", since_ms=None):
    since_ms = since_ms or int(time.time() * 1000)
    events = [{"timestamp": since_ms + at, "message": message} for at, message in enumerate(messages)]
    return logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_events_come_back_in_order_and_in_pages(logs, group):
    put(logs, group, [f"line {number}" for number in range(25)])
    page = logs.get_log_events(logGroupName=group, logStreamName="one", startFromHead=True, limit=10)
    read = []
    while page["events"]:
        read += [event["message"] for event in page["events"]]
        page = logs.get_log_events(
            logGroupName=group, logStreamName="one", nextToken=page["nextForwardToken"], limit=10
        )
    assert read == [f"line {number}" for number in range(25)]
    tail = logs.get_log_events(logGroupName=group, logStreamName="one", limit=3)
    assert [event["message"] for event in tail["events"]] == ["line 22", "line 23", "line 24"]


def test_events_are_found_over_streams_by_words_and_members(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName="two")
    put(logs, group, ['{"code":"DYN801","message":"restarting"}', "plain WARN text"])
    put(logs, group, ['{"code":"DYN806"}'], stream="two")
    find = lambda **parameters: [
        event["message"] for event in logs.filter_log_events(logGroupName=group, **parameters)["events"]
    ]
    assert len(find()) == 3
    assert find(filterPattern="WARN") == ["plain WARN text"]
    assert find(filterPattern='{ $.code = "DYN801" }') == ['{"code":"DYN801","message":"restarting"}']
    assert find(logStreamNames=["two"]) == ['{"code":"DYN806"}']
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, limit=2)
    assert [len(page["events"]) for page in pages] == [2, 1]
    code, message = refused(logs.filter_log_events, logGroupName=group, filterPattern="[ip, user]")
    assert code == "InvalidParameterException" and "Try:" in message


def test_groups_and_streams_are_described_with_what_is_in_them(logs, group):
    put(logs, group, ["ten bytes."])
    (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert found["storedBytes"] == 10 and "retentionInDays" not in found
    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert found["retentionInDays"] == 7
    assert logs.list_tags_for_resource(resourceArn=found["logGroupArn"])["tags"] == {"team": "shop"}
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["firstEventTimestamp"] == stream["lastEventTimestamp"]
    logs.delete_log_group(logGroupName=group)
    assert refused(logs.describe_log_streams, logGroupName=group)[0] == "ResourceNotFoundException"


def test_what_logs_refuse_is_refused_with_its_code(logs, group):
    assert refused(logs.create_log_group, logGroupName=group)[0] == "ResourceAlreadyExistsException"
    again = {"logGroupName": group, "logStreamName": "one"}
    assert refused(logs.create_log_stream, **again)[0] == "ResourceAlreadyExistsException"
    assert refused(logs.put_retention_policy, logGroupName=group, retentionInDays=8)[0] == "InvalidParameterException"
    now = int(time.time() * 1000)
    swapped = [{"timestamp": now, "message": "b"}, {"timestamp": now - 1, "message": "a"}]
    assert refused(logs.put_log_events, **again, logEvents=swapped)[0] == "InvalidParameterException"
    absent = {"logGroupName": group, "logStreamName": "nobody", "logEvents": swapped[:1]}
    assert refused(logs.put_log_events, **absent)[0] == "ResourceNotFoundException"


def test_events_that_are_too_old_are_passed_over_and_told_of(logs, group):
    answer = put(logs, group, ["old"], since_ms=int(ago(days=20).timestamp() * 1000))
    assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert logs.get_log_events(logGroupName=group, logStreamName="one")["events"] == []


def test_lines_in_the_embedded_metric_format_become_metrics(logs, aws, group):
    namespace = f"Shop/{uuid.uuid4().hex}"
    directive = {"Namespace": namespace, "Dimensions": [["table"]], "Metrics": [{"Name": "age", "Unit": "Seconds"}]}
    now = int(time.time() * 1000)
    line = {"_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}, "table": "orders", "age": 2.5}
    put(logs, group, [json.dumps(line), "no metric"])
    dimensions = [{"Name": "table", "Value": "orders"}]
    answer = aws("cloudwatch").get_metric_data(
        MetricDataQueries=[query(namespace, "age", "Maximum", dimensions=dimensions)],
        StartTime=ago(hours=1),
        EndTime=ago(hours=-1),
    )
    assert answer["MetricDataResults"][0]["Values"] == [2.5]
