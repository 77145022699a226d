"""`dynaberg schema`: every legal change leaves old and new files readable by every reader, with predicates too."""

import datetime
import json
import uuid
from decimal import Decimal

import pyarrow as pa
import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import (
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
    MapType,
    NestedField,
    StringType,
    StructType,
)

from dynaberg import duckdb_connection, metadata_location, pyiceberg_catalog

PLACE = StructType(NestedField(20, "city", StringType()), NestedField(21, "zip", IntegerType()))
LINE = StructType(NestedField(31, "price", IntegerType()))
COLUMNS = Schema(
    NestedField(1, "id", StringType(), required=True),
    NestedField(2, "n", IntegerType()),
    NestedField(3, "f", FloatType()),
    NestedField(4, "d", DecimalType(5, 2)),
    NestedField(5, "must", StringType(), required=True),
    NestedField(6, "place", PLACE),
    NestedField(7, "lines", ListType(30, LINE, element_required=False)),
    NestedField(8, "tags", MapType(40, StringType(), 41, DateType(), value_required=False)),
)
DAY = datetime.date(2026, 1, 31)


def row(key, n, f, d, must="m"):
    return {
        "id": key,
        "n": n,
        "f": f,
        "d": Decimal(d),
        "must": must,
        "place": {"city": f"city of {key}", "zip": n},
        "lines": [{"price": n}],
        "tags": [("since", DAY)],
    }


class Lake:
    """A table that PyIceberg writes, and every reader of it."""

    def __init__(self, dynaberg):
        self.dynaberg = dynaberg
        s3tables = dynaberg.client("s3tables")
        self.warehouse = s3tables.create_table_bucket(name=f"bucket-{uuid.uuid4().hex}")["arn"]
        s3tables.create_namespace(tableBucketARN=self.warehouse, namespace=["shop"])
        self.catalog = pyiceberg_catalog(dynaberg, self.warehouse)
        self.catalog.create_table("shop.orders", schema=COLUMNS)

    def append(self, *rows):
        table = self.catalog.load_table("shop.orders")
        table.append(pa.Table.from_pylist(list(rows), schema=table.schema().as_arrow()))

    def schema(self, *arguments, check=True):
        return self.dynaberg.run("schema", "shop.orders", "--catalog", self.warehouse, *arguments, check=check)

    def change(self, *arguments):
        done = json.loads(self.schema(*arguments).stdout)
        assert done["applied"]
        return done["differences"]

    def ids(self, where):
        """The ids of the rows that match, as every reader sees them, which have to agree."""
        seen = {
            "dynaberg": [found["id"] for found in self.sql(f"SELECT id FROM shop.orders WHERE {where}")],
            "duckdb": [found["id"] for found in self.duckdb(f"SELECT id FROM orders WHERE {where}")],
        }
        if "[" not in where:
            table = self.catalog.load_table("shop.orders")
            seen["pyiceberg"] = table.scan(row_filter=where, selected_fields=("id",)).to_arrow()["id"].to_pylist()
        seen = {reader: sorted(ids) for reader, ids in seen.items()}
        assert all(ids == seen["dynaberg"] for ids in seen.values()), (where, seen)
        return seen["dynaberg"]

    def values(self, column):
        """The column by id, as every reader sees it, which have to agree."""
        name = column.split(".")[0]
        readers = [
            self.sql(f"SELECT id, {column} AS v FROM shop.orders"),
            self.duckdb(f"SELECT id, {column} AS v FROM orders"),
        ]
        if name == column:
            found = self.catalog.load_table("shop.orders").scan(selected_fields=("id", column)).to_arrow().to_pylist()
            readers.append([{"id": each["id"], "v": each[column]} for each in found])
        seen = [{each["id"]: plain(each["v"]) for each in rows} for rows in readers]
        assert all(rows == seen[0] for rows in seen), (column, seen)
        return seen[0]

    def sql(self, query):
        done = self.dynaberg.run("sql", query, "--catalog", self.warehouse, "--output", "json")
        return json.loads(done.stdout)

    def duckdb(self, query):
        location = metadata_location(self.dynaberg, "shop.orders", self.warehouse)
        connection = duckdb_connection(self.dynaberg)
        connection.execute(f"CREATE VIEW orders AS SELECT * FROM iceberg_scan('{location}')")
        return connection.sql(query).to_arrow_table().to_pylist()


def plain(value):
    return float(value) if isinstance(value, (int, Decimal)) else value


@pytest.fixture
def lake(dynaberg):
    lake = Lake(dynaberg)
    lake.append(row("old", 1, 1.5, "1.50"))
    return lake


