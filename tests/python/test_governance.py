"""What is granted can be seen and what is not cannot, whoever asks and by whatever path: every pair of the two is a case.

The table has a column `secret_note`, a column `amount`, and rows of two regions. What somebody receives over a path, be it
rows, a plan, an error or the bytes of a file, is searched for what they may not know.
"""

import json
import re
import time

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from dynaberg import pyiceberg_catalog
from test_athena import ended, start, values
from test_lake_formation import Person, iceberg

BUCKET = "matrixlake"
CATALOG = f"000000000000:s3tablescatalog/{BUCKET}"
ARN = f"arn:aws:s3tables:us-east-1:000000000000:bucket/{BUCKET}"
LEDGER = {"CatalogId": CATALOG, "DatabaseName": "vault", "Name": "ledger"}
OTHER = {"CatalogId": CATALOG, "DatabaseName": "hall", "Name": "board"}
SCHEMA = pa.schema(
    [("id", pa.int64()), ("region", pa.string()), ("amount", pa.int64()), ("secret_note", pa.string())]
)
# Nothing that is made at random, as an identifier or a time, has these digits in it.
AMOUNT = 7_000_310_009_300_000
ROWS = [
    {"id": number, "region": ("EU", "US")[number % 2], "amount": AMOUNT + number, "secret_note": f"NOTE{number:02}"}
    for number in range(20)
]
COLUMNS = set(SCHEMA.names)


class Sees:
    """What somebody is granted: columns and rows of the ledger, and whether its name may be known of."""

    def __init__(self, columns=(), regions=(), knows=False, everything=False):
        self.columns, self.regions, self.everything = set(columns), set(regions), everything
        self.knows = knows or bool(self.columns)

    @property
    def rows(self):
        return [row for row in ROWS if row["region"] in self.regions] if self.columns else []

    @property
    def is_whole(self):
        return self.columns == COLUMNS and self.regions == {"EU", "US"}


WHOLE = {"columns": COLUMNS, "regions": {"EU", "US"}}
PRINCIPALS = {
    "nobody": Sees(),
    "describer": Sees(knows=True),
    "reader": Sees(**WHOLE),
    "reader_of_all_tables": Sees(**WHOLE),
    "administrator": Sees(**WHOLE, everything=True),
    "columns": Sees({"id", "amount"}, {"EU", "US"}),
    "all_columns_but": Sees(COLUMNS - {"secret_note"}, {"EU", "US"}),
    "rows": Sees(COLUMNS, {"EU"}),
    "cells": Sees({"id", "amount"}, {"EU"}),
    "cells_but": Sees(COLUMNS - {"secret_note"}, {"US"}),
    "role": Sees({"id"}, {"EU", "US"}),
    "writer": Sees(knows=True),
    "neighbour": Sees(),
    "revoked": Sees(),
    "filter_is_gone": Sees(),
}


@pytest.fixture(scope="module")
def lake(dynaberg):
    dynaberg.client("s3tables").create_table_bucket(name=BUCKET)
    catalog = pyiceberg_catalog(dynaberg, ARN)
    catalog.create_namespace("vault")
    catalog.create_table("vault.ledger", SCHEMA).append(pa.Table.from_pylist(ROWS, SCHEMA))
    catalog.create_namespace("hall")
    catalog.create_table("hall.board", pa.schema([("public", pa.string())]))
    dynaberg.client("s3").create_bucket(Bucket="matrix-results")
    target = {"CatalogId": CATALOG, "DatabaseName": "vault"}
    dynaberg.client("glue").create_database(DatabaseInput={"Name": "vaultlink", "TargetDatabase": target})
    lake = Lake(dynaberg)
    yield lake
    lake.formation.put_data_lake_settings(DataLakeSettings={"DataLakeAdmins": []})


