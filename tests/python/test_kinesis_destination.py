"""Changes of DynamoDB tables in Kinesis streams, as AWS shapes them."""

import json
import time
import uuid

import pytest

from dynaberg import Dynaberg
from test_kinesis import kinesis, read, refused  # noqa: F401


@pytest.fixture(scope="session")
def dynamodb(aws):
    return aws("dynamodb")


def create_table(dynamodb, name, **more):
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


def create_stream(kinesis, name, shards=1):
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]


def changes(kinesis, name):
    shards = kinesis.list_shards(StreamName=name)["Shards"]
    records = [record for shard in shards for record in read(kinesis, name, shard["ShardId"])[0]]
    return [json.loads(record["Data"]) for record in records]


@pytest.fixture
def pair(dynamodb, kinesis):
    """A table and the ARN of a stream, not connected yet."""
    name = f"pair-{uuid.uuid4().hex[:8]}"
    create_table(dynamodb, name)
    return {"TableName": name, "StreamArn": create_stream(kinesis, name)}


def state(dynamodb, table):
    described = dynamodb.describe_kinesis_streaming_destination(TableName=table)
    return [
        (one["DestinationStatus"], one["ApproximateCreationDateTimePrecision"])
        for one in described["KinesisDataStreamDestinations"]
    ]


class TestRecords:
    def test_an_item_s_life_is_recorded_with_both_images(self, dynamodb, kinesis, pair):
        enabled = dynamodb.enable_kinesis_streaming_destination(**pair)
        assert enabled["DestinationStatus"] == "ENABLING"
        assert state(dynamodb, pair["TableName"]) == [("ACTIVE", "MICROSECOND")]
        table = pair["TableName"]
        item = {"id": {"S": "a"}, "tags": {"SS": ["x", "y"]}, "deep": {"M": {"n": {"N": "1.5"}}}}
        before_us = time.time() * 1e6
        dynamodb.put_item(TableName=table, Item=item)
        dynamodb.put_item(TableName=table, Item=item)
        dynamodb.update_item(
            TableName=table,
            Key={"id": {"S": "a"}},
            UpdateExpression="SET amount = :t",
            ExpressionAttributeValues={":t": {"N": "7"}},
        )
        dynamodb.delete_item(TableName=table, Key={"id": {"S": "a"}})
        records = changes(kinesis, table)
        assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
        inserted, modified, removed = records
        assert set(inserted) == {
            "awsRegion", "eventID", "eventName", "userIdentity", "recordFormat", "tableName", "dynamodb", "eventSource"
        }
        assert inserted["recordFormat"] == "application/json"
        assert inserted["tableName"] == table
        assert inserted["eventSource"] == "aws:dynamodb"
        assert inserted["userIdentity"] is None
        change = inserted["dynamodb"]
        assert set(change) == {
            "ApproximateCreationDateTime", "ApproximateCreationDateTimePrecision", "Keys", "NewImage", "SizeBytes"
        }
        assert change["Keys"] == {"id": {"S": "a"}}
        assert change["NewImage"]["deep"] == item["deep"]
        assert modified["dynamodb"]["OldImage"] == change["NewImage"]
        assert removed["dynamodb"]["OldImage"] == modified["dynamodb"]["NewImage"]
        times = [record["dynamodb"]["ApproximateCreationDateTime"] for record in records]
        assert times == sorted(set(times))
        assert before_us - 5e6 < times[0] < time.time() * 1e6 + 5e6
        assert len({record["eventID"] for record in records}) == 3

    def test_the_stream_of_the_table_has_the_same_changes(self, dynamodb, kinesis, aws):
        name = f"both-{uuid.uuid4().hex[:8]}"
        specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
        create_table(dynamodb, name, StreamSpecification=specification)
        arn = create_stream(kinesis, name)
        dynamodb.enable_kinesis_streaming_destination(TableName=name, StreamArn=arn)
        dynamodb.put_item(TableName=name, Item={"id": {"S": "a"}})
        dynamodb.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})
        dynamodb.put_item(TableName=name, Item={"id": {"S": "b"}})
        assert [record["dynamodb"]["Keys"]["id"]["S"] for record in changes(kinesis, name)] == ["a", "b"]
        assert "StreamSpecification" not in dynamodb.describe_table(TableName=name)["Table"]

    def test_changes_of_an_item_share_a_shard(self, dynamodb, kinesis):
        name = f"wide-{uuid.uuid4().hex[:8]}"
        create_table(dynamodb, name)
        dynamodb.enable_kinesis_streaming_destination(TableName=name, StreamArn=create_stream(kinesis, name, 4))
        for at in range(40):
            dynamodb.put_item(TableName=name, Item={"id": {"S": str(at % 10)}, "at": {"N": str(at)}})
        shards = {}
        for shard in kinesis.list_shards(StreamName=name)["Shards"]:
            for record in read(kinesis, name, shard["ShardId"])[0]:
                keys = json.loads(record["Data"])["dynamodb"]["Keys"]["id"]["S"]
                shards.setdefault(keys, set()).add(shard["ShardId"])
        assert len(shards) == 10 and all(len(ids) == 1 for ids in shards.values())
        assert len(set.union(*shards.values())) > 1


