"""A boto3 consumer reads a stream that is split, merged and scaled under load, by services that are killed meanwhile."""

import collections
import threading

import botocore.exceptions

from dynaberg import Dynaberg

NAME = "resharded"
KEYS = [f"key-{number}" for number in range(12)]
UNREACHABLE = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)


class Producer(threading.Thread):
    """Numbers the records of each key, and puts a record again until it is acknowledged."""

    def __init__(self, running):
        super().__init__(daemon=True)
        self.client, self.stopped = running.client("kinesis"), threading.Event()
        self.acknowledged = 0

    def run(self):
        while not self.stopped.is_set():
            waiting = [{"PartitionKey": key, "Data": f"{key} {self.acknowledged}".encode()} for key in KEYS]
            while waiting:
                try:
                    answers = self.client.put_records(StreamName=NAME, Records=waiting)["Records"]
                except UNREACHABLE:
                    continue
                waiting = [record for record, answer in zip(waiting, answers, strict=True) if "ErrorCode" in answer]
            self.acknowledged += 1


class Consumer:
    """Reads parents to their end before their children, and remembers where it is, as the KCL does."""

    def __init__(self):
        self.last, self.ended = {}, set()
        self.seen = collections.defaultdict(list)

    def read_all(self, kinesis):
        while self.read(kinesis):
            pass

    def read(self, kinesis):
        """A page of each shard that may be read now; tells whether anything came."""
        shards = {shard["ShardId"]: shard for shard in kinesis.list_shards(StreamName=NAME)["Shards"]}
        progress = False
        for name, shard in shards.items():
            parents = [shard.get("ParentShardId"), shard.get("AdjacentParentShardId")]
            if name not in self.ended and all(parent not in shards or parent in self.ended for parent in parents):
                progress |= self._read_shard(kinesis, name)
        return progress

    def _read_shard(self, kinesis, name):
        after = {"ShardIteratorType": "TRIM_HORIZON"}
        if name in self.last:
            after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self.last[name]}
        iterator = kinesis.get_shard_iterator(StreamName=NAME, ShardId=name, **after)["ShardIterator"]
        page = kinesis.get_records(ShardIterator=iterator)
        for record in page["Records"]:
            key, number = record["Data"].decode().split()
            assert key == record["PartitionKey"]
            self.seen[key].append(int(number))
            self.last[name] = record["SequenceNumber"]
        if "NextShardIterator" not in page:
            self.ended.add(name)
        return bool(page["Records"]) or name in self.ended


def split_first(kinesis):
    shard = next(s for s in kinesis.list_shards(StreamName=NAME)["Shards"] if "EndingSequenceNumber" not in s["SequenceNumberRange"])
    begin, end = (int(shard["HashKeyRange"][side]) for side in ("StartingHashKey", "EndingHashKey"))
    kinesis.split_shard(StreamName=NAME, ShardToSplit=shard["ShardId"], NewStartingHashKey=str((begin + end) // 2))


def merge_first_two(kinesis):
    shards = [s for s in kinesis.list_shards(StreamName=NAME)["Shards"] if "EndingSequenceNumber" not in s["SequenceNumberRange"]]
    shards.sort(key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
    kinesis.merge_shards(StreamName=NAME, ShardToMerge=shards[0]["ShardId"], AdjacentShardToMerge=shards[1]["ShardId"])


def scale_to_three(kinesis):
    kinesis.update_shard_count(StreamName=NAME, TargetShardCount=3, ScalingType="UNIFORM_SCALING")


def test_a_consumer_sees_each_key_in_order_across_resharding_and_kills(tmp_path):
    options = ["--kinesis-unthrottled"]
    running = Dynaberg(tmp_path / "data", options=options)
    ports = running.ports
    running.client("kinesis").create_stream(StreamName=NAME, ShardCount=2)
    running.client("kinesis").get_waiter("stream_exists").wait(StreamName=NAME)
    producer, consumer = Producer(running), Consumer()
    producer.start()
    try:
        for change in (split_first, merge_first_two, scale_to_three, split_first):
            target = producer.acknowledged + 5
            kinesis = running.client("kinesis")
            change(kinesis)
            while producer.acknowledged < target:
                consumer.read(kinesis)
            running.kill()
            running = Dynaberg(tmp_path / "data", options=options, ports=ports)
        producer.stopped.set()
        producer.join()
        consumer.read_all(running.client("kinesis"))
    finally:
        producer.stopped.set()
        running.stop()
    assert len(consumer.ended) >= 6
    for key in KEYS:
        # A record whose acknowledgement was lost comes twice, one behind the other.
        once = [number for number, before in zip(consumer.seen[key], [None, *consumer.seen[key]]) if number != before]
        assert once == list(range(producer.acknowledged)), key
