"""Kinesis Data Streams as boto3 sees it. These tests run unchanged against kinesalite: see test_kinesalite.py."""

import datetime
import hashlib
import re
import uuid

import botocore.exceptions
import pytest

KEYS = 2**128


@pytest.fixture(scope="session")
def kinesis(aws):
    return aws("kinesis")


@pytest.fixture
def stream(kinesis):
    """Makes streams that are there when the test begins and gone when it ends."""
    made = []

    def make(shards=1):
        name = f"stream-{uuid.uuid4().hex[:12]}"
        kinesis.create_stream(StreamName=name, ShardCount=shards)
        kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})
        made.append(name)
        return name

    yield make
    for name in made:
        kinesis.delete_stream(StreamName=name)


def settled(kinesis, name):
    """The stream's shards, once no change of it is under way."""
    waiter = kinesis.get_waiter("stream_exists")
    waiter.wait(StreamName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 100})
    return kinesis.describe_stream(StreamName=name)["StreamDescription"]["Shards"]


def iterator(kinesis, name, shard="shardId-000000000000", kind="TRIM_HORIZON", **position):
    answer = kinesis.get_shard_iterator(StreamName=name, ShardId=shard, ShardIteratorType=kind, **position)
    return answer["ShardIterator"]


def read(kinesis, name, shard, kind="TRIM_HORIZON", **position):
    """All records of a shard, to its end or to where nothing more is."""
    records, position = [], iterator(kinesis, name, shard, kind, **position)
    while position:
        page = kinesis.get_records(ShardIterator=position)
        records += page["Records"]
        position = page.get("NextShardIterator")
        if not page["Records"] and page["MillisBehindLatest"] == 0:
            break
    return records, position is None


