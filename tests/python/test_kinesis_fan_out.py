"""SubscribeToShard: records pushed to registered consumers, as boto3 reads them."""

import uuid

import pytest

from test_kinesis import KEYS, kinesis, refused  # noqa: F401


@pytest.fixture
def consumed(kinesis):
    """A stream of one shard with one consumer: its name and the consumer's ARN."""
    name = f"fan-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]["ConsumerARN"]
    yield name, consumer
    kinesis.delete_stream(StreamName=name, EnforceConsumerDeletion=True)


def subscribe(kinesis, consumer, shard="shardId-000000000000", **position):
    answer = kinesis.subscribe_to_shard(
        ConsumerARN=consumer, ShardId=shard, StartingPosition=position or {"Type": "TRIM_HORIZON"}
    )
    for event in answer["EventStream"]:
        yield event["SubscribeToShardEvent"]


def test_records_come_as_they_are_put(kinesis, consumed):
    name, consumer = consumed
    kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"before")
    events = subscribe(kinesis, consumer)
    first = next(events)
    assert [record["Data"] for record in first["Records"]] == [b"before"]
    assert first["MillisBehindLatest"] == 0
    put = kinesis.put_record(StreamName=name, PartitionKey="b", Data=b"after")
    found = next(event for event in events if event["Records"])
    assert [record["Data"] for record in found["Records"]] == [b"after"]
    assert found["Records"][0]["SequenceNumber"] == put["SequenceNumber"]
    assert found["ContinuationSequenceNumber"] == put["SequenceNumber"]


def test_a_subscription_begins_where_it_is_told(kinesis, consumed):
    name, consumer = consumed
    numbers = [
        kinesis.put_record(StreamName=name, PartitionKey="a", Data=str(at).encode())["SequenceNumber"]
        for at in range(3)
    ]
    event = next(subscribe(kinesis, consumer, Type="AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[0]))
    assert [record["Data"] for record in event["Records"]] == [b"1", b"2"]


def test_the_end_of_a_shard_ends_the_subscription_and_names_the_children(kinesis, consumed):
    name, consumer = consumed
    kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"x")
    events = subscribe(kinesis, consumer)
    assert len(next(events)["Records"]) == 1
    kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(KEYS // 2))
    rest = list(events)
    assert [child["ShardId"] for child in rest[-1]["ChildShards"]] == ["shardId-000000000001", "shardId-000000000002"]
    assert all(not event["Records"] for event in rest)


def test_a_consumer_has_one_subscription_to_a_shard(kinesis, consumed):
    _, consumer = consumed
    events = subscribe(kinesis, consumer)
    next(events)
    again = {"ConsumerARN": consumer, "ShardId": "shardId-000000000000", "StartingPosition": {"Type": "LATEST"}}
    refused(kinesis.subscribe_to_shard, "ResourceInUseException", **again)


def test_unknown_consumers_and_shards_are_refused(kinesis, consumed):
    _, consumer = consumed
    subscription = {"ShardId": "shardId-000000000000", "StartingPosition": {"Type": "LATEST"}}
    nobody = consumer.replace("/consumer/c:", "/consumer/d:")
    refused(kinesis.subscribe_to_shard, "ResourceNotFoundException", ConsumerARN=nobody, **subscription)
    subscription["ShardId"] = "shardId-000000000007"
    refused(kinesis.subscribe_to_shard, "ResourceNotFoundException", ConsumerARN=consumer, **subscription)


@pytest.mark.parametrize("kind", ["AFTER_SEQUENCE_NUMBER", "LATEST"])
def test_another_subscription_goes_on_where_a_quiet_one_ended(kinesis, consumed, kind):
    """The number that an event without records gives is one that can be continued after, and skips nothing."""
    name, consumer = consumed
    put = kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"read before")
    position = {"SequenceNumber": put["SequenceNumber"]} if kind == "AFTER_SEQUENCE_NUMBER" else {}
    quiet = next(subscribe(kinesis, consumer, Type=kind, **position))
    assert quiet["Records"] == []
    other = kinesis.register_stream_consumer(StreamARN=consumer.split("/consumer/")[0], ConsumerName="d")["Consumer"]
    go_on = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": quiet["ContinuationSequenceNumber"]}
    events = subscribe(kinesis, other["ConsumerARN"], **go_on)
    assert next(events)["Records"] == []
    kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"new")
    event = next(event for event in events if event["Records"])
    assert [record["Data"] for record in event["Records"]] == [b"new"]