class Lake:
    """The people, with what they are granted."""

    def __init__(self, dynaberg):
        self.dynaberg, self.formation = dynaberg, dynaberg.client("lakeformation")
        self.people = {name: Person(dynaberg, f"matrix_{name}") for name in PRINCIPALS}
        table, select = {"Table": LEDGER}, ["SELECT"]
        self.grant("describer", table, ["DESCRIBE"])
        self.grant("reader", table, select)
        every = {"Table": {"CatalogId": CATALOG, "DatabaseName": "vault", "TableWildcard": {}}}
        self.grant("reader_of_all_tables", every, select)
        admins = [self.people["administrator"].principal]
        self.formation.put_data_lake_settings(DataLakeSettings={"DataLakeAdmins": admins})
        columns = {"TableWithColumns": {**LEDGER, "ColumnNames": ["id", "amount"]}}
        self.grant("columns", columns, select)
        but = {"ColumnWildcard": {"ExcludedColumnNames": ["secret_note"]}}
        self.grant("all_columns_but", {"TableWithColumns": {**LEDGER, **but}}, select)
        self.grant("rows", self.filter("eu", "region = 'EU'", {"ColumnWildcard": {}}), select)
        self.grant("cells", self.filter("eucells", "region = 'EU'", {"ColumnNames": ["id", "amount"]}), select)
        self.grant("cells_but", self.filter("uscells", "region = 'US'", but), select)
        self.grant("writer", table, ["INSERT"])
        self.grant("neighbour", {"Table": OTHER}, select)
        self.grant("revoked", table, select)
        revoked = self.people["revoked"].principal
        self.formation.revoke_permissions(Principal=revoked, Resource=table, Permissions=select)
        gone = self.filter("gone", "region = 'EU'", {"ColumnWildcard": {}})
        self.grant("filter_is_gone", gone, select)
        self.formation.delete_data_cells_filter(**gone["DataCellsFilter"])
        role = "arn:aws:iam::000000000000:role/matrix_role"
        keys = dynaberg.client("sts").assume_role(RoleArn=role, RoleSessionName="matrix")["Credentials"]
        self.people["role"] = Person(dynaberg, keys["AccessKeyId"])
        self.people["role"].principal = {"DataLakePrincipalIdentifier": role}
        self.grant("role", {"TableWithColumns": {**LEDGER, "ColumnNames": ["id"]}}, select)

    def grant(self, name, resource, permissions):
        self.grant_to(self.people[name], resource, permissions)

    def grant_to(self, person, resource, permissions=("SELECT",)):
        permissions = list(permissions)
        self.formation.grant_permissions(Principal=person.principal, Resource=resource, Permissions=permissions)

    def audit_of(self, arn, entries):
        """What the audit log says of somebody. Decisions of services are in it a moment after they were made."""
        end = time.monotonic() + 30
        while True:
            lines = (self.dynaberg.data_dir / "analytics" / "audit.jsonl").read_text().splitlines()
            found = [entry for entry in map(json.loads, lines) if entry["principal"] == arn]
            if len(found) >= entries or time.monotonic() > end:
                return found

    def filter(self, name, condition, columns):
        place = {"TableCatalogId": CATALOG, "DatabaseName": "vault", "TableName": "ledger", "Name": name}
        data = {**place, "RowFilter": {"FilterExpression": condition}, **columns}
        self.formation.create_data_cells_filter(TableData=data)
        return {"DataCellsFilter": place}


def news(said, asked):
    """What is said without the names that the person used: these tell them nothing."""
    for name in {"ledger", *COLUMNS - {"id"}} & set(re.findall(r"\w+", asked)):
        said = re.sub(rf"\b{name}\b", "", said)
    return said


def sql(person, query, catalog=f"s3tablescatalog/{BUCKET}", database="vault"):
    """Whether the query is answered, and everything that is said to the person."""
    athena = person.client("athena")
    context = {"Catalog": catalog, "Database": database}
    output = {"OutputLocation": "s3://matrix-results/"}
    query_id = start(athena, query, ResultConfiguration=output, QueryExecutionContext=context)
    status = ended(athena, query_id)["Status"]
    if status["State"] != "SUCCEEDED":
        return False, news(status["StateChangeReason"], query), []
    found = values(athena.get_query_results(QueryExecutionId=query_id))
    return True, json.dumps(found), found


def call(operation, **arguments):
    try:
        answer = operation(**arguments)
    except ClientError as error:
        return False, news(str(error), str(arguments)), []
    body = answer.pop("Body", None)
    return True, json.dumps(answer, default=str) + (body.read().decode("latin-1") if body else ""), []


# Each path gives what it must be able to do for somebody who sees that much, and the way to do it.
def query(text, works, rows=None, **context):
    return works, (lambda person: sql(person, text, **context)), rows


def has(*columns):
    return lambda sees: set(columns) <= sees.columns


def whole(sees):
    return sees.is_whole


def known(sees):
    return sees.knows


def reads(sees):
    return bool(sees.columns)


