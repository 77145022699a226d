"""Delivery streams that read a Kinesis stream: every record once, in the order of its shard, over splits and kills."""

import json

import pytest

from dynaberg import Dynaberg, eventually, read_pyiceberg
from firehoses import ROLE, iceberg, put, settled, warehouse
from test_firehose_iceberg import COLUMNS, query
from test_kinesis_pipeline import aggregate


def make_stream(running, name, shards):
    kinesis = running.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]


def make_delivery(running, arn, table, **settings):
    running.client("firehose").create_delivery_stream(
        DeliveryStreamName="from-kinesis",
        DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": arn, "RoleARN": ROLE},
        IcebergDestinationConfiguration=iceberg("kinesis-lake", (table, {"UniqueKeys": ["id"]}), **query(), **settings),
    )


def produce(kinesis, stream, first, count):
    """The newest number of each key that was put."""
    last = {}
    records = []
    for number in range(first, first + count):
        key = f"k{number % 23}"
        last[key] = number
        data = json.dumps({"id": key, "n": number, "op": "update"}).encode()
        records.append({"PartitionKey": key, "Data": data})
    for begin in range(0, count, 500):
        answer = kinesis.put_records(StreamName=stream, Records=records[begin : begin + 500])
        assert answer["FailedRecordCount"] == 0
    return last


def test_records_of_a_kinesis_stream_are_delivered_once_and_in_order_over_splits_and_kills(tmp_path):
    running = Dynaberg(tmp_path / "data", options=["--kinesis-unthrottled"])
    arn = warehouse(running, "kinesis-lake", {"changes": COLUMNS})
    running.client("s3").create_bucket(Bucket="failed")
    stream = make_stream(running, "changes", 2)
    make_delivery(running, stream, "changes")
    with pytest.raises(running.client("firehose").exceptions.InvalidArgumentException):
        put(running.client("firehose"), "from-kinesis", [{}])
    last, sent = {}, 0
    for turn in range(3):
        last |= produce(running.client("kinesis"), "changes", sent, 700)
        sent += 700
        if turn == 1:
            kinesis = running.client("kinesis")
            kinesis.update_shard_count(StreamName="changes", TargetShardCount=4, ScalingType="UNIFORM_SCALING")
        running.kill()
        running = Dynaberg(tmp_path / "data", options=["--kinesis-unthrottled"])
    try:
        last |= produce(running.client("kinesis"), "changes", sent, 700)
        found = settled(running, "from-kinesis", sent + 700)
        assert found["failed_records_total"] == 0
        rows = read_pyiceberg(running, "analytics.changes", arn)
        assert sorted((row["id"], row["n"]) for row in rows) == sorted(last.items())
    finally:
        running.stop()


def test_a_stream_that_comes_later_is_waited_for(dynaberg):
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/later"
    table = warehouse(dynaberg, "kinesis-lake", {"later": COLUMNS})
    make_delivery(dynaberg, arn, "later")
    make_stream(dynaberg, "later", 1)
    produce(dynaberg.client("kinesis"), "later", 0, 5)
    settled(dynaberg, "from-kinesis", 5)
    assert eventually(lambda: len(read_pyiceberg(dynaberg, "analytics.later", table)) == 5)


def test_records_that_a_producer_put_into_one_are_delivered_one_by_one(dynaberg):
    table = warehouse(dynaberg, "aggregates", {"parts": COLUMNS})
    stream = make_stream(dynaberg, "aggregated", 1)
    dynaberg.client("firehose").create_delivery_stream(
        DeliveryStreamName="parts",
        DeliveryStreamType="KinesisStreamAsSource",
        KinesisStreamSourceConfiguration={"KinesisStreamARN": stream, "RoleARN": ROLE},
        IcebergDestinationConfiguration=iceberg("aggregates", ("parts", {})),
    )
    parts = [json.dumps({"id": f"part-{number}", "n": number}).encode() for number in range(5)]
    dynaberg.client("kinesis").put_record(StreamName="aggregated", PartitionKey="k", Data=aggregate(parts))
    assert settled(dynaberg, "parts", 5)["delivered_records_total"] == 5
    assert sorted(row["n"] for row in read_pyiceberg(dynaberg, "analytics.parts", table)) == list(range(5))
