"""Amazon S3 Tables, as boto3 and the AWS CLI use it."""

import json
import os
import pathlib
import re
import subprocess
import sys
import uuid

import pytest
from botocore.exceptions import ClientError

COLUMNS = """transaction_id string, timestamp long, customer_id string, date date, hour int, minute int,
    transaction_type string, amount decimal(12,2), currency string, merchant_category string, payment_method string,
    region string, risk_score string, status string, processing_timestamp long, device_type string,
    authentication_method string, merchant_id string, velocity_check string, amount_threshold string,
    location_risk string, pattern_match string"""
FIELDS = [dict(zip(("name", "type"), column.split())) for column in re.split(r",\s+", COLUMNS)]
FIELDS[0]["required"] = True


@pytest.fixture(scope="module")
def s3tables(aws):
    return aws("s3tables")


@pytest.fixture
def arn(s3tables):
    arn = s3tables.create_table_bucket(name=f"bucket-{uuid.uuid4().hex}")["arn"]
    s3tables.create_namespace(tableBucketARN=arn, namespace=["analytics"])
    yield arn
    for table in s3tables.list_tables(tableBucketARN=arn)["tables"]:
        s3tables.delete_table(tableBucketARN=arn, namespace=table["namespace"][0], name=table["name"])
    for namespace in s3tables.list_namespaces(tableBucketARN=arn)["namespaces"]:
        s3tables.delete_namespace(tableBucketARN=arn, namespace=namespace["namespace"][0])
    s3tables.delete_table_bucket(tableBucketARN=arn)


def create(s3tables, arn, name, **options):
    return s3tables.create_table(tableBucketARN=arn, namespace="analytics", name=name, format="ICEBERG", **options)


def aws_cli(endpoint, *arguments):
    command = [str(pathlib.Path(sys.executable).parent / "aws"), "--endpoint-url", endpoint, *arguments]
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "dev",
        "AWS_SECRET_ACCESS_KEY": "dev",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=60)


def table_definition(folder, arn):
    path = folder / "tabledefinition.json"
    path.write_text(
        json.dumps(
            {
                "tableBucketARN": arn,
                "namespace": "analytics",
                "name": "transactions",
                "format": "ICEBERG",
                "metadata": {"iceberg": {"schema": {"fields": FIELDS}}},
            }
        )
    )
    return f"file://{path}"


def test_the_command_line_creates_the_blogs_table(s3tables, arn, endpoint, tmp_path):
    done = aws_cli(endpoint, "s3tables", "create-table", "--cli-input-json", table_definition(tmp_path, arn))
    assert done.returncode == 0, done.stderr
    created = json.loads(done.stdout)
    table = s3tables.get_table(tableArn=created["tableARN"])
    assert (table["namespace"], table["name"], table["format"]) == (["analytics"], "transactions", "ICEBERG")
    assert table["warehouseLocation"].endswith("--table-s3")
    assert table["metadataLocation"].startswith(table["warehouseLocation"] + "/metadata/")


def test_a_placeholder_left_in_is_named(endpoint, tmp_path):
    definition = table_definition(tmp_path, "<<your table bucket ARN>>")
    done = aws_cli(endpoint, "s3tables", "create-table", "--cli-input-json", definition)
    assert done.returncode != 0
    assert "BadRequestException" in done.stderr and "<<your table bucket ARN>>" in done.stderr


def test_every_error_is_of_the_class_that_people_catch(s3tables, arn):
    errors = s3tables.exceptions
    create(s3tables, arn, "orders")
    with pytest.raises(errors.ConflictException):
        create(s3tables, arn, "orders")
    with pytest.raises(errors.ConflictException):
        s3tables.create_namespace(tableBucketARN=arn, namespace=["analytics"])
    with pytest.raises(errors.ConflictException):
        s3tables.delete_namespace(tableBucketARN=arn, namespace="analytics")
    with pytest.raises(errors.ConflictException):
        s3tables.delete_table_bucket(tableBucketARN=arn)
    with pytest.raises(errors.NotFoundException):
        s3tables.get_table(tableBucketARN=arn, namespace="analytics", name="none")
    with pytest.raises(errors.NotFoundException):
        s3tables.get_table_bucket(tableBucketARN=arn + "x")
    with pytest.raises(errors.BadRequestException):
        create(s3tables, arn, "Upper")
    with pytest.raises(errors.BadRequestException, match="must be arn:aws:s3tables:"):
        s3tables.get_table_bucket(tableBucketARN="arn:aws:s3:us-east-1:123456789012:bucket/my-iceberg-data")