def service(of, operation, works, **arguments):
    return works, (lambda person: call(getattr(person.client(of), operation), **arguments)), None


def files(kind):
    def read(person):
        bucket, metadata = warehouse(person)
        s3 = person.client("s3")
        key = metadata.removeprefix(f"s3://{bucket}/")
        if kind == "metadata":
            return call(s3.get_object, Bucket=bucket, Key=key)
        if kind == "listing":
            return call(s3.list_objects_v2, Bucket=bucket)
        listed = person.dynaberg.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
        data = next(entry["Key"] for entry in listed if entry["Key"].endswith(".parquet"))
        if kind == "copy":
            target = {"Bucket": "matrix-results", "Key": f"copy-{person.name}"}
            return call(s3.copy_object, CopySource=f"{bucket}/{data}", **target)
        return call(s3.get_object, Bucket=bucket, Key=data)

    return whole, read, None


def warehouse(person):
    tables = person.dynaberg.client("s3tables")
    table = tables.get_table(tableBucketARN=ARN, namespace="vault", name="ledger")
    return table["warehouseLocation"].removeprefix("s3://"), table["metadataLocation"]


def rest(person):
    status = iceberg(person, ARN, "vault", "ledger")
    return status == 200, str(status), []


def stolen_result(person):
    """A result of the administrator's."""
    athena = person.dynaberg.client("athena")
    output = {"OutputLocation": "s3://matrix-results/private/"}
    context = {"Catalog": f"s3tablescatalog/{BUCKET}", "Database": "vault"}
    options = {"ResultConfiguration": output, "QueryExecutionContext": context}
    query_id = start(athena, "SELECT * FROM ledger", **options)
    ended(athena, query_id)
    fetched = call(person.client("athena").get_query_results, QueryExecutionId=query_id)
    read = call(person.client("s3").get_object, Bucket="matrix-results", Key=f"private/{query_id}.csv")
    return fetched[0] or read[0], fetched[1] + read[1], []


def without_the_first_us_row(sees):
    """That row divides by zero: an error would tell that it is there."""
    return has("id", "amount")(sees) and "US" not in sees.regions


