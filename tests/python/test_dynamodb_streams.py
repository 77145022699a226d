"""DynamoDB Streams by boto3. The same tests run against Dynaberg and against AWS's DynamoDB Local.

What only one of them does stands in a class of its own; docs/src/differences-streams.md lists the differences.
"""

import datetime
import itertools
import re
import time
from decimal import Decimal

import boto3.dynamodb.types
import pytest
from botocore.exceptions import ClientError

NAMES = itertools.count()


@pytest.fixture(scope="module")
def dynamodb(aws):
    return aws("dynamodb")


@pytest.fixture(scope="module")
def streams(aws):
    return aws("dynamodbstreams")


@pytest.fixture
def table(dynamodb):
    """Makes tables with a string key, and deletes them at the end."""
    names = []

    def make(view_type="NEW_AND_OLD_IMAGES", **settings):
        name = f"streams-{time.time_ns()}-{next(NAMES)}"
        specification = {"StreamEnabled": True, "StreamViewType": view_type}
        description = dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            **{"StreamSpecification": specification, **settings},
        )["TableDescription"]
        names.append(name)
        dynamodb.get_waiter("table_exists").wait(TableName=name)
        return description

    yield make
    for name in names:
        dynamodb.delete_table(TableName=name)


def put(dynamodb, description, item_id, **attributes):
    serialize = boto3.dynamodb.types.TypeSerializer().serialize
    item = {name: serialize(value) for name, value in {"id": item_id, **attributes}.items()}
    dynamodb.put_item(TableName=description["TableName"], Item=item)


def shards_of(streams, arn):
    return streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]


def iterator_of(streams, arn, shard, iterator_type, **position):
    answer = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType=iterator_type, **position
    )
    return answer["ShardIterator"]


def read(streams, iterator, limit=1000):
    """The records from an iterator to the end of what there is."""
    records = []
    while iterator:
        page = streams.get_records(ShardIterator=iterator, Limit=limit)
        records += page["Records"]
        iterator = page.get("NextShardIterator") if page["Records"] else None
    return records


def records_of(streams, description):
    arn = description["LatestStreamArn"]
    shards = shards_of(streams, arn)
    return [r for shard in shards for r in read(streams, iterator_of(streams, arn, shard, "TRIM_HORIZON"))]


def written_shard(streams, description):
    """The shard that holds records, and these."""
    arn = description["LatestStreamArn"]
    for shard in shards_of(streams, arn):
        if records := read(streams, iterator_of(streams, arn, shard, "TRIM_HORIZON")):
            return shard, records
    raise AssertionError("no shard holds a record")


def ids(records):
    return [record["dynamodb"]["Keys"]["id"]["S"] for record in records]


def names(records):
    return [record["eventName"] for record in records]


def code(refused):
    return refused.value.response["Error"]["Code"]


def switch(dynamodb, description, specification):
    answer = dynamodb.update_table(TableName=description["TableName"], StreamSpecification=specification)
    return answer["TableDescription"]


