"""SIGKILL at random moments: nothing is lost, nothing is there twice, positions never go back.

The number of kills is DYNABERG_KILLS (20 unless given), the seed DYNABERG_SEED.
"""

import os
import random
import threading
import time
from decimal import Decimal

import botocore.exceptions

from dynaberg import Dynaberg, Positions, read_duckdb, read_pyiceberg, rows_of, scan
from test_mirror import WAREHOUSE, create_table, pipeline_file

KILLS = int(os.environ.get("DYNABERG_KILLS", "20"))
SEED = int(os.environ.get("DYNABERG_SEED", "7"))
UNREACHABLE = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)


class Writer(threading.Thread):
    """Mixed writes, repeated until they are acknowledged: a put or delete that is repeated changes nothing."""

    def __init__(self, seed):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.stopped = threading.Event()
        self.running = None
        self.acknowledged = 0

    def run(self):
        while not self.stopped.is_set():
            number = self.random.randrange(300)
            item = {
                "id": f"item-{number}",
                "at": number,
                "amount": Decimal(self.random.randrange(10**8)) / 100,
                "note": "x" * self.random.randrange(200),
            }
            key = {"id": item["id"], "at": item["at"]}
            remove = self.random.random() < 0.2
            while not self.stopped.is_set():
                try:
                    table = self.running.resource("dynamodb").Table("killed")
                    self._burst(table, key, item, remove)
                    break
                except UNREACHABLE:
                    self.stopped.wait(0.01)

    def _burst(self, table, key, item, remove):
        """Writes with one client until it fails or stops, since a boto3 resource is costly to make."""
        while not self.stopped.is_set():
            if remove:
                table.delete_item(Key=key)
            else:
                table.put_item(Item=item)
            self.acknowledged += 1
            number = self.random.randrange(300)
            key = {"id": f"item-{number}", "at": number}
            amount = Decimal(self.random.randrange(10**8)) / 100
            item = {**key, "amount": amount, "note": "x" * self.random.randrange(200)}
            remove = self.random.random() < 0.2


def stream_records(running, table):
    """Every record of the table's stream: (shard, sequence number) → event name."""
    streams = running.client("dynamodbstreams")
    arn = table.latest_stream_arn
    shards, start = [], None
    while True:
        page = streams.describe_stream(StreamArn=arn, **({"ExclusiveStartShardId": start} if start else {}))
        shards += page["StreamDescription"]["Shards"]
        start = page["StreamDescription"].get("LastEvaluatedShardId")
        if start is None:
            break
    records = {}
    for shard in shards:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = streams.get_records(ShardIterator=iterator)
            for record in page["Records"]:
                position = f"{shard['ShardId']}/{record['dynamodb']['SequenceNumber']}"
                assert position not in records
                records[position] = record["eventName"]
            if not page["Records"] and "EndingSequenceNumber" not in shard["SequenceNumberRange"]:
                break
            iterator = page.get("NextShardIterator")
    return records


def test_kills_at_random_moments_neither_lose_nor_repeat_a_change(tmp_path):
    rng = random.Random(SEED)
    pipelines = [
        pipeline_file(tmp_path, "killed", "audit.mirror", "lake"),
        pipeline_file(tmp_path, "killed", "audit.changes", "lake", mode="changelog"),
    ]
    options = ["--shard-rotation", "3s"]
    running = Dynaberg(tmp_path / "data", pipelines, options)
    ports = running.ports
    table = create_table(running, "killed", with_sort_key=True)
    table.put_item(Item={"id": "first", "at": 1, "amount": Decimal("1.25"), "note": "decides the columns' types"})
    running.client("s3").create_bucket(Bucket="letters")
    running.client("s3tables").create_table_bucket(name="lake")
    running.wait()

    writer = Writer(SEED)
    writer.running = running
    writer.start()
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.05, 1.2))
        running.kill()
        running = Dynaberg(tmp_path / "data", pipelines, options, ports)
        writer.running = running
    time.sleep(1)
    writer.stopped.set()
    writer.join()
    assert writer.acknowledged > KILLS

    try:
        running.wait("120s")
        warehouse = WAREHOUSE.format("lake")
        table = running.resource("dynamodb").Table("killed")
        expected = rows_of(scan(table), ("id", "at"))
        assert rows_of(read_pyiceberg(running, "audit.mirror", warehouse), ("id", "at")) == expected
        assert rows_of(read_duckdb(running, "audit.mirror", warehouse), ("id", "at")) == expected

        changes = read_pyiceberg(running, "audit.changes", warehouse)
        positions = {row["_position"]: row["_op"] for row in changes}
        assert len(positions) == len(changes), "a stream record is in the changelog twice"
        assert positions == stream_records(running, table)
        for target in ("audit.mirror", "audit.changes"):
            Positions().check(running, target, warehouse)
    finally:
        running.stop()