def refused(call, code, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        call(**arguments)
    assert refusal.value.response["Error"]["Code"] == code
    return refusal.value.response["Error"]["Message"]


def hash_key(partition_key):
    return int(hashlib.md5(partition_key.encode()).hexdigest(), 16)


class TestStreams:
    def test_a_stream_is_described_as_it_was_made(self, kinesis, stream):
        name = stream(shards=3)
        description = kinesis.describe_stream(StreamName=name)["StreamDescription"]
        assert description["StreamStatus"] == "ACTIVE"
        assert description["StreamARN"].endswith(f":stream/{name}")
        assert description["RetentionPeriodHours"] == 24
        assert not description["HasMoreShards"]
        assert [shard["ShardId"] for shard in description["Shards"]] == [f"shardId-{at:012}" for at in range(3)]
        ranges = [
            (int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"]))
            for shard in description["Shards"]
        ]
        assert ranges[0][0] == 0 and ranges[-1][1] == KEYS - 1
        assert all(left[1] + 1 == right[0] for left, right in zip(ranges, ranges[1:]))
        for shard in description["Shards"]:
            assert "EndingSequenceNumber" not in shard["SequenceNumberRange"]

    def test_a_summary_counts_open_shards(self, kinesis, stream):
        name = stream(shards=2)
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        assert summary["OpenShardCount"] == 2
        assert summary["StreamStatus"] == "ACTIVE"

    def test_streams_are_listed_by_name_in_pages(self, kinesis, stream):
        names = sorted(stream() for _ in range(3))
        listed, start = [], {}
        while True:
            page = kinesis.list_streams(Limit=1, **start)
            listed += page["StreamNames"]
            if not page["HasMoreStreams"]:
                break
            start = {"ExclusiveStartStreamName": listed[-1]}
        assert [name for name in listed if name in names] == names
        assert listed == sorted(listed)

    def test_a_name_is_given_once(self, kinesis, stream):
        name = stream()
        refused(kinesis.create_stream, "ResourceInUseException", StreamName=name, ShardCount=1)

    def test_an_unknown_stream_is_not_found(self, kinesis):
        for call in (kinesis.describe_stream, kinesis.delete_stream, kinesis.describe_stream_summary):
            message = refused(call, "ResourceNotFoundException", StreamName="nobody")
            assert re.fullmatch("Stream nobody under account [0-9]{12} not found.", message)

    def test_tags_are_added_listed_and_removed(self, kinesis, stream):
        name = stream()
        kinesis.add_tags_to_stream(StreamName=name, Tags={"team": "data", "stage": "test"})
        kinesis.add_tags_to_stream(StreamName=name, Tags={"team": "lake"})
        tags = kinesis.list_tags_for_stream(StreamName=name)
        assert tags["Tags"] == [{"Key": "stage", "Value": "test"}, {"Key": "team", "Value": "lake"}]
        assert kinesis.list_tags_for_stream(StreamName=name, Limit=1)["HasMoreTags"]
        kinesis.remove_tags_from_stream(StreamName=name, TagKeys=["stage"])
        assert kinesis.list_tags_for_stream(StreamName=name)["Tags"] == [{"Key": "team", "Value": "lake"}]

    def test_retention_goes_up_and_down_within_its_bounds(self, kinesis, stream):
        name = stream()
        kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=48)
        settled(kinesis, name)
        change = {"StreamName": name, "RetentionPeriodHours": 24}
        refused(kinesis.increase_stream_retention_period, "InvalidArgumentException", **change)
        change["RetentionPeriodHours"] = 23
        refused(kinesis.decrease_stream_retention_period, "InvalidArgumentException", **change)
        kinesis.decrease_stream_retention_period(StreamName=name, RetentionPeriodHours=24)
        settled(kinesis, name)
        assert kinesis.describe_stream(StreamName=name)["StreamDescription"]["RetentionPeriodHours"] == 24


class TestPut:
    def test_a_record_goes_to_the_shard_of_its_hash_key_and_comes_back_whole(self, kinesis, stream):
        name = stream(shards=4)
        for partition_key in ("a", "ü", "x" * 256):
            put = kinesis.put_record(StreamName=name, PartitionKey=partition_key, Data=b"\x00\xff data")
            assert put["ShardId"] == f"shardId-{hash_key(partition_key) * 4 // KEYS:012}"
            assert re.fullmatch("[0-9]{56}", put["SequenceNumber"])
            records, _ = read(kinesis, name, put["ShardId"])
            (record,) = [record for record in records if record["PartitionKey"] == partition_key]
            assert record["Data"] == b"\x00\xff data"
            assert record["SequenceNumber"] == put["SequenceNumber"]
            age = datetime.datetime.now(datetime.UTC) - record["ApproximateArrivalTimestamp"]
            assert abs(age) < datetime.timedelta(minutes=2)

    def test_an_explicit_hash_key_decides_over_the_partition_key(self, kinesis, stream):
        name = stream(shards=2)
        put = {"StreamName": name, "PartitionKey": "a", "Data": b"x"}
        assert kinesis.put_record(**put, ExplicitHashKey="0")["ShardId"] == "shardId-000000000000"
        assert kinesis.put_record(**put, ExplicitHashKey=str(KEYS - 1))["ShardId"] == "shardId-000000000001"
        refused(kinesis.put_record, "InvalidArgumentException", **put, ExplicitHashKey=str(KEYS))

    def test_numbers_of_a_shard_grow(self, kinesis, stream):
        name = stream()
        first = kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"1")
        ordering = {"SequenceNumberForOrdering": first["SequenceNumber"]}
        second = kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"2", **ordering)
        assert int(second["SequenceNumber"]) > int(first["SequenceNumber"])
        record = {"StreamName": name, "PartitionKey": "a", "Data": b"3", "SequenceNumberForOrdering": "9" * 56}
        refused(kinesis.put_record, "InvalidArgumentException", **record)

    def test_many_records_are_put_at_once_and_answered_in_order(self, kinesis, stream):
        name = stream(shards=3)
        entries = [{"PartitionKey": f"key-{at}", "Data": str(at).encode()} for at in range(500)]
        answer = kinesis.put_records(StreamName=name, Records=entries)
        assert answer["FailedRecordCount"] == 0 and len(answer["Records"]) == 500
        for entry, put in zip(entries, answer["Records"]):
            assert put["ShardId"] == f"shardId-{hash_key(entry['PartitionKey']) * 3 // KEYS:012}"
        found = [record for at in range(3) for record in read(kinesis, name, f"shardId-{at:012}")[0]]
        assert sorted(int(record["Data"]) for record in found) == list(range(500))

    def test_what_is_too_much_is_refused(self, kinesis, stream):
        name = stream()
        entries = [{"PartitionKey": "a", "Data": b"x"}] * 501
        refused(kinesis.put_records, "ValidationException", StreamName=name, Records=entries)
        record = {"StreamName": name, "PartitionKey": "x" * 257, "Data": b"x"}
        refused(kinesis.put_record, "ValidationException", **record)
        record = {"StreamName": name, "PartitionKey": "a", "Data": b"x" * (1024 * 1024 + 1)}
        refused(kinesis.put_record, "ValidationException", **record)

    def test_an_unknown_stream_takes_nothing(self, kinesis):
        record = {"StreamName": "nobody", "PartitionKey": "a", "Data": b"x"}
        refused(kinesis.put_record, "ResourceNotFoundException", **record)


