"""`dynaberg tables` says what there is, and the schema of a table changes under a pipeline that writes it."""

import json

import pytest

from dynaberg import Dynaberg, duckdb_connection, metadata_location, pyiceberg_catalog
from test_mirror import WAREHOUSE, assert_equals_scan, create_table, pipeline_file

COLUMNS = [
    {"name": "id", "type": "string", "required": True},
    {"name": "n", "type": "int"},
    {"name": "f", "type": "float"},
]


@pytest.fixture
def running(tmp_path):
    """A pipeline from `orders` into `shop.orders`, which has an int and a float."""
    running = Dynaberg(tmp_path / "data", [pipeline_file(tmp_path, "orders", "shop.orders", "lake")])
    try:
        running.client("s3").create_bucket(Bucket="letters")
        create_table(running, "orders", with_sort_key=False)
        s3tables = running.client("s3tables")
        arn = s3tables.create_table_bucket(name="lake")["arn"]
        s3tables.create_namespace(tableBucketARN=arn, namespace=["shop"])
        schema = {"iceberg": {"schema": {"fields": COLUMNS}}}
        s3tables.create_table(tableBucketARN=arn, namespace="shop", name="orders", format="ICEBERG", metadata=schema)
        yield running
    finally:
        running.stop()


def put(running, numbers, offset=0):
    table = running.resource("dynamodb").Table("orders")
    with table.batch_writer() as batch:
        for number in numbers:
            batch.put_item(Item={"id": f"order-{number}", "n": number + offset, "f": number})
    running.wait()
    return table


def tables(running, *arguments):
    return json.loads(running.run("tables", *arguments, "--output", "json").stdout)


def test_a_line_a_table_and_a_table_in_full(running):
    table = put(running, range(20))
    put(running, range(5), offset=1)
    for number in range(5, 8):
        table.delete_item(Key={"id": f"order-{number}"})
    running.wait()

    (line,) = tables(running)
    assert (line["table"], line["rows"]) == ("shop.orders", 17)
    assert line["files"] == line["small_files"] >= 2 and line["bytes"] > 0
    assert line["deleted_share"] == pytest.approx(8 / 25)
    shown = tables(running, "show", "shop.orders")
    assert (shown["rows"], shown["files"], shown["format_version"]) == (17, line["files"], 2)
    assert shown["deletes"]["rows"] == 8 and shown["deletes"]["equality_delete_files"] == 0
    assert sum(each["files"] for each in shown["files_by_size"]) == line["files"]
    assert {each["reads"] for each in shown["readable_by"].values()} == {"yes"}
    assert [each["column"] for each in shown["columns"]] == ["id", "n", "f"]
    assert len(shown["snapshots"]) == line["snapshots"]
    assert shown["snapshots"][0]["at"] == line["last_commit_at"]

    listed = running.run("tables", "--output", "table").stdout
    assert "shop.orders" in listed and "32.0 %" in listed
    text = running.run("tables", "show", "shop.orders", "--output", "table").stdout
    assert "readable by  Dynaberg, Athena, Spark, Trino, DuckDB, PyIceberg, Snowflake, Databricks" in text


def test_a_table_that_is_not_there_says_what_to_try(running):
    done = running.run("tables", "show", "orders", check=False)
    assert done.returncode == 252 and "Try: NAMESPACE.TABLE" in done.stderr
    done = running.run("tables", "show", "shop.none", check=False)
    assert done.returncode == 253 and "shop.none" in done.stderr


def test_an_empty_table_bucket_has_no_lines(tmp_path):
    running = Dynaberg(tmp_path / "data")
    try:
        arn = running.client("s3tables").create_table_bucket(name="lake")["arn"]
        assert tables(running) == []
        assert running.run("tables", "--output", "table").stdout.split()[0] == "table"
        s3tables = running.client("s3tables")
        s3tables.create_namespace(tableBucketARN=arn, namespace=["shop"])
        schema = {"iceberg": {"schema": {"fields": COLUMNS}}}
        s3tables.create_table(tableBucketARN=arn, namespace="shop", name="orders", format="ICEBERG", metadata=schema)
        s3tables.create_table(tableBucketARN=arn, namespace="shop", name="bare", format="ICEBERG")
        bare, line = tables(running)
        assert bare == {"table": "shop.bare", "error": "no schema yet, or dropped meanwhile"}
        assert (line["rows"], line["files"], line["snapshots"], line["last_commit_at"]) == (0, 0, 0, None)
    finally:
        running.stop()


def test_a_pipeline_goes_on_writing_while_its_tables_schema_changes(running):
    put(running, range(10))
    running.run("schema", "shop.orders", "--widen", "n:long", "--widen", "f:double", "--add", "note:string")
    # With its next commit the pipeline takes the new columns over.
    put(running, [10])
    big = 1 << 40
    # Enough commits that manifests of both types are merged.
    for number in range(11, 22):
        table = put(running, [number], offset=big)
    assert_equals_scan(running, table, "shop.orders", "lake", ("id",))
    for where, count in {"n < 5": 5, "n >= 5": 17, f"n > {big}": 11, "f < 5.5": 6, "f > 5.5": 16}.items():
        assert counts(running, where) == {"dynaberg": count, "duckdb": count, "pyiceberg": count}, where

    running.run("schema", "shop.orders", "--rename", "f=g", "--drop", "note")
    for number in range(22, 25):
        put(running, [number], offset=big)
    # The pipeline goes by the name: what is renamed keeps its values, and the attribute gets a column again.
    assert counts(running, "g < 5.5") == {"dynaberg": 6, "duckdb": 6, "pyiceberg": 6}
    assert counts(running, f"n > {big}") == {"dynaberg": 14, "duckdb": 14, "pyiceberg": 14}
    assert counts(running, "f = 24") == {"dynaberg": 1, "duckdb": 1, "pyiceberg": 1}
    (pipeline,) = running.status()["pipelines"]
    assert pipeline["state"] == "running" and pipeline["rejected"] == 0
    refused = running.run("schema", "shop.orders", "--drop", "id", check=False)
    assert refused.returncode == 253 and "pipeline orders" in refused.stderr


def counts(running, where):
    warehouse = WAREHOUSE.format("lake")
    scan = pyiceberg_catalog(running, warehouse).load_table("shop.orders").scan(row_filter=where)
    location = metadata_location(running, "shop.orders", warehouse)
    duckdb = duckdb_connection(running).sql(f"SELECT count(*) FROM iceberg_scan('{location}') WHERE {where}")
    return {
        "dynaberg": running.sql(f"SELECT count(*) AS n FROM shop.orders WHERE {where}")[0]["n"],
        "duckdb": duckdb.fetchone()[0],
        "pyiceberg": len(scan.to_arrow()),
    }
