"""Maintenance of S3 Tables, as boto3 configures it."""

import uuid

import pytest

from dynaberg import Dynaberg

SCHEMA = {"iceberg": {"schema": {"fields": [{"name": "id", "type": "string", "required": True}]}}}


@pytest.fixture(scope="module")
def s3tables(aws):
    return aws("s3tables")


@pytest.fixture
def table(s3tables):
    return make_table(s3tables)


def make_table(s3tables):
    """A table, as the maintenance operations address it."""
    arn = s3tables.create_table_bucket(name=f"bucket-{uuid.uuid4().hex}")["arn"]
    s3tables.create_namespace(tableBucketARN=arn, namespace=["analytics"])
    table = {"tableBucketARN": arn, "namespace": "analytics", "name": "transactions"}
    s3tables.create_table(**table, format="ICEBERG", metadata=SCHEMA)
    return table


def put_as_the_blog_does(s3tables, table):
    for _ in range(2):
        s3tables.put_table_maintenance_configuration(
            **table,
            type="icebergCompaction",
            value={"status": "enabled", "settings": {"icebergCompaction": {"targetFileSizeMB": 512}}},
        )
        answer = s3tables.put_table_maintenance_configuration(
            **table,
            type="icebergSnapshotManagement",
            value={
                "status": "enabled",
                "settings": {"icebergSnapshotManagement": {"minSnapshotsToKeep": 2, "maxSnapshotAgeHours": 168}},
            },
        )
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204


def configuration_after_the_blog(s3tables, table):
    configuration = s3tables.get_table_maintenance_configuration(**table)["configuration"]
    compaction = {"targetFileSizeMB": 512, "strategy": "auto"}
    snapshots = {"minSnapshotsToKeep": 2, "maxSnapshotAgeHours": 168}
    assert configuration == {
        "icebergCompaction": {"status": "enabled", "settings": {"icebergCompaction": compaction}},
        "icebergSnapshotManagement": {
            "status": "enabled",
            "settings": {"icebergSnapshotManagement": snapshots},
        },
    }


def test_the_blogs_two_calls_are_taken_twice(s3tables, table):
    put_as_the_blog_does(s3tables, table)
    configuration_after_the_blog(s3tables, table)


def test_maintenance_is_on_by_default(s3tables, table):
    configuration = s3tables.get_table_maintenance_configuration(**table)["configuration"]
    assert {kind: value["status"] for kind, value in configuration.items()} == {
        "icebergCompaction": "enabled",
        "icebergSnapshotManagement": "enabled",
    }
    snapshots = configuration["icebergSnapshotManagement"]["settings"]["icebergSnapshotManagement"]
    assert snapshots == {"minSnapshotsToKeep": 1, "maxSnapshotAgeHours": 120}
    bucket = s3tables.get_table_bucket_maintenance_configuration(tableBucketARN=table["tableBucketARN"])
    assert bucket["configuration"]["icebergUnreferencedFileRemoval"] == {
        "status": "enabled",
        "settings": {"icebergUnreferencedFileRemoval": {"unreferencedDays": 3, "nonCurrentDays": 10}},
    }
    jobs = s3tables.get_table_maintenance_job_status(**table)["status"]
    assert sorted(jobs) == ["icebergCompaction", "icebergSnapshotManagement", "icebergUnreferencedFileRemoval"]


def test_the_blogs_arn_of_a_bucket_is_told_what_it_must_be(s3tables, table):
    wrong = {**table, "tableBucketARN": "arn:aws:s3:us-east-1:123456789012:bucket/my-iceberg-data"}
    with pytest.raises(s3tables.exceptions.BadRequestException, match="must be arn:aws:s3tables:"):
        put_as_the_blog_does(s3tables, wrong)
    with pytest.raises(s3tables.exceptions.BadRequestException, match="must be arn:aws:s3tables:"):
        s3tables.get_table_maintenance_configuration(**wrong)


@pytest.mark.parametrize("size", [1, 63, 513, 2147483647])
def test_a_target_size_outside_of_the_range_is_refused_with_the_range(s3tables, table, size):
    with pytest.raises(s3tables.exceptions.BadRequestException, match="from 64 to 512"):
        s3tables.put_table_maintenance_configuration(
            **table,
            type="icebergCompaction",
            value={"status": "enabled", "settings": {"icebergCompaction": {"targetFileSizeMB": size}}},
        )


def test_what_is_not_an_option_is_refused_with_the_options(s3tables, table):
    refused = s3tables.exceptions.BadRequestException
    with pytest.raises(refused, match="auto, binpack, sort, z-order"):
        s3tables.put_table_maintenance_configuration(
            **table, type="icebergCompaction", value={"settings": {"icebergCompaction": {"strategy": "fast"}}}
        )
    with pytest.raises(refused, match="icebergCompaction or icebergSnapshotManagement"):
        s3tables.put_table_maintenance_configuration(**table, type="icebergManifests", value={"status": "enabled"})
    with pytest.raises(refused, match="enabled or disabled"):
        s3tables.put_table_maintenance_configuration(**table, type="icebergCompaction", value={"status": "on"})
    with pytest.raises(refused, match="icebergUnreferencedFileRemoval"):
        s3tables.put_table_bucket_maintenance_configuration(
            tableBucketARN=table["tableBucketARN"], type="icebergCompaction", value={"status": "enabled"}
        )


def test_what_is_not_there_is_not_found(s3tables, table):
    missing = {**table, "name": "none"}
    for call in (
        lambda: s3tables.get_table_maintenance_configuration(**missing),
        lambda: s3tables.get_table_maintenance_job_status(**missing),
        lambda: put_as_the_blog_does(s3tables, missing),
        lambda: s3tables.get_table_bucket_maintenance_configuration(tableBucketARN=table["tableBucketARN"] + "x"),
    ):
        with pytest.raises(s3tables.exceptions.NotFoundException):
            call()


def test_every_strategy_is_taken_and_a_disabled_job_says_so(s3tables, table):
    for strategy in ("auto", "binpack", "sort", "z-order"):
        settings = {"icebergCompaction": {"targetFileSizeMB": 64, "strategy": strategy}}
        s3tables.put_table_maintenance_configuration(
            **table, type="icebergCompaction", value={"status": "disabled", "settings": settings}
        )
        found = s3tables.get_table_maintenance_configuration(**table)["configuration"]["icebergCompaction"]
        assert found == {"status": "disabled", "settings": settings}
    jobs = s3tables.get_table_maintenance_job_status(**table)["status"]
    assert jobs["icebergCompaction"]["status"] == "Disabled"


def test_the_configuration_survives_kill_nine(tmp_path):
    first = Dynaberg(tmp_path / "data")
    s3tables = first.client("s3tables")
    table = make_table(s3tables)
    put_as_the_blog_does(s3tables, table)
    removal = {"status": "disabled", "settings": {"icebergUnreferencedFileRemoval": {"unreferencedDays": 7}}}
    s3tables.put_table_bucket_maintenance_configuration(
        tableBucketARN=table["tableBucketARN"], type="icebergUnreferencedFileRemoval", value=removal
    )
    first.kill()
    second = Dynaberg(tmp_path / "data")
    s3tables = second.client("s3tables")
    configuration_after_the_blog(s3tables, table)
    bucket = s3tables.get_table_bucket_maintenance_configuration(tableBucketARN=table["tableBucketARN"])
    assert bucket["configuration"]["icebergUnreferencedFileRemoval"] == {
        "status": "disabled",
        "settings": {"icebergUnreferencedFileRemoval": {"unreferencedDays": 7, "nonCurrentDays": 10}},
    }
    second.stop()