class TestRead:
    def test_every_kind_of_iterator_begins_where_it_says(self, kinesis, stream):
        name = stream()
        shard = "shardId-000000000000"
        latest = iterator(kinesis, name, kind="LATEST")
        numbers = [
            kinesis.put_record(StreamName=name, PartitionKey="a", Data=str(at).encode())["SequenceNumber"]
            for at in range(3)
        ]
        data = lambda records: [int(record["Data"]) for record in records]
        assert data(read(kinesis, name, shard)[0]) == [0, 1, 2]
        at = {"StartingSequenceNumber": numbers[1]}
        assert data(read(kinesis, name, shard, "AT_SEQUENCE_NUMBER", **at)[0]) == [1, 2]
        assert data(read(kinesis, name, shard, "AFTER_SEQUENCE_NUMBER", **at)[0]) == [2]
        assert data(kinesis.get_records(ShardIterator=latest)["Records"]) == [0, 1, 2]
        assert data(kinesis.get_records(ShardIterator=iterator(kinesis, name, kind="LATEST"))["Records"]) == []
        long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=400)
        assert data(read(kinesis, name, shard, "AT_TIMESTAMP", Timestamp=long_ago)[0]) == [0, 1, 2]

    def test_an_iterator_at_a_time_begins_with_what_arrived_then(self, kinesis, stream):
        name = stream()
        for at in range(3):
            kinesis.put_record(StreamName=name, PartitionKey="a", Data=str(at).encode())
        arrivals = [
            record["ApproximateArrivalTimestamp"] for record in read(kinesis, name, "shardId-000000000000")[0]
        ]
        records, _ = read(kinesis, name, "shardId-000000000000", "AT_TIMESTAMP", Timestamp=arrivals[1])
        expected = [at for at in range(3) if arrivals[at] >= arrivals[1]]
        assert [int(record["Data"]) for record in records] == expected

    def test_a_page_has_at_most_limit_records_and_says_how_far_behind_it_is(self, kinesis, stream):
        name = stream()
        for at in range(3):
            kinesis.put_record(StreamName=name, PartitionKey="a", Data=str(at).encode())
        page = kinesis.get_records(ShardIterator=iterator(kinesis, name), Limit=2)
        assert [record["Data"] for record in page["Records"]] == [b"0", b"1"]
        rest = kinesis.get_records(ShardIterator=page["NextShardIterator"], Limit=2)
        assert [record["Data"] for record in rest["Records"]] == [b"2"]
        assert rest["MillisBehindLatest"] == 0

    def test_wrong_positions_are_refused(self, kinesis, stream):
        name = stream()
        shard = {"StreamName": name, "ShardId": "shardId-000000000000"}
        call = kinesis.get_shard_iterator
        number = kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"x")["SequenceNumber"]
        refused(call, "InvalidArgumentException", **shard, ShardIteratorType="AT_SEQUENCE_NUMBER")
        refused(
            call,
            "InvalidArgumentException",
            **shard,
            ShardIteratorType="LATEST",
            StartingSequenceNumber=number,
        )
        refused(call, "InvalidArgumentException", **shard, ShardIteratorType="AT_TIMESTAMP")
        future = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
        refused(call, "InvalidArgumentException", **shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=future)
        refused(call, "ValidationException", **shard, ShardIteratorType="SOMEWHERE")
        shard["ShardId"] = "shardId-000000000009"
        refused(call, "ResourceNotFoundException", **shard, ShardIteratorType="LATEST")

    def test_wrong_iterators_and_limits_are_refused(self, kinesis, stream):
        name = stream()
        refused(kinesis.get_records, "InvalidArgumentException", ShardIterator="AAAA")
        position = iterator(kinesis, name)
        refused(kinesis.get_records, "ValidationException", ShardIterator=position, Limit=10_001)