def test_a_widened_column_matches_predicates_in_old_and_new_files(lake):
    assert lake.change("--widen", "n:long", "--widen", "f:double", "--widen", "d:decimal(38,2)") == [
        {"change": "retyped", "column": "n", "from": "int", "to": "long"},
        {"change": "retyped", "column": "f", "from": "float", "to": "double"},
        {"change": "retyped", "column": "d", "from": "decimal(5,2)", "to": "decimal(38,2)"},
    ]
    # The old files alone first: nothing may depend on a file of the new type.
    assert lake.ids("n < 5") == lake.ids("f < 2.0") == lake.ids("d = 1.50") == ["old"]
    lake.append({**row("new", 7, 2.5, "12345678.90"), "n": 1 << 40})
    for where, expected in {
        "n < 5": ["old"],
        "n = 1": ["old"],
        "n > 5": ["new"],
        f"n = {1 << 40}": ["new"],
        "n >= 1": ["new", "old"],
        "f < 2.0": ["old"],
        "f > 2.0": ["new"],
        "d < 2.00": ["old"],
        "d > 2.00": ["new"],
    }.items():
        assert lake.ids(where) == expected, where
    assert lake.values("n") == {"old": 1.0, "new": float(1 << 40)}


def test_a_renamed_column_keeps_its_values_and_its_name_is_free(lake):
    lake.change("--rename", "n=amount", "--rename", "d=n", "--add", "d:string")
    assert lake.ids("amount = 1") == lake.ids("n = 1.50") == lake.ids("d IS NULL") == ["old"]
    lake.append({**row("new", 1, 2.5, "1.50"), "amount": 2, "n": Decimal("2.50"), "d": "text"})
    assert lake.ids("amount > 1") == lake.ids("n > 2.00") == lake.ids("d = 'text'") == ["new"]
    assert lake.values("amount") == {"old": 1.0, "new": 2.0}


def test_a_dropped_column_does_not_come_back_under_its_name(lake):
    lake.change("--drop", "n")
    assert lake.ids("f < 2.0") == ["old"]
    lake.change("--add", "n:long")
    assert lake.ids("n IS NULL") == ["old"] and lake.ids("n = 1") == []
    lake.append(row("new", 1, 2.5, "1.50"))
    assert lake.ids("n = 1") == ["new"]
    assert lake.values("n") == {"old": None, "new": 1.0}


def test_a_column_made_optional_takes_null(lake):
    assert lake.change("--optional", "must") == [{"change": "made_optional", "column": "must"}]
    lake.append(row("new", 1, 2.5, "1.50", must=None))
    assert lake.ids("must IS NULL") == ["new"] and lake.ids("must = 'm'") == ["old"]


def test_what_is_inside_of_a_column_changes_as_a_column_does(lake):
    lake.change("--widen", "place.zip:long", "--rename", "place.city=town", "--add", "place.street:string")
    lake.change("--widen", "lines.element.price:long", "--add", "lines.element.tax:decimal(12,2)")
    new = row("new", 7, 2.5, "2.50")
    new["place"] = {"town": "Basel", "zip": 1 << 40, "street": "Rheingasse"}
    new["lines"] = [{"price": 1 << 40, "tax": Decimal("7.70")}]
    assert lake.values("place.zip") == {"old": 1.0}
    lake.append(new)
    assert lake.values("place.zip") == {"old": 1.0, "new": float(1 << 40)}
    assert lake.values("place.town") == {"old": "city of old", "new": "Basel"}
    assert lake.values("place.street") == {"old": None, "new": "Rheingasse"}
    assert lake.ids("lines[1]['tax'] IS NULL") == ["old"]
    assert lake.ids("lines[1]['price'] > 5") == ["new"]


def test_an_illegal_change_is_refused_with_its_reason_and_changes_nothing(lake):
    for arguments, exit_code, reason in [
        (["--widen", "n:string"], 253, "it is int; int widens to long"),
        (["--add", "n:int"], 253, "two columns n"),
        (["--rename", "n=f"], 253, "two columns f"),
        (["--drop", "nope"], 253, "the table has id, n, f"),
        (["--optional", "n"], 253, "optional already"),
        (["--widen", "n:long", "--drop", "nope"], 253, "no such column"),
        (["--add", "x:text"], 252, "not a type of Iceberg"),
        (["--rename", "n"], 252, "no new name"),
        (["--plan"], 252, "--plan"),
    ]:
        done = lake.schema(*arguments, check=False)
        assert done.returncode == exit_code, done.stderr
        assert reason in done.stderr, done.stderr
        assert "Try: " in done.stderr or "--help" in done.stderr, done.stderr
    history = json.loads(lake.schema().stdout)
    assert len(history["schemas"]) == 1


def test_the_history_is_a_difference_a_schema(lake):
    planned = json.loads(lake.schema("--rename", "n=amount", "--plan").stdout)
    assert (planned["applied"], planned["schema_id"]) == (False, None)
    assert planned["differences"] == [{"change": "renamed", "column": "amount", "from": "n", "to": "amount"}]
    lake.change("--rename", "n=amount")
    history = json.loads(lake.schema("--output", "json").stdout)
    first, second = history["schemas"]
    assert (first["is_current"], second["is_current"]) == (False, True)
    assert first["first_snapshot_at"] and second["first_snapshot_at"] is None
    assert second["differences"] == planned["differences"]
    text = lake.schema("--output", "table").stdout
    assert "+ id string, required" in text and "~ n → amount" in text and "current" in text