class TestRecords:
    def test_a_record_has_the_shape_that_aws_documents(self, dynamodb, streams, table):
        description = table()
        put(dynamodb, description, "a", total=Decimal("12.50"))

        (record,) = records_of(streams, description)

        assert record["eventName"] == "INSERT"
        assert record["eventVersion"] == "1.1"
        assert record["eventSource"] == "aws:dynamodb"
        assert record["awsRegion"] == description["TableArn"].split(":")[3]
        assert record["eventID"]
        assert "userIdentity" not in record
        change = record["dynamodb"]
        assert change["Keys"] == {"id": {"S": "a"}}
        assert change["NewImage"] == {"id": {"S": "a"}, "total": {"N": "12.5"}}
        assert "OldImage" not in change
        assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES"
        assert re.fullmatch("[0-9]{21,40}", change["SequenceNumber"])
        age = datetime.datetime.now(datetime.UTC) - change["ApproximateCreationDateTime"]
        assert abs(age) < datetime.timedelta(minutes=2)
        assert change["ApproximateCreationDateTime"].microsecond == 0

    def test_sizes_are_counted_as_item_sizes_are(self, dynamodb, streams, table):
        description = table()
        put(dynamodb, description, "b", total=Decimal("-12.50"))
        put(dynamodb, description, "c", n=Decimal(100))
        nested = {"list": [1, "xx"], "map": {"k": "vv"}, "set": {3, 1, 2}}
        put(dynamodb, description, "d", flag=True, bytes=b"abc", none=None, **nested)

        sizes = {r["dynamodb"]["Keys"]["id"]["S"]: r["dynamodb"]["SizeBytes"] for r in records_of(streams, description)}

        assert sizes == {"b": 15, "c": 9, "d": 56}

    def test_insert_modify_and_remove_carry_the_item_before_and_after(self, dynamodb, streams, table):
        description = table()
        put(dynamodb, description, "a", n=1)
        put(dynamodb, description, "a", n=2)
        dynamodb.delete_item(TableName=description["TableName"], Key={"id": {"S": "a"}})

        records = records_of(streams, description)

        assert names(records) == ["INSERT", "MODIFY", "REMOVE"]
        changes = [record["dynamodb"] for record in records]
        assert [change.get("OldImage", {}).get("n") for change in changes] == [None, {"N": "1"}, {"N": "2"}]
        assert [change.get("NewImage", {}).get("n") for change in changes] == [{"N": "1"}, {"N": "2"}, None]
        numbers = [int(change["SequenceNumber"]) for change in changes]
        assert numbers == sorted(set(numbers))
        assert len({record["eventID"] for record in records}) == 3

    @pytest.mark.parametrize(
        ("view_type", "images"),
        [
            ("KEYS_ONLY", set()),
            ("NEW_IMAGE", {"NewImage"}),
            ("OLD_IMAGE", {"OldImage"}),
            ("NEW_AND_OLD_IMAGES", {"NewImage", "OldImage"}),
        ],
    )
    def test_a_view_type_shows_only_what_it_names(self, dynamodb, streams, table, view_type, images):
        description = table(view_type)
        put(dynamodb, description, "a", n=1)
        put(dynamodb, description, "a", n=2)

        modified = records_of(streams, description)[1]["dynamodb"]

        assert modified["StreamViewType"] == view_type
        assert images == modified.keys() & {"NewImage", "OldImage"}
        assert modified["Keys"] == {"id": {"S": "a"}}

    def test_every_type_of_value_survives(self, dynamodb, streams, table):
        description = table()
        item = {
            "id": {"S": "a"},
            "number": {"N": "12345678901234567890123456789012345678"},
            "small": {"N": "0.0000000000000000000000000000000000000000000001"},
            "binary": {"B": b"\x00\xff"},
            "flag": {"BOOL": False},
            "none": {"NULL": True},
            "empty": {"S": ""},
            "list": {"L": [{"S": "ü\n\"\\"}, {"L": []}]},
            "map": {"M": {"key": {"N": "-1"}}},
            "strings": {"SS": ["x"]},
            "numbers": {"NS": ["1"]},
            "binaries": {"BS": [b"x"]},
        }
        dynamodb.put_item(TableName=description["TableName"], Item=item)

        (record,) = records_of(streams, description)

        assert record["dynamodb"]["NewImage"] == item

    def test_a_put_of_the_same_item_leaves_no_record(self, dynamodb, streams, table):
        description = table()
        for _ in range(2):
            put(dynamodb, description, "a", n=1, words={"x", "y"})
        dynamodb.delete_item(TableName=description["TableName"], Key={"id": {"S": "nobody"}})

        assert names(records_of(streams, description)) == ["INSERT"]

    def test_batches_transactions_and_statements_are_recorded(self, dynamodb, streams, table):
        description = table()
        name = description["TableName"]
        puts = [{"PutRequest": {"Item": {"id": {"S": item_id}}}} for item_id in "ab"]
        dynamodb.batch_write_item(RequestItems={name: puts})
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": name, "Item": {"id": {"S": "c"}}}},
                {"Delete": {"TableName": name, "Key": {"id": {"S": "a"}}}},
            ]
        )
        dynamodb.execute_statement(Statement=f"UPDATE \"{name}\" SET n = 1 WHERE id = 'b'")

        recorded = {}
        for record in records_of(streams, description):
            recorded.setdefault(record["dynamodb"]["Keys"]["id"]["S"], []).append(record["eventName"])

        assert recorded == {"a": ["INSERT", "REMOVE"], "b": ["INSERT", "MODIFY"], "c": ["INSERT"]}

    def test_a_refused_write_leaves_no_record(self, dynamodb, streams, table):
        description = table()
        put(dynamodb, description, "a", n=1)
        with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
            dynamodb.put_item(
                TableName=description["TableName"],
                Item={"id": {"S": "a"}},
                ConditionExpression="attribute_not_exists(id)",
            )

        assert names(records_of(streams, description)) == ["INSERT"]

    def test_a_write_can_be_read_as_soon_as_it_is_acknowledged(self, dynamodb, streams, table):
        description = table("KEYS_ONLY")
        for count in range(1, 11):
            put(dynamodb, description, f"k{count}")
            assert len(records_of(streams, description)) == count


