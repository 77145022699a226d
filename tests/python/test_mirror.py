"""A mirror equals the DynamoDB scan, for PyIceberg, DuckDB and our own SQL alike."""

import runpy
import sys
from decimal import Decimal

import pytest
from boto3.dynamodb.types import Binary

from dynaberg import ROOT, Dynaberg, normal, read_duckdb, read_pyiceberg, rows_of, scan

EXAMPLE = ROOT / "examples/transactions"
WAREHOUSE = "arn:aws:s3tables:us-east-1:000000000000:bucket/{}"


def pipeline_file(folder, source, target, bucket, mode="mirror"):
    path = folder / f"{source}-{mode}.toml"
    path.write_text(
        f"""
[source]
table = "{source}"
[target]
catalog = "{WAREHOUSE.format(bucket)}"
table = "{target}"
mode = "{mode}"
[delivery]
interval = "200ms"
[dead_letters]
errors = "s3://letters/errors/"
"""
    )
    return path


def assert_equals_scan(dynaberg, table, target, bucket, key):
    """Every reader sees exactly what a scan of the source returns."""
    expected = rows_of(scan(table), key)
    warehouse = WAREHOUSE.format(bucket)
    for read in (read_pyiceberg, read_duckdb):
        seen = rows_of(read(dynaberg, target, warehouse), key)
        assert seen.keys() == expected.keys(), read.__name__
        for identity, row in expected.items():
            assert comparable(seen[identity]) == comparable(row), (read.__name__, identity)
    counted = dynaberg.sql(f"SELECT count(*) AS n FROM {target}")
    assert counted == [{"n": len(expected)}]


def comparable(row):
    """Dates are text in DynamoDB; sets and lists of one type are lists in the table."""
    return {name: normal(value) for name, value in row.items()}


def test_the_blogs_script_lands_exactly(tmp_path, monkeypatch):
    running = Dynaberg(tmp_path / "data", [EXAMPLE / "transactions.toml"])
    try:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["write.py"])
        runpy.run_path(str(EXAMPLE / "write.py"), run_name="__main__")
        running.wait()

        table = running.resource("dynamodb").Table("financial-transactions")
        assert len(scan(table)) == 900
        assert_equals_scan(
            running, table, "analytics.transactions", "streamtablebucket", ("transaction_id", "timestamp")
        )
        hourly = running.sql((EXAMPLE / "hourly.sql").read_text().replace("= CURRENT_DATE", "IS NOT NULL"))
        assert sum(row["transaction_count"] for row in hourly) == 900
        (pipeline,) = running.status()["pipelines"]
        assert pipeline["state"] == "running" and pipeline["ready"]
        assert pipeline["received"] == 1300
        settled = ("upserted", "deleted", "superseded", "filtered", "rejected", "in_flight")
        assert sum(pipeline[name] for name in settled) == pipeline["received"]
    finally:
        running.stop()


NESTED = {
    "text": "plain",
    "empty": "",
    "number": Decimal("12345678901234567890123456789012345678"),
    "small": Decimal("-1"),
    "yes": True,
    "blob": Binary(b"\x00\x01\xff"),
    "order_lines": [{"sku": "A1", "price": Decimal("9.99")}, {"sku": "B2", "price": Decimal("0.01")}],
    "address": {"street": "High Street", "zip": "0042", "geo": {"lat": Decimal("52.5"), "lon": Decimal("13.4")}},
    "tags": {"red", "blue"},
    "scores": {Decimal(3), Decimal(10), Decimal(1)},
    "blobs": {Binary(b"b"), Binary(b"a")},
    "none": None,
}


@pytest.mark.parametrize("with_sort_key", [True, False], ids=["sort-key", "no-sort-key"])
def test_nested_items_land_exactly(tmp_path, with_sort_key):
    running = Dynaberg(
        tmp_path / "data", [pipeline_file(tmp_path, "orders", "shop.orders", "lake")]
    )
    try:
        table = create_table(running, "orders", with_sort_key)
        running.client("s3").create_bucket(Bucket="letters")
        key = ("id", "at") if with_sort_key else ("id",)
        for number in range(50):
            identity = {"id": f"order-{number}", **({"at": number} if with_sort_key else {})}
            table.put_item(Item={**identity, **NESTED, "notes": ["note"] * (number % 3)})
        # The target is made from a sample of the items, once there is a table bucket to hold it.
        running.client("s3tables").create_table_bucket(name="lake")
        running.wait()
        for number in range(0, 50, 5):
            identity = {"id": f"order-{number}", **({"at": number} if with_sort_key else {})}
            table.update_item(
                Key=identity,
                UpdateExpression="SET order_lines[0].price = :price, late = :late REMOVE tags",
                ExpressionAttributeValues={":price": Decimal("10.05"), ":late": "a new attribute"},
            )
        for number in range(1, 50, 5):
            table.delete_item(Key={"id": f"order-{number}", **({"at": number} if with_sort_key else {})})
        running.wait()
        assert_equals_scan(running, table, "shop.orders", "lake", key)
    finally:
        running.stop()


def create_table(running, name, with_sort_key):
    keys = [("id", "HASH", "S")] + ([("at", "RANGE", "N")] if with_sort_key else [])
    table = running.resource("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": attribute, "KeyType": kind} for attribute, kind, _ in keys],
        AttributeDefinitions=[{"AttributeName": attribute, "AttributeType": kind} for attribute, _, kind in keys],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    table.wait_until_exists()
    return table