QUALIFIED = f'"s3tablescatalog/{BUCKET}".vault.ledger'
NAME = {"tableBucketARN": ARN, "namespace": "vault", "name": "ledger"}
GLUE = {"CatalogId": CATALOG, "DatabaseName": "vault"}
ATHENA = {"CatalogName": f"s3tablescatalog/{BUCKET}", "DatabaseName": "vault"}
PATHS = {
    "id": query("SELECT id FROM ledger", has("id"), ("id",)),
    "amount": query("SELECT amount FROM vault.ledger", has("amount"), ("amount",)),
    "secret": query("SELECT secret_note FROM ledger", has("secret_note"), ("secret_note",)),
    "star": query("SELECT * FROM ledger", reads),
    "qualified": query(f"SELECT id FROM {QUALIFIED}", has("id"), ("id",), catalog="AwsDataCatalog"),
    "link": query("SELECT id FROM vaultlink.ledger", has("id"), ("id",), catalog="AwsDataCatalog"),
    "where_secret": query("SELECT id FROM ledger WHERE secret_note >= 'N'", has("id", "secret_note"), ("id",)),
    "order_by_secret": query("SELECT id FROM ledger ORDER BY secret_note", has("id", "secret_note"), ("id",)),
    "division": query(f"SELECT id FROM ledger WHERE 1 / (amount - {AMOUNT + 1}) <> 5", without_the_first_us_row),
    "cast": query("SELECT CAST(secret_note AS bigint) FROM ledger", lambda sees: False),
    "typo": query("SELECT secret_not FROM ledger", lambda sees: False),
    "table_typo": query("SELECT 1 FROM ledgr", lambda sees: False),
    "explain": query("EXPLAIN SELECT id FROM ledger", has("id")),
    "explain_analyze": query("EXPLAIN ANALYZE SELECT id FROM ledger", has("id")),
    "version": query("SELECT id FROM ledger FOR TIMESTAMP AS OF current_timestamp", has("id"), ("id",)),
    **{
        kind: query(f'SELECT * FROM "ledger${kind}"', whole)
        for kind in ("files", "snapshots", "history", "manifests", "partitions", "refs")
    },
    "describe": query("DESCRIBE ledger", reads),
    "show_columns": query("SHOW COLUMNS IN ledger", reads),
    "show_create": query("SHOW CREATE TABLE ledger", reads),
    "show_properties": query("SHOW TBLPROPERTIES ledger", reads),
    "show_tables": query("SHOW TABLES", reads),
    "information_schema": query("SELECT column_name FROM information_schema.columns", lambda sees: None),
    "information_schema_of_links": query(
        # Other tests' tables in this catalog have columns of the same names.
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'vaultlink'",
        lambda sees: True,
        catalog="AwsDataCatalog",
    ),
    "iceberg_rest": (whole, rest, None),
    "data_file": files("data"),
    "metadata_file": files("metadata"),
    "file_listing": files("listing"),
    "file_copy": files("copy"),
    "s3tables_location": service("s3tables", "get_table_metadata_location", whole, **NAME),
    "s3tables_table": service("s3tables", "get_table", whole, **NAME),
    "glue_table": service("glue", "get_table", known, **GLUE, Name="ledger"),
    "glue_tables": service("glue", "get_tables", known, **GLUE),
    "athena_metadata": service("athena", "get_table_metadata", known, **ATHENA, TableName="ledger"),
    "athena_list": service("athena", "list_table_metadata", known, **ATHENA),
    "another_result": (lambda sees: False, stolen_result, None),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", PRINCIPALS)
def test_what_is_granted_is_seen_and_nothing_else(lake, name, path):
    sees, person = PRINCIPALS[name], lake.people[name]
    works, reach, columns = PATHS[path]
    is_answered, said, found = reach(person)
    expected = works(sees)
    assert expected is None or is_answered == expected, said
    if columns and is_answered:
        assert sorted(found[1:]) == sorted([str(row[column]) for column in columns] for row in sees.rows)
    if sees.is_whole:
        return
    for row in ROWS:
        if row not in sees.rows or "secret_note" not in sees.columns:
            assert row["secret_note"] not in said
        if row not in sees.rows or "amount" not in sees.columns:
            assert str(row["amount"]) not in said
    # Somebody who only knows the table's name may know its columns by name.
    if sees.columns or not sees.knows:
        for column in ("secret_note", "amount", "region"):
            assert column in sees.columns or column not in said
    if not sees.knows:
        assert "ledger" not in said.lower()


GRANT = {"Resource": {"Table": LEDGER}, "Permissions": ["SELECT"]}


@pytest.mark.parametrize("path", [path for path, (works, _, _) in PATHS.items() if works(PRINCIPALS["reader"])])
def test_what_is_revoked_is_gone_at_once(lake, path):
    person = Person(lake.dynaberg, f"late_{path.replace('_', '')}")
    _, reach, _ = PATHS[path]
    lake.formation.grant_permissions(Principal=person.principal, **GRANT)
    assert reach(person)[0]
    lake.formation.revoke_permissions(Principal=person.principal, **GRANT)
    is_answered, said, _ = reach(person)
    assert "NOTE" not in said and "secret_note" not in said
    # Catalogs answer everybody, with what is there for them.
    assert not is_answered or path == "information_schema_of_links"


def test_every_decision_is_in_the_audit_log(lake):
    person = Person(lake.dynaberg, "audited")
    lake.grant_to(person, lake.filter("audited", "region = 'EU'", {"ColumnNames": ["id", "amount"]}))
    arn = person.principal["DataLakePrincipalIdentifier"]
    assert sql(person, "SELECT id FROM ledger")[0] and not sql(person, "SELECT secret_note FROM ledger")[0]
    assert iceberg(person, ARN, "vault", "ledger") == 403
    query, refused, access = lake.audit_of(arn, entries=3)
    place = {"catalog": f"s3tablescatalog/{BUCKET}", "database": "vault", "table": "ledger"}
    limits = {**place, "columns": ["amount", "id"], "row_filter": "region = 'EU'"}
    assert query["action"] == "QUERY" and query["decision"] == "allowed" and query["tables"] == [limits]
    assert query["rows"] == 10 and query["bytes_read"] > 0 and query["query_execution_id"]
    assert refused["decision"] == "refused" and refused["reason"].startswith("COLUMN_NOT_FOUND")
    assert refused["rows"] == 0 and refused["time"] >= query["time"]
    assert (access["action"], access["table"], access["decision"]) == ("SELECT", "ledger", "allowed")
    assert access["columns"] == ["amount", "id"] and access["row_filter"] == "region = 'EU'"
