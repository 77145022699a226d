"""The Iceberg REST catalog, as PyIceberg uses it."""

import datetime
import json
import urllib.error
import urllib.request
import uuid
from decimal import Decimal
from urllib.parse import quote

import pyarrow
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import (
    BadRequestError,
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DecimalType, StringType

SIGNED = {
    "rest.sigv4-enabled": "true",
    "rest.signing-name": "s3tables",
    "rest.signing-region": "us-east-1",
    "client.region": "us-east-1",
    "client.access-key-id": "dev",
    "client.secret-access-key": "dev",
}
SCHEMA = pyarrow.schema(
    [
        pyarrow.field("id", pyarrow.string(), nullable=False),
        pyarrow.field("amount", pyarrow.decimal128(12, 2)),
        pyarrow.field("date", pyarrow.date32()),
        pyarrow.field("lines", pyarrow.list_(pyarrow.struct([("price", pyarrow.decimal128(38, 9))]))),
    ]
)
DAY = datetime.date(2026, 1, 31)
ROWS = [
    {"id": "a", "amount": Decimal("12.34"), "date": DAY, "lines": [{"price": Decimal("1.000000001")}]},
    {"id": "b", "amount": None, "date": None, "lines": []},
]


@pytest.fixture(scope="module")
def arn(aws):
    arn = aws("s3tables").create_table_bucket(name=f"bucket-{uuid.uuid4().hex}")["arn"]
    aws("s3tables").create_namespace(tableBucketARN=arn, namespace=["sales"])
    return arn


@pytest.fixture(scope="module", params=["signed", "unsigned"])
def catalog(request, endpoint, arn):
    signing = SIGNED if request.param == "signed" else {}
    return load_catalog(request.param, type="rest", uri=f"{endpoint}/iceberg", warehouse=arn, **signing)


@pytest.fixture
def name():
    return f"sales.t_{uuid.uuid4().hex}"


def rows(count):
    return pyarrow.Table.from_pylist(ROWS[:count], schema=SCHEMA)


def test_rows_are_written_read_and_dropped(catalog, name):
    table = catalog.create_table(name, SCHEMA)
    table.append(rows(2))
    assert catalog.load_table(name).scan().to_arrow().to_pylist() == ROWS
    table.append(rows(1))
    table.delete("id = 'b'")
    assert [row["id"] for row in catalog.load_table(name).scan().to_arrow().to_pylist()] == ["a", "a"]
    assert catalog.table_exists(name)
    catalog.purge_table(name)
    assert not catalog.table_exists(name)
    with pytest.raises(NoSuchTableError):
        catalog.load_table(name)


def test_a_schema_evolves_as_far_as_old_rows_go(catalog, name):
    table = catalog.create_table(name, SCHEMA)
    table.append(rows(1))
    with table.update_schema() as update:
        update.add_column("note", StringType())
        update.update_column("amount", DecimalType(20, 2))
        update.rename_column("amount", "total")
    row = catalog.load_table(name).scan().to_arrow().to_pylist()[0]
    assert (row["total"], row["note"]) == (Decimal("12.34"), None)
    catalog.purge_table(name)


def test_a_table_is_partitioned_and_keeps_its_properties(catalog, name):
    table = catalog.create_table(name, SCHEMA, properties={"a": "b"})
    with table.update_spec() as update:
        update.add_field("date", IdentityTransform(), "day")
    table.append(rows(2))
    table = catalog.load_table(name)
    assert table.properties["a"] == "b"
    assert table.scan(row_filter=f"date = '{DAY}'").to_arrow().num_rows == 1
    catalog.purge_table(name)


def test_of_two_writers_on_one_snapshot_the_second_tries_again(catalog, name):
    catalog.create_table(name, SCHEMA)
    first, second = catalog.load_table(name), catalog.load_table(name)
    first.append(rows(1))
    second.append(rows(2))
    table = catalog.load_table(name)
    assert table.scan().to_arrow().num_rows == 3
    assert len(table.history()) == 2
    catalog.purge_table(name)


def test_a_change_of_a_schema_that_moved_on_is_refused(catalog, name):
    catalog.create_table(name, SCHEMA)
    first, second = catalog.load_table(name), catalog.load_table(name)
    with first.update_schema() as update:
        update.add_column("one", StringType())
    with pytest.raises(CommitFailedException):
        with second.update_schema() as update:
            update.add_column("two", StringType())
    assert "two" not in catalog.load_table(name).schema().column_names
    catalog.purge_table(name)


def test_names_are_listed_moved_and_missed(catalog, name):
    namespace = f"n_{uuid.uuid4().hex}"
    catalog.create_namespace(namespace)
    with pytest.raises(NamespaceAlreadyExistsError):
        catalog.create_namespace(namespace)
    assert (namespace,) in catalog.list_namespaces()
    catalog.create_table(f"{namespace}.one", SCHEMA)
    with pytest.raises(TableAlreadyExistsError):
        catalog.create_table(f"{namespace}.one", SCHEMA)
    with pytest.raises(NamespaceNotEmptyError):
        catalog.drop_namespace(namespace)
    catalog.rename_table(f"{namespace}.one", f"{namespace}.two")
    assert catalog.list_tables(namespace) == [(namespace, "two")]
    with pytest.raises(BadRequestError, match="purgeRequested"):
        catalog.drop_table(f"{namespace}.two")
    catalog.purge_table(f"{namespace}.two")
    catalog.drop_namespace(namespace)
    with pytest.raises(NoSuchNamespaceError):
        catalog.list_tables(namespace)


def test_the_prefix_is_the_encoded_arn(endpoint, arn):
    with urllib.request.urlopen(f"{endpoint}/iceberg/v1/config?warehouse={quote(arn, safe='')}") as answer:
        config = json.load(answer)
    assert config["overrides"]["prefix"] == quote(arn, safe="")
    assert "POST /v1/{prefix}/namespaces/{namespace}/tables" in config["endpoints"]


def test_a_staged_creation_is_refused(endpoint, arn):
    url = f"{endpoint}/iceberg/v1/{quote(arn, safe='')}/namespaces/sales/tables"
    fields = [{"id": 1, "name": "id", "type": "string", "required": True}]
    body = {"name": "staged", "stage-create": True, "schema": {"type": "struct", "fields": fields}}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 400
    assert json.load(refused.value)["error"]["type"] == "BadRequestException"