class TestReshard:
    def fill(self, kinesis, name, numbers):
        entries = [{"PartitionKey": f"key-{at}", "Data": str(at).encode()} for at in numbers]
        answer = kinesis.put_records(StreamName=name, Records=entries)
        assert answer["FailedRecordCount"] == 0
        return answer["Records"]

    def test_a_split_closes_the_parent_and_loses_nothing(self, kinesis, stream):
        name = stream(shards=2)
        self.fill(kinesis, name, range(100))
        middle = KEYS // 4
        kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(middle))
        shards = {shard["ShardId"]: shard for shard in settled(kinesis, name)}
        assert len(shards) == 4
        parent = shards["shardId-000000000000"]
        assert "EndingSequenceNumber" in parent["SequenceNumberRange"]
        children = [shard for shard in shards.values() if shard.get("ParentShardId") == parent["ShardId"]]
        assert [child["HashKeyRange"]["StartingHashKey"] for child in children] == ["0", str(middle)]
        ending = int(parent["SequenceNumberRange"]["EndingSequenceNumber"])
        for child in children:
            assert int(child["SequenceNumberRange"]["StartingSequenceNumber"]) > ending
        puts = self.fill(kinesis, name, range(100, 200))
        assert "shardId-000000000000" not in {put["ShardId"] for put in puts}
        found = []
        for shard in shards:
            records, is_over = read(kinesis, name, shard)
            assert is_over == (shard == "shardId-000000000000")
            found += [int(record["Data"]) for record in records]
        assert sorted(found) == list(range(200))

    def test_a_merge_has_two_parents(self, kinesis, stream):
        name = stream(shards=2)
        self.fill(kinesis, name, range(20))
        kinesis.merge_shards(
            StreamName=name, ShardToMerge="shardId-000000000000", AdjacentShardToMerge="shardId-000000000001"
        )
        merged = settled(kinesis, name)[-1]
        assert (merged["ParentShardId"], merged["AdjacentParentShardId"]) == (
            "shardId-000000000000",
            "shardId-000000000001",
        )
        assert merged["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": str(KEYS - 1)}
        assert {put["ShardId"] for put in self.fill(kinesis, name, range(20, 40))} == {merged["ShardId"]}

    def test_what_cannot_be_split_or_merged_is_refused(self, kinesis, stream):
        name = stream(shards=3)
        split = {"StreamName": name, "ShardToSplit": "shardId-000000000000"}
        for key in ("0", "1", str(KEYS - 1)):
            refused(kinesis.split_shard, "InvalidArgumentException", **split, NewStartingHashKey=key)
        split["ShardToSplit"] = "shardId-000000000007"
        refused(kinesis.split_shard, "ResourceNotFoundException", **split, NewStartingHashKey="5")
        merge = {"ShardToMerge": "shardId-000000000000", "AdjacentShardToMerge": "shardId-000000000002"}
        refused(kinesis.merge_shards, "InvalidArgumentException", StreamName=name, **merge)
