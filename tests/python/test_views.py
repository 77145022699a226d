"""Views: made, replaced, listed and dropped, and read under the grants of whoever asks."""

import base64
import json

import pytest

import lakehouse
from test_athena import rows
from test_lake_formation import Person
from test_sql_writes import Sql

BUCKET = "viewlake"
LAKE = f'"s3tablescatalog/{BUCKET}".analytics.transactions'
OPTIONS = {
    "ResultConfiguration": {"OutputLocation": "s3://view-results/"},
    "QueryExecutionContext": {"Database": "seen"},
}


class Views(Sql):
    options = OPTIONS


@pytest.fixture(scope="module")
def lake(dynaberg):
    lakehouse.transactions(dynaberg, BUCKET)
    dynaberg.client("s3").create_bucket(Bucket="view-results")
    dynaberg.client("glue").create_database(DatabaseInput={"Name": "seen"})


@pytest.fixture
def athena(dynaberg, lake):
    return Views(dynaberg.client("athena"))


def test_a_view_is_a_query_under_a_name(dynaberg, athena):
    query = f"SELECT region, sum(amount) AS total, count(*) AS \"N\" -- per region\nFROM {LAKE} GROUP BY region"
    execution = athena.run(f"CREATE VIEW per_region AS {query}")
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DDL", "CREATE_VIEW")
    expected = str(sum(row["amount"] for row in lakehouse.ROWS if row["region"] == "EU"))
    assert athena.rows("SELECT total, n FROM per_region WHERE region = 'EU'") == [[expected, "20"]]
    assert athena.rows("SELECT count(*) FROM seen.per_region a JOIN per_region b ON a.region = b.region") == [["3"]]
    assert "exists" in athena.reason("CREATE VIEW per_region AS SELECT 1 AS a")
    athena.run("CREATE OR REPLACE VIEW upon AS SELECT region, total / 2 AS half FROM per_region WHERE n > 0")
    assert len(athena.rows("SELECT * FROM upon")) == 3
    table = dynaberg.client("glue").get_table(DatabaseName="seen", Name="per_region")["Table"]
    assert table["TableType"] == "VIRTUAL_VIEW" and table["ViewExpandedText"] == "/* Presto View */"
    text = table["ViewOriginalText"].removeprefix("/* Presto View: ").removesuffix(" */")
    assert json.loads(base64.b64decode(text))["originalSql"] == query
    assert [column["Name"] for column in table["StorageDescriptor"]["Columns"]] == ["region", "total", "n"]
    assert rows(athena.athena, "SHOW VIEWS", **OPTIONS) == [["per_region"], ["upon"]]
    assert rows(athena.athena, "SHOW VIEWS IN seen 'up*'", **OPTIONS) == [["upon"]]
    created = rows(athena.athena, "SHOW CREATE VIEW per_region", **OPTIONS)
    assert created[0] == ["CREATE VIEW seen.per_region AS"] and "GROUP BY region" in created[-1][0]
    columns = athena.rows("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'per_region'")
    assert ["region", "varchar"] in columns
    assert "is a view" in athena.reason("DROP TABLE upon")
    athena.run("CREATE OR REPLACE VIEW upon AS SELECT 1 AS one")
    assert athena.rows("SELECT * FROM upon") == [["1"]]
    athena.run("DROP VIEW upon")
    athena.run("DROP VIEW IF EXISTS upon")
    assert "upon" in athena.reason("DROP VIEW upon")


def test_a_view_says_what_is_wrong_with_it(athena):
    assert "nothing" in athena.reason("CREATE VIEW bad AS SELECT nothing FROM (VALUES (1)) AS t (a)")
    assert "two columns" in athena.reason("CREATE VIEW bad AS SELECT a, a FROM (VALUES (1)) AS t (a)")
    assert "Iceberg tables and nothing else" in athena.reason(
        f'CREATE VIEW "s3tablescatalog/{BUCKET}".analytics.v AS SELECT 1 AS a'
    )
    athena.run("CREATE VIEW first AS SELECT 1 AS a")
    athena.run("CREATE VIEW second AS SELECT a FROM first")
    athena.run("CREATE OR REPLACE VIEW first AS SELECT 2 AS b")
    assert "view seen.second is no longer valid" in athena.reason("SELECT * FROM second")
    athena.run("CREATE OR REPLACE VIEW first AS SELECT 1 AS a")
    athena.run("CREATE OR REPLACE VIEW first AS SELECT a FROM second")
    assert "nested" in athena.reason("SELECT * FROM first")


def test_who_reads_a_view_needs_its_tables_too(dynaberg, athena):
    athena.run(f"CREATE VIEW amounts AS SELECT region, amount FROM {LAKE}")
    person = Person(dynaberg, "viewer")
    viewer = Views(person.client("athena"))
    # The view is everybody's, as AWS has it; its table is not.
    assert viewer.reason("SELECT * FROM amounts").startswith("TABLE_NOT_FOUND")
    lake_formation = dynaberg.client("lakeformation")
    catalog = f"000000000000:s3tablescatalog/{BUCKET}"
    table = {"CatalogId": catalog, "DatabaseName": "analytics"}
    rows = {"TableCatalogId": catalog, "DatabaseName": "analytics", "TableName": "transactions", "Name": "eu"}
    lake_formation.create_data_cells_filter(
        TableData={**rows, "RowFilter": {"FilterExpression": "region = 'EU'"}, "ColumnWildcard": {}}
    )
    lake_formation.grant_permissions(
        Principal=person.principal, Resource={"DataCellsFilter": rows}, Permissions=["SELECT"]
    )
    assert viewer.rows("SELECT count(*), min(region) FROM amounts") == [["20", "EU"]]
    everybody = {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}
    view = {"Table": {"DatabaseName": "seen", "Name": "amounts"}}
    lake_formation.revoke_permissions(Principal=everybody, Resource=view, Permissions=["ALL"])
    assert viewer.reason("SELECT * FROM amounts").startswith("TABLE_NOT_FOUND")
    columns = {"TableWithColumns": {"DatabaseName": "seen", "Name": "amounts", "ColumnNames": ["region"]}}
    lake_formation.grant_permissions(Principal=person.principal, Resource=columns, Permissions=["SELECT"])
    assert viewer.rows("SELECT DISTINCT * FROM amounts") == [["EU"]]
    assert "COLUMN_NOT_FOUND" in viewer.reason("SELECT amount FROM amounts")
    lines = (dynaberg.data_dir / "analytics" / "audit.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines if "user/viewer" in line and '"QUERY"' in line]
    read = {read["table"] for entry in entries if entry["decision"] == "allowed" for read in entry["tables"]}
    assert read == {"amounts", "transactions"} and table