def test_listings_come_in_pages(s3tables, arn):
    names = [f"t{number}" for number in range(5)]
    for name in names:
        create(s3tables, arn, name)
    for options in ({}, {"namespace": "analytics"}, {"prefix": "t"}):
        pages = s3tables.get_paginator("list_tables").paginate(
            tableBucketARN=arn, PaginationConfig={"PageSize": 2}, **options
        )
        assert [table["name"] for page in pages for table in page["tables"]] == names
    listed = s3tables.get_paginator("list_table_buckets").paginate(PaginationConfig={"PageSize": 1})
    assert arn in [bucket["arn"] for page in listed for bucket in page["tableBuckets"]]


def test_a_stale_version_token_is_a_conflict(s3tables, arn):
    token = create(s3tables, arn, "orders")["versionToken"]
    target = {"tableBucketARN": arn, "namespace": "analytics"}
    s3tables.rename_table(**target, name="orders", newName="purchases", versionToken=token)
    with pytest.raises(s3tables.exceptions.ConflictException):
        s3tables.delete_table(**target, name="purchases", versionToken=token)
    fresh = s3tables.get_table_metadata_location(**target, name="purchases")["versionToken"]
    s3tables.delete_table(**target, name="purchases", versionToken=fresh)


def test_a_nested_schema_is_kept(s3tables, arn, aws):
    line = {"type": "struct", "fields": [{"id": 4, "name": "price", "type": "decimal(38,9)", "required": False}]}
    schema = {
        "type": "struct",
        "fields": [
            {"id": 1, "name": "id", "type": "string", "required": True},
            {
                "id": 2,
                "name": "lines",
                "required": False,
                "type": {"type": "list", "element-id": 3, "element-required": True, "element": line},
            },
        ],
        "identifierFieldIds": [1],
    }
    spec = {"fields": [{"sourceId": 1, "transform": "bucket[4]", "name": "id_bucket"}]}
    order = {
        "orderId": 1,
        "fields": [{"sourceId": 1, "transform": "identity", "direction": "asc", "nullOrder": "nulls-first"}],
    }
    iceberg = {"schemaV2": schema, "partitionSpec": spec, "writeOrder": order, "properties": {"a": "b"}}
    create(s3tables, arn, "nested", metadata={"iceberg": iceberg}, tags={"team": "lake"})
    table = s3tables.get_table(tableBucketARN=arn, namespace="analytics", name="nested")
    bucket, key = table["metadataLocation"].removeprefix("s3://").split("/", 1)
    metadata = json.load(aws("s3").get_object(Bucket=bucket, Key=key)["Body"])
    assert metadata["schemas"][0]["fields"][1]["type"]["element"]["fields"][0]["name"] == "price"
    assert metadata["schemas"][0]["identifier-field-ids"] == [1]
    assert metadata["partition-specs"][0]["fields"][0]["transform"] == "bucket[4]"
    assert metadata["sort-orders"][0]["fields"][0]["null-order"] == "nulls-first"
    assert metadata["properties"]["a"] == "b"
    assert s3tables.list_tags_for_resource(resourceArn=table["tableARN"])["tags"] == {"team": "lake"}


def test_a_tables_bucket_is_reached_by_name_only(s3tables, arn, aws):
    create(s3tables, arn, "orders")
    table = s3tables.get_table(tableBucketARN=arn, namespace="analytics", name="orders")
    bucket = table["warehouseLocation"].removeprefix("s3://")
    s3 = aws("s3")
    s3.put_object(Bucket=bucket, Key="data/x", Body=b"x")
    assert bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]
    with pytest.raises(ClientError) as refused:
        s3.delete_bucket(Bucket=bucket)
    assert refused.value.response["Error"]["Code"] == "MethodNotAllowed"


def test_operations_of_later_name_themselves(s3tables, arn):
    with pytest.raises(ClientError, match="GetTableBucketPolicy") as refused:
        s3tables.get_table_bucket_policy(tableBucketARN=arn)
    assert refused.value.response["Error"]["Code"] == "MethodNotAllowedException"
