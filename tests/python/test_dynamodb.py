"""DynamoDB by boto3: tables, items, expressions and the errors that people catch."""

import itertools
import time
from decimal import Decimal

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

NAMES = itertools.count()


@pytest.fixture(scope="module")
def dynamodb(aws):
    return aws("dynamodb")


@pytest.fixture(scope="module")
def tables(dynamodb):
    """The resource interface of boto3 on the same endpoint."""
    return boto3.resource(
        "dynamodb",
        endpoint_url=dynamodb.meta.endpoint_url,
        region_name=dynamodb.meta.region_name,
        aws_access_key_id="dev",
        aws_secret_access_key="dev",
    )


@pytest.fixture
def orders(tables):
    """A table with partition and sort key, and an index."""
    table = tables.create_table(
        TableName=f"orders-{time.time_ns()}-{next(NAMES)}",
        AttributeDefinitions=[
            {"AttributeName": "customer", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
            {"AttributeName": "status", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "customer", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-status",
                "KeySchema": [{"AttributeName": "status", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    table.wait_until_exists()
    yield table
    table.delete()


def fill(table, count=50):
    with table.batch_writer() as batch:
        for number in range(count):
            status = "open" if number % 2 else "closed"
            batch.put_item(Item={"customer": "c", "number": number, "status": status, "amount": Decimal("1.10")})


def test_items_written_in_batches_are_queried_scanned_and_counted(orders):
    fill(orders)
    found = orders.query(KeyConditionExpression=Key("customer").eq("c") & Key("number").between(10, 19))
    assert [item["number"] for item in found["Items"]] == list(range(10, 20))
    assert orders.scan(Select="COUNT")["Count"] == 50
    assert orders.scan(FilterExpression=Attr("number").lt(5))["Count"] == 5


def test_an_index_is_queried(orders):
    fill(orders, 10)
    found = orders.query(IndexName="by-status", KeyConditionExpression=Key("status").eq("open"))
    assert sorted(item["number"] for item in found["Items"]) == [1, 3, 5, 7, 9]


def test_pages_of_a_scan_join_without_gap(orders):
    fill(orders)
    found, page = [], {}
    while page is not None:
        answer = orders.scan(Limit=7, **page)
        found += [item["number"] for item in answer["Items"]]
        last = answer.get("LastEvaluatedKey")
        page = {"ExclusiveStartKey": last} if last else None
    assert sorted(found) == list(range(50))


def test_an_update_returns_what_it_was_asked_for(orders):
    fill(orders, 1)
    key = {"customer": "c", "number": 0}
    answer = orders.update_item(
        Key=key,
        UpdateExpression="SET amount = amount + :more, tags = list_append(if_not_exists(tags, :none), :tag) REMOVE #s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":more": Decimal("0.05"), ":none": [], ":tag": ["x"]},
        ReturnValues="ALL_NEW",
    )
    assert answer["Attributes"] == {**key, "amount": Decimal("1.15"), "tags": ["x"]}
    assert "Item" not in orders.get_item(Key={"customer": "nobody", "number": 0})


def test_a_condition_that_fails_raises_its_exception_and_returns_the_item(dynamodb, orders):
    fill(orders, 1)
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException) as refused:
        dynamodb.put_item(
            TableName=orders.name,
            Item={"customer": {"S": "c"}, "number": {"N": "0"}},
            ConditionExpression="attribute_not_exists(customer)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refused.value.response["Error"]["Message"] == "The conditional request failed"
    assert refused.value.response["Item"]["amount"] == {"N": "1.1"}


def test_a_cancelled_transaction_changes_nothing_and_says_why(dynamodb, orders):
    fill(orders, 1)
    new = {"customer": {"S": "c"}, "number": {"N": "1"}}
    old = {"customer": {"S": "c"}, "number": {"N": "0"}}
    condition = "attribute_not_exists(customer)"
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as refused:
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": orders.name, "Item": new}},
                {"Put": {"TableName": orders.name, "Item": old, "ConditionExpression": condition}},
            ]
        )
    codes = [reason["Code"] for reason in refused.value.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]
    assert orders.scan(Select="COUNT")["Count"] == 1


def test_statements_read_and_write(dynamodb, orders):
    statement = f"INSERT INTO \"{orders.name}\" VALUE {{'customer': ?, 'number': ?}}"
    dynamodb.execute_statement(Statement=statement, Parameters=[{"S": "p"}, {"N": "7"}])
    answer = dynamodb.execute_statement(Statement=f"SELECT * FROM \"{orders.name}\" WHERE customer = 'p'")
    assert answer["Items"] == [{"customer": {"S": "p"}, "number": {"N": "7"}}]


def test_numbers_keep_thirty_eight_digits(orders):
    number = Decimal("12345678901234567890.123456789012345678")
    orders.put_item(Item={"customer": "n", "number": 0, "value": number})
    assert orders.get_item(Key={"customer": "n", "number": 0})["Item"]["value"] == number


@pytest.mark.parametrize(
    "value",
    [
        {"N": "1" * 39},
        {"N": "1E126"},
        {"N": "not a number"},
        {"NS": ["1", "1.0"]},
        {"SS": []},
        {"S": "x" * 400 * 1024},
    ],
    ids=["39 digits", "too large", "no number", "duplicates", "empty set", "400 KB"],
)
def test_values_that_dynamodb_does_not_store_are_refused(dynamodb, orders, value):
    item = {"customer": {"S": "bad"}, "number": {"N": "0"}, "value": value}
    with pytest.raises(ClientError) as refused:
        dynamodb.put_item(TableName=orders.name, Item=item)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert orders.scan(Select="COUNT")["Count"] == 0


def test_a_value_may_nest_thirty_one_levels(dynamodb, orders):
    def nested(depth):
        value = {"S": "x"}
        for _ in range(depth):
            value = {"L": [value]}
        return {"customer": {"S": "deep"}, "number": {"N": str(depth)}, "value": value}

    dynamodb.put_item(TableName=orders.name, Item=nested(31))
    for depth in (32, 100):
        with pytest.raises(ClientError) as refused:
            dynamodb.put_item(TableName=orders.name, Item=nested(depth))
        assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_tables_are_listed_described_and_missed_by_name(dynamodb, orders):
    assert orders.name in dynamodb.list_tables()["TableNames"]
    described = dynamodb.describe_table(TableName=orders.name)["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["GlobalSecondaryIndexes"][0]["IndexArn"] == f"{described['TableArn']}/index/by-status"
    with pytest.raises(dynamodb.exceptions.ResourceInUseException):
        dynamodb.create_table(
            TableName=orders.name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.describe_table(TableName="no-such-table")


class TestDynabergOnly:
    """What DynamoDB Local does not have, or what is this endpoint's own."""

    @pytest.fixture(autouse=True)
    def not_dynamodb_local(self, emulated):
        if not emulated:
            pytest.skip("DynamoDB Local has no tags and other answers about the account")

    def test_tables_are_tagged(self, dynamodb, orders):
        arn = orders.table_arn
        tags = [{"Key": "team", "Value": "lake"}]
        dynamodb.tag_resource(ResourceArn=arn, Tags=tags)
        assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == tags
        dynamodb.untag_resource(ResourceArn=arn, TagKeys=["team"])
        assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == []

    def test_what_is_not_served_is_named(self, dynamodb, orders):
        with pytest.raises(ClientError) as refused:
            dynamodb.create_backup(TableName=orders.name, BackupName="backup")
        assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
        assert "CreateBackup" in refused.value.response["Error"]["Message"]

    def test_the_account_answers_for_itself(self, dynamodb, orders):
        assert dynamodb.describe_limits()["TableMaxReadCapacityUnits"] == 40_000
        assert dynamodb.meta.endpoint_url.endswith(dynamodb.describe_endpoints()["Endpoints"][0]["Address"])
        backups = dynamodb.describe_continuous_backups(TableName=orders.name)["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"

    def test_time_to_live_is_switched_on_per_table(self, dynamodb):
        name = f"sessions-{time.time_ns()}"
        dynamodb.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        specification = {"Enabled": True, "AttributeName": "expires"}
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=specification)
        described = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
        dynamodb.delete_table(TableName=name)