class TestLife:
    def test_precision_can_be_chosen_and_changed(self, dynamodb, kinesis, pair):
        milliseconds = {"ApproximateCreationDateTimePrecision": "MILLISECOND"}
        dynamodb.enable_kinesis_streaming_destination(**pair, EnableKinesisStreamingConfiguration=milliseconds)
        dynamodb.put_item(TableName=pair["TableName"], Item={"id": {"S": "a"}})
        microseconds = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}
        update = {**pair, "UpdateKinesisStreamingConfiguration": microseconds}
        assert dynamodb.update_kinesis_streaming_destination(**update)["DestinationStatus"] == "UPDATING"
        refused(dynamodb.update_kinesis_streaming_destination, "ValidationException", **update)
        dynamodb.put_item(TableName=pair["TableName"], Item={"id": {"S": "b"}})
        milli, micro = [record["dynamodb"] for record in changes(kinesis, pair["TableName"])]
        assert len(str(milli["ApproximateCreationDateTime"])) == 13
        assert len(str(micro["ApproximateCreationDateTime"])) == 16

    def test_a_disabled_destination_gets_nothing_and_can_be_enabled_again(self, dynamodb, kinesis, pair):
        table = pair["TableName"]
        refused(dynamodb.disable_kinesis_streaming_destination, "ValidationException", **pair)
        dynamodb.enable_kinesis_streaming_destination(**pair)
        refused(dynamodb.enable_kinesis_streaming_destination, "ValidationException", **pair)
        dynamodb.put_item(TableName=table, Item={"id": {"S": "seen"}})
        assert dynamodb.disable_kinesis_streaming_destination(**pair)["DestinationStatus"] == "DISABLING"
        assert state(dynamodb, table) == [("DISABLED", "MICROSECOND")]
        dynamodb.put_item(TableName=table, Item={"id": {"S": "unseen"}})
        dynamodb.enable_kinesis_streaming_destination(**pair)
        dynamodb.put_item(TableName=table, Item={"id": {"S": "seen again"}})
        seen = [record["dynamodb"]["Keys"]["id"]["S"] for record in changes(kinesis, table)]
        assert seen == ["seen", "seen again"]

    def test_unknown_tables_and_streams_are_refused(self, dynamodb, pair):
        enable = dynamodb.enable_kinesis_streaming_destination
        nobody = pair["StreamArn"] + "-nobody"
        refused(enable, "ResourceNotFoundException", TableName=pair["TableName"], StreamArn=nobody)
        refused(enable, "ResourceNotFoundException", TableName="nobody", StreamArn=pair["StreamArn"])

    def test_a_deleted_stream_ends_its_destination(self, dynamodb, kinesis, pair):
        dynamodb.enable_kinesis_streaming_destination(**pair)
        kinesis.delete_stream(StreamARN=pair["StreamArn"])
        dynamodb.put_item(TableName=pair["TableName"], Item={"id": {"S": "a"}})
        assert state(dynamodb, pair["TableName"])[0][0] == "DISABLED"


def test_every_acknowledged_change_is_delivered_once_across_kills(tmp_path):
    running = Dynaberg(tmp_path / "data")
    dynamodb, kinesis = running.client("dynamodb"), running.client("kinesis")
    create_table(dynamodb, "killed")
    arn = create_stream(kinesis, "killed", 2)
    dynamodb.enable_kinesis_streaming_destination(TableName="killed", StreamArn=arn)
    for at in range(60):
        dynamodb.put_item(TableName="killed", Item={"id": {"S": f"{at}"}})
        if at % 20 == 19:
            running.kill()
            running = Dynaberg(tmp_path / "data", ports=running.ports)
            dynamodb = running.client("dynamodb")
    try:
        found = [record["dynamodb"]["Keys"]["id"]["S"] for record in changes(running.client("kinesis"), "killed")]
        assert sorted(found, key=int) == [str(at) for at in range(60)]
    finally:
        running.stop()


def test_faults_repeat_and_swap_records_where_they_are_asked_for(tmp_path):
    running = Dynaberg(tmp_path / "data", options=["--kinesis-faults", "0.3"])
    try:
        dynamodb, kinesis = running.client("dynamodb"), running.client("kinesis")
        create_table(dynamodb, "faulty")
        arn = create_stream(kinesis, "faulty")
        dynamodb.enable_kinesis_streaming_destination(TableName="faulty", StreamArn=arn)
        for at in range(20):
            requests = [{"PutRequest": {"Item": {"id": {"S": f"{at}-{n}"}}}} for n in range(10)]
            dynamodb.batch_write_item(RequestItems={"faulty": requests})
        found = changes(kinesis, "faulty")
        times = [record["dynamodb"]["ApproximateCreationDateTime"] for record in found]
        distinct = {record["eventID"] for record in found}
        assert len(distinct) == 200 < len(found)
        assert times != sorted(times)
    finally:
        running.stop()