class TestIterators:
    @pytest.fixture
    def written(self, dynamodb, streams, table):
        """A shard with three records of one key, and what to read it by."""
        description = table()
        for n in range(3):
            put(dynamodb, description, "a", n=n)
        shard, records = written_shard(streams, description)
        return description, shard, [record["dynamodb"]["SequenceNumber"] for record in records]

    def test_each_type_begins_where_its_name_says(self, streams, written):
        description, shard, numbers = written
        arn = description["LatestStreamArn"]

        def read_from(iterator_type, **position):
            records = read(streams, iterator_of(streams, arn, shard, iterator_type, **position))
            return [record["dynamodb"]["SequenceNumber"] for record in records]

        assert read_from("TRIM_HORIZON") == numbers
        assert read_from("AT_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == numbers[1:]
        assert read_from("AFTER_SEQUENCE_NUMBER", SequenceNumber=numbers[1]) == numbers[2:]
        assert read_from("LATEST") == []

    def test_latest_is_fixed_when_it_is_issued(self, dynamodb, streams, written):
        description, shard, _ = written
        latest = iterator_of(streams, description["LatestStreamArn"], shard, "LATEST")
        put(dynamodb, description, "a", n=3)

        (record,) = read(streams, latest)
        assert record["dynamodb"]["NewImage"]["n"] == {"N": "3"}

    def test_pages_join_without_gap(self, streams, written):
        description, shard, numbers = written
        iterator = iterator_of(streams, description["LatestStreamArn"], shard, "TRIM_HORIZON")

        assert [r["dynamodb"]["SequenceNumber"] for r in read(streams, iterator, limit=1)] == numbers
        first = streams.get_records(ShardIterator=iterator, Limit=2)
        assert len(first["Records"]) == 2
        assert streams.get_records(ShardIterator=iterator, Limit=2)["Records"] == first["Records"]

    def test_an_open_shard_has_always_a_next_iterator(self, dynamodb, streams, written):
        description, shard, _ = written
        iterator = iterator_of(streams, description["LatestStreamArn"], shard, "LATEST")
        for _ in range(3):
            page = streams.get_records(ShardIterator=iterator)
            assert page["Records"] == []
            iterator = page["NextShardIterator"]
        put(dynamodb, description, "a", n=4)
        assert len(read(streams, iterator)) == 1

    def test_positions_that_make_no_sense_are_refused(self, streams, written):
        description, shard, numbers = written
        arn = description["LatestStreamArn"]
        for iterator_type, position in [
            ("AT_SEQUENCE_NUMBER", {}),
            ("AFTER_SEQUENCE_NUMBER", {}),
            ("AT_SEQUENCE_NUMBER", {"SequenceNumber": "0" * 20 + "1"}),
            ("LATEST", {"SequenceNumber": numbers[0]}),
            ("TRIM_HORIZON", {"SequenceNumber": numbers[0]}),
        ]:
            with pytest.raises(ClientError) as refused:
                iterator_of(streams, arn, shard, iterator_type, **position)
            assert code(refused) == "ValidationException"
        with pytest.raises(ClientError) as refused:
            streams.get_records(ShardIterator="nonsense")
        assert code(refused) == "ValidationException"

    def test_what_does_not_exist_is_named(self, streams, written):
        description, shard, _ = written
        arn = description["LatestStreamArn"]
        other = arn[:-1] + ("1" if arn[-1] == "0" else "0")
        nowhere = {"ShardId": "shardId-00000000000000000000-00000000"}
        with pytest.raises(streams.exceptions.ResourceNotFoundException):
            streams.describe_stream(StreamArn=other)
        with pytest.raises(streams.exceptions.ResourceNotFoundException):
            iterator_of(streams, other, shard, "LATEST")
        with pytest.raises(streams.exceptions.ResourceNotFoundException):
            iterator_of(streams, arn, nowhere, "LATEST")


class TestStreams:
    def test_a_table_names_its_stream_by_arn_and_label(self, dynamodb, streams, table):
        description = table("NEW_IMAGE")
        arn = description["LatestStreamArn"]

        stream = streams.describe_stream(StreamArn=arn)["StreamDescription"]
        described = dynamodb.describe_table(TableName=description["TableName"])["Table"]

        assert arn == f"{description['TableArn']}/stream/{description['LatestStreamLabel']}"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", description["LatestStreamLabel"])
        assert described["LatestStreamArn"] == arn
        assert described["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        assert stream["StreamArn"] == arn
        assert stream["StreamLabel"] == description["LatestStreamLabel"]
        assert stream["StreamStatus"] == "ENABLED"
        assert stream["StreamViewType"] == "NEW_IMAGE"
        assert stream["TableName"] == description["TableName"]
        assert stream["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
        for shard in stream["Shards"]:
            assert 28 <= len(shard["ShardId"]) <= 65
            assert re.fullmatch("[0-9]{21,40}", shard["SequenceNumberRange"]["StartingSequenceNumber"])
            assert "EndingSequenceNumber" not in shard["SequenceNumberRange"]

    def test_enabling_again_makes_a_new_stream_and_the_old_one_stays_readable(self, dynamodb, streams, table):
        description = table()
        put(dynamodb, description, "seen")
        disabled = switch(dynamodb, description, {"StreamEnabled": False})
        put(dynamodb, description, "unseen")
        time.sleep(0.002)
        enabled = switch(dynamodb, description, {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
        put(dynamodb, description, "seen again")

        assert disabled["LatestStreamArn"] == description["LatestStreamArn"]
        assert "StreamSpecification" not in disabled
        assert enabled["LatestStreamArn"] != description["LatestStreamArn"]
        old = streams.describe_stream(StreamArn=description["LatestStreamArn"])["StreamDescription"]
        assert old["StreamStatus"] == "DISABLED"
        assert all("EndingSequenceNumber" in shard["SequenceNumberRange"] for shard in old["Shards"])
        assert ids(records_of(streams, description)) == ["seen"]
        assert ids(records_of(streams, enabled)) == ["seen again"]
        listed = streams.list_streams(TableName=description["TableName"])["Streams"]
        assert {s["StreamArn"] for s in listed} == {d["LatestStreamArn"] for d in (description, enabled)}

    def test_a_closed_shard_ends_with_no_next_iterator(self, dynamodb, streams, table):
        description = table()
        put(dynamodb, description, "a")
        switch(dynamodb, description, {"StreamEnabled": False})
        shard, _ = written_shard(streams, description)
        iterator = iterator_of(streams, description["LatestStreamArn"], shard, "TRIM_HORIZON")
        found = []
        for _ in range(3):
            page = streams.get_records(ShardIterator=iterator)
            found += page["Records"]
            iterator = page.get("NextShardIterator")
            if iterator is None:
                break
        assert (ids(found), iterator) == (["a"], None)

    def test_a_stream_is_neither_enabled_nor_disabled_twice(self, dynamodb, table):
        description = table()
        with pytest.raises(ClientError) as refused:
            switch(dynamodb, description, {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
        assert code(refused) == "ValidationException"
        switch(dynamodb, description, {"StreamEnabled": False})
        with pytest.raises(ClientError) as refused:
            switch(dynamodb, description, {"StreamEnabled": False})
        assert code(refused) == "ValidationException"

    def test_a_specification_that_makes_no_sense_is_refused(self, table):
        for specification in [{"StreamEnabled": True}, {"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"}]:
            with pytest.raises(ClientError) as refused:
                table(StreamSpecification=specification)
            assert code(refused) == "ValidationException"

    def test_the_stream_of_a_deleted_table_can_still_be_read(self, dynamodb, streams, table):
        description = table()
        put(dynamodb, description, "a")
        again = dict(
            TableName=description["TableName"],
            AttributeDefinitions=description["AttributeDefinitions"],
            KeySchema=description["KeySchema"],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )
        dynamodb.delete_table(TableName=description["TableName"])
        dynamodb.get_waiter("table_not_exists").wait(TableName=description["TableName"])
        recreated = dynamodb.create_table(**again)["TableDescription"]
        put(dynamodb, description, "b")

        assert recreated["LatestStreamArn"] != description["LatestStreamArn"]
        old = streams.describe_stream(StreamArn=description["LatestStreamArn"])["StreamDescription"]
        assert old["StreamStatus"] == "DISABLED"
        assert ids(records_of(streams, description)) == ["a"]
        assert ids(records_of(streams, recreated)) == ["b"]

    def test_limits_are_checked(self, streams, table):
        arn = table()["LatestStreamArn"]
        for call in [
            lambda: streams.describe_stream(StreamArn=arn, Limit=101),
            lambda: streams.list_streams(Limit=101),
        ]:
            with pytest.raises(ClientError) as refused:
                call()
            assert code(refused) == "ValidationException"

    def test_children_of_a_shard_can_be_asked_for(self, streams, table):
        arn = table()["LatestStreamArn"]
        shard = shards_of(streams, arn)[0]["ShardId"]
        answer = streams.describe_stream(StreamArn=arn, ShardFilter={"Type": "CHILD_SHARDS", "ShardId": shard})
        assert answer["StreamDescription"]["Shards"] == []

    def test_shards_are_listed_page_by_page(self, streams, table):
        arn = table()["LatestStreamArn"]
        wanted = {shard["ShardId"] for shard in shards_of(streams, arn)}
        found, page = [], {}
        while page is not None:
            stream = streams.describe_stream(StreamArn=arn, Limit=1, **page)["StreamDescription"]
            found += [shard["ShardId"] for shard in stream["Shards"]]
            last = stream.get("LastEvaluatedShardId")
            page = {"ExclusiveStartShardId": last} if last else None
        assert sorted(found) == sorted(wanted)

    def test_streams_are_listed_page_by_page(self, streams, table):
        arns = {table()["LatestStreamArn"] for _ in range(3)}
        found, page = [], {}
        while page is not None:
            answer = streams.list_streams(Limit=1, **page)
            found += [stream["StreamArn"] for stream in answer["Streams"]]
            last = answer.get("LastEvaluatedStreamArn")
            page = {"ExclusiveStartStreamArn": last} if last else None
        assert arns <= set(found)
        assert len(found) == len(set(found))


class TestAsAwsDocumentsIt:
    """What AWS documents and DynamoDB Local does otherwise or not at all."""

    @pytest.fixture(autouse=True)
    def not_dynamodb_local(self, emulated):
        if not emulated:
            pytest.skip("DynamoDB Local differs: see docs/src/differences-streams.md")

    def test_creation_times_are_exact_to_the_second(self, dynamodb, streams, table):
        description = table()
        before = int(time.time())
        put(dynamodb, description, "a")
        (record,) = records_of(streams, description)
        created = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
        assert before <= created <= time.time()

    def test_an_empty_map_in_a_list_survives(self, dynamodb, streams, table):
        description = table()
        put(dynamodb, description, "a", list=[{}])
        (record,) = records_of(streams, description)
        assert record["dynamodb"]["NewImage"]["list"] == {"L": [{"M": {}}]}

    def test_a_limit_over_a_thousand_is_refused_by_its_documented_name(self, streams, table):
        arn = table()["LatestStreamArn"]
        iterator = iterator_of(streams, arn, shards_of(streams, arn)[0], "LATEST")
        with pytest.raises(streams.exceptions.LimitExceededException):
            streams.get_records(ShardIterator=iterator, Limit=1001)

    def test_keys_are_spread_over_several_shards_and_keep_their_order(self, dynamodb, streams, table):
        description = table()
        arn = description["LatestStreamArn"]
        for n in range(3):
            for key in range(20):
                put(dynamodb, description, f"k{key}", n=n)
        seen = {}
        shards = shards_of(streams, arn)
        for shard in shards:
            for record in read(streams, iterator_of(streams, arn, shard, "TRIM_HORIZON")):
                change = record["dynamodb"]
                seen.setdefault((change["Keys"]["id"]["S"], shard["ShardId"]), []).append(change["NewImage"]["n"]["N"])
        assert len(shards) > 1
        assert len(seen) == 20
        assert all(order == ["0", "1", "2"] for order in seen.values())

    def test_a_view_type_that_does_not_exist_is_refused(self, table):
        with pytest.raises(ClientError) as refused:
            table("EVERYTHING")
        assert code(refused) == "ValidationException"

    def test_numbers_beyond_the_shard_and_unknown_types_are_refused(self, dynamodb, streams, table):
        description = table()
        arn = description["LatestStreamArn"]
        shard = shards_of(streams, arn)[0]
        for iterator_type, position in [
            ("AT_SEQUENCE_NUMBER", {"SequenceNumber": "x" * 21}),
            ("AFTER_SEQUENCE_NUMBER", {"SequenceNumber": "9" * 40}),
            ("AT_TIMESTAMP", {}),
        ]:
            with pytest.raises(ClientError) as refused:
                iterator_of(streams, arn, shard, iterator_type, **position)
            assert code(refused) == "ValidationException"

    def test_a_page_holds_a_megabyte(self, dynamodb, streams, table):
        description = table()
        for n in range(4):
            put(dynamodb, description, "a", n=n, text="x" * 380_000)
        shard, records = written_shard(streams, description)
        iterator = iterator_of(streams, description["LatestStreamArn"], shard, "TRIM_HORIZON")
        assert len(records) == 4
        # The first has one image of 380 kB, each of the others two.
        assert len(streams.get_records(ShardIterator=iterator)["Records"]) == 1
