"""Kinesis Data Streams where kinesalite lags behind AWS: modes, scaling, limits, settings, durability."""

import json
import uuid

import pytest
from botocore.config import Config

from dynaberg import Dynaberg
from test_kinesis import KEYS, iterator, kinesis, read, refused, stream  # noqa: F401


@pytest.fixture
def impatient(aws):
    """A client that takes the first answer for the last."""
    return aws("kinesis", config=Config(retries={"max_attempts": 0}))


def arn(kinesis, name):
    return summary(kinesis, name)["StreamARN"]


def summary(kinesis, name):
    return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]


class TestModes:
    def test_a_stream_on_demand_has_four_shards_and_is_not_resharded_by_hand(self, kinesis):
        name = f"demand-{uuid.uuid4().hex[:8]}"
        kinesis.create_stream(StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"})
        described = summary(kinesis, name)
        assert described["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
        assert described["OpenShardCount"] == 4
        split = {"StreamName": name, "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "500"}
        refused(kinesis.split_shard, "ValidationException", **split)
        scale = {"StreamName": name, "TargetShardCount": 8, "ScalingType": "UNIFORM_SCALING"}
        refused(kinesis.update_shard_count, "ValidationException", **scale)
        mode = {"StreamARN": described["StreamARN"], "StreamModeDetails": {"StreamMode": "PROVISIONED"}}
        kinesis.update_stream_mode(**mode)
        kinesis.split_shard(**split)
        assert summary(kinesis, name)["OpenShardCount"] == 5
        kinesis.delete_stream(StreamARN=described["StreamARN"])

    def test_mode_and_shard_count_go_together(self, kinesis):
        refused(kinesis.create_stream, "InvalidArgumentException", StreamName="x")
        demand = {"StreamMode": "ON_DEMAND"}
        refused(
            kinesis.create_stream, "InvalidArgumentException", StreamName="x", ShardCount=2, StreamModeDetails=demand
        )


class TestScaling:
    def test_a_shard_count_is_reached_by_equal_ranges_and_loses_nothing(self, kinesis, stream):
        name = stream(shards=2)
        written = 0
        for count in (3, 6, 4, 2):
            entries = [{"PartitionKey": str(at), "Data": str(at).encode()} for at in range(written, written + 100)]
            assert kinesis.put_records(StreamName=name, Records=entries)["FailedRecordCount"] == 0
            written += 100
            scaled = kinesis.update_shard_count(
                StreamName=name, TargetShardCount=count, ScalingType="UNIFORM_SCALING"
            )
            assert scaled["TargetShardCount"] == count
            latest = kinesis.list_shards(StreamName=name, ShardFilter={"Type": "AT_LATEST"})["Shards"]
            starts = sorted(int(shard["HashKeyRange"]["StartingHashKey"]) for shard in latest)
            assert starts == [KEYS // count * at for at in range(count)]
        found = []
        for shard in kinesis.list_shards(StreamName=name)["Shards"]:
            records, is_over = read(kinesis, name, shard["ShardId"])
            assert is_over == ("EndingSequenceNumber" in shard["SequenceNumberRange"])
            found += [int(record["Data"]) for record in records]
        assert sorted(found) == list(range(written))

    def test_a_step_is_at_most_the_double_or_the_half(self, kinesis, stream):
        name = stream(shards=4)
        for count in (9, 1):
            scale = {"StreamName": name, "TargetShardCount": count, "ScalingType": "UNIFORM_SCALING"}
            refused(kinesis.update_shard_count, "InvalidArgumentException", **scale)

    def test_the_end_of_a_shard_names_its_children(self, kinesis, stream):
        name = stream()
        kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(KEYS // 2))
        page = kinesis.get_records(ShardIterator=iterator(kinesis, name))
        assert "NextShardIterator" not in page
        assert [(child["ShardId"], child["ParentShards"]) for child in page["ChildShards"]] == [
            ("shardId-000000000001", ["shardId-000000000000"]),
            ("shardId-000000000002", ["shardId-000000000000"]),
        ]

    def test_shards_are_listed_in_pages_and_by_moment(self, kinesis, stream):
        name = stream(shards=3)
        kinesis.merge_shards(
            StreamName=name, ShardToMerge="shardId-000000000000", AdjacentShardToMerge="shardId-000000000001"
        )
        pages = [kinesis.list_shards(StreamName=name, MaxResults=2)]
        while token := pages[-1].get("NextToken"):
            pages.append(kinesis.list_shards(NextToken=token, MaxResults=2))
        ids = [[int(shard["ShardId"][-2:]) for shard in page["Shards"]] for page in pages]
        assert ids == [[0, 1], [2, 3]]
        listed = lambda **shard_filter: [
            int(shard["ShardId"][-2:])
            for shard in kinesis.list_shards(StreamName=name, ShardFilter=shard_filter)["Shards"]
        ]
        assert listed(Type="AT_LATEST") == [2, 3]
        assert listed(Type="FROM_TRIM_HORIZON") == [0, 1, 2, 3]
        assert listed(Type="AT_TRIM_HORIZON") == [0, 1, 2] or listed(Type="AT_TRIM_HORIZON") == [0, 1, 2, 3]
        assert listed(Type="AFTER_SHARD_ID", ShardId="shardId-000000000001") == [2, 3]
        refused(kinesis.list_shards, "InvalidArgumentException", StreamName=name, ShardFilter={"Type": "AT_TIMESTAMP"})
        refused(kinesis.list_shards, "InvalidArgumentException", NextToken="nothing of ours")


class TestPages:
    def test_shards_are_described_in_pages(self, kinesis, stream):
        name = stream(shards=3)
        first = kinesis.describe_stream(StreamName=name, Limit=2)["StreamDescription"]
        assert first["HasMoreShards"] and len(first["Shards"]) == 2
        start = first["Shards"][-1]["ShardId"]
        rest = kinesis.describe_stream(StreamName=name, ExclusiveStartShardId=start)["StreamDescription"]
        assert [shard["ShardId"] for shard in rest["Shards"]] == ["shardId-000000000002"]


class TestLimits:
    def test_a_shard_takes_a_thousand_records_and_the_others_are_named(self, kinesis, stream):
        name = stream()
        entries = [{"PartitionKey": "a", "Data": b"x"}] * 500
        answers = [kinesis.put_records(StreamName=name, Records=entries) for _ in range(6)]
        failed = [entry for answer in answers for entry in answer["Records"] if "ErrorCode" in entry]
        assert failed and len(failed) == sum(answer["FailedRecordCount"] for answer in answers)
        assert {entry["ErrorCode"] for entry in failed} == {"ProvisionedThroughputExceededException"}
        assert "shardId-000000000000" in failed[0]["ErrorMessage"]
        taken = [entry for answer in answers for entry in answer["Records"] if "ErrorCode" not in entry]
        records, _ = read(kinesis, name, "shardId-000000000000")
        assert [record["SequenceNumber"] for record in records] == [entry["SequenceNumber"] for entry in taken]

    def test_a_shard_takes_a_mebibyte_a_second(self, impatient, stream):
        record = {"StreamName": stream(), "PartitionKey": "a", "Data": b"x" * 900_000}
        with pytest.raises(impatient.exceptions.ProvisionedThroughputExceededException):
            for _ in range(50):
                impatient.put_record(**record)

    def test_a_shard_is_read_five_times_a_second(self, impatient, stream):
        position = iterator(impatient, stream())
        with pytest.raises(impatient.exceptions.ProvisionedThroughputExceededException):
            for _ in range(200):
                impatient.get_records(ShardIterator=position)

    def test_a_stream_takes_records_as_large_as_it_was_told(self, kinesis, stream):
        name = stream()
        record = {"StreamName": name, "PartitionKey": "a", "Data": b"x" * (2 * 1024 * 1024)}
        refused(kinesis.put_record, "ValidationException", **record)
        kinesis.update_max_record_size(StreamARN=arn(kinesis, name), MaxRecordSizeInKiB=4096)
        assert summary(kinesis, name)["MaxRecordSizeInKiB"] == 4096
        kinesis.put_record(**record)
        records, _ = read(kinesis, name, "shardId-000000000000")
        assert records[-1]["Data"] == record["Data"]

    def test_retention_ends_at_a_year(self, kinesis, stream):
        name = stream()
        kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=8760)
        change = {"StreamName": name, "RetentionPeriodHours": 8761}
        refused(kinesis.increase_stream_retention_period, "InvalidArgumentException", **change)

    def test_what_is_not_served_is_refused_by_name(self, kinesis, stream):
        name = stream()
        record = {"StreamName": name, "PartitionKey": "a", "Data": b"x"}
        assert "DryRun" in refused(kinesis.put_record, "InvalidArgumentException", **record, DryRun=True)


class TestSettings:
    def test_encryption_is_shown_where_it_is_on(self, kinesis, stream):
        name = stream()
        key = {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
        kinesis.start_stream_encryption(StreamName=name, **key)
        described = kinesis.describe_stream(StreamName=name)["StreamDescription"]
        assert (described["EncryptionType"], described["KeyId"]) == ("KMS", "alias/aws/kinesis")
        put = kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"x")
        assert put["EncryptionType"] == "KMS"
        kinesis.stop_stream_encryption(StreamName=name, **key)
        assert summary(kinesis, name)["EncryptionType"] == "NONE"

    def test_metrics_of_shards_are_switched_on_and_off(self, kinesis, stream):
        name = stream()
        metrics = {"ShardLevelMetrics": ["IncomingBytes", "OutgoingBytes"]}
        enabled = kinesis.enable_enhanced_monitoring(StreamName=name, **metrics)
        assert enabled["CurrentShardLevelMetrics"] == []
        assert enabled["DesiredShardLevelMetrics"] == ["IncomingBytes", "OutgoingBytes"]
        kinesis.disable_enhanced_monitoring(StreamName=name, ShardLevelMetrics=["IncomingBytes"])
        assert summary(kinesis, name)["EnhancedMonitoring"] == [{"ShardLevelMetrics": ["OutgoingBytes"]}]
        kinesis.disable_enhanced_monitoring(StreamName=name, ShardLevelMetrics=["ALL"])
        assert summary(kinesis, name)["EnhancedMonitoring"] == [{"ShardLevelMetrics": []}]

    def test_a_policy_is_kept_as_it_was_put(self, kinesis, stream):
        resource = {"ResourceARN": arn(kinesis, stream())}
        refused(kinesis.get_resource_policy, "ResourceNotFoundException", **resource)
        policy = json.dumps({"Version": "2012-10-17", "Statement": []})
        kinesis.put_resource_policy(**resource, Policy=policy)
        assert kinesis.get_resource_policy(**resource)["Policy"] == policy
        kinesis.delete_resource_policy(**resource)
        refused(kinesis.get_resource_policy, "ResourceNotFoundException", **resource)
        refused(kinesis.put_resource_policy, "InvalidArgumentException", **resource, Policy="no JSON")

    def test_resources_are_tagged_by_their_arn(self, kinesis, stream):
        resource = {"ResourceARN": arn(kinesis, stream())}
        kinesis.tag_resource(**resource, Tags={"a": "1", "b": "2"})
        kinesis.untag_resource(**resource, TagKeys=["a"])
        assert kinesis.list_tags_for_resource(**resource)["Tags"] == [{"Key": "b", "Value": "2"}]

    def test_consumers_are_registered_and_keep_a_stream_from_being_deleted(self, kinesis):
        name = f"consumed-{uuid.uuid4().hex[:8]}"
        kinesis.create_stream(StreamName=name, ShardCount=1)
        stream_arn = arn(kinesis, name)
        consumer = kinesis.register_stream_consumer(StreamARN=stream_arn, ConsumerName="c")["Consumer"]
        assert consumer["ConsumerStatus"] == "ACTIVE"
        assert consumer["ConsumerARN"].startswith(f"{stream_arn}/consumer/c:")
        registered = {"StreamARN": stream_arn, "ConsumerName": "c"}
        refused(kinesis.register_stream_consumer, "ResourceInUseException", **registered)
        described = kinesis.describe_stream_consumer(ConsumerARN=consumer["ConsumerARN"])["ConsumerDescription"]
        assert described["StreamARN"] == stream_arn
        assert kinesis.list_stream_consumers(StreamARN=stream_arn)["Consumers"] == [consumer]
        refused(kinesis.delete_stream, "ResourceInUseException", StreamName=name)
        kinesis.deregister_stream_consumer(**registered)
        refused(kinesis.describe_stream_consumer, "ResourceNotFoundException", **registered)
        kinesis.delete_stream(StreamName=name)

    def test_limits_count_what_there_is(self, kinesis, stream):
        before = kinesis.describe_limits()
        stream(shards=3)
        after = kinesis.describe_limits()
        assert after["OpenShardCount"] == before["OpenShardCount"] + 3 <= after["ShardLimit"]


def test_what_was_acknowledged_survives_kills(tmp_path):
    running = Dynaberg(tmp_path / "data")
    running.client("kinesis").create_stream(StreamName="killed", ShardCount=2)
    acknowledged = {}
    for round_number in range(5):
        kinesis = running.client("kinesis")
        for at in range(10):
            entries = [{"PartitionKey": f"{round_number}-{at}-{n}", "Data": b"x"} for n in range(10)]
            for entry, put in zip(entries, kinesis.put_records(StreamName="killed", Records=entries)["Records"]):
                acknowledged[put["SequenceNumber"]] = (put["ShardId"], entry["PartitionKey"])
        if round_number == 2:
            kinesis.split_shard(StreamName="killed", ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")
        running.kill()
        running = Dynaberg(tmp_path / "data", ports=running.ports)
    try:
        kinesis = running.client("kinesis")
        found = {}
        for shard in kinesis.list_shards(StreamName="killed")["Shards"]:
            records, _ = read(kinesis, "killed", shard["ShardId"])
            numbers = [int(record["SequenceNumber"]) for record in records]
            assert numbers == sorted(set(numbers))
            found |= {record["SequenceNumber"]: (shard["ShardId"], record["PartitionKey"]) for record in records}
        assert found == acknowledged
    finally:
        running.stop()
