"""Tools that analysts have: awswrangler, PyAthena, SQLAlchemy."""

from decimal import Decimal
from urllib.parse import quote_plus

import boto3
import pytest

import lakehouse

BUCKET = "toollake"
CATALOG = f"s3tablescatalog/{BUCKET}"
OUTPUT = "s3://tool-results/query-results/"
QUERY = "SELECT transaction_id, amount, date, hour, region FROM transactions WHERE region = 'EU' ORDER BY 1"
EU = [row for row in lakehouse.ROWS if row["region"] == "EU"]


@pytest.fixture(scope="module")
def lake(dynaberg):
    lakehouse.transactions(dynaberg, BUCKET)
    dynaberg.client("s3").create_bucket(Bucket="tool-results")
    target = {"CatalogId": f"000000000000:{CATALOG}", "DatabaseName": "analytics"}
    dynaberg.client("glue").create_database(DatabaseInput={"Name": "toollink", "TargetDatabase": target})


def settings(dynaberg):
    return {
        "s3_staging_dir": OUTPUT,
        "region_name": "us-east-1",
        "endpoint_url": dynaberg.endpoint,
        "aws_access_key_id": "dev",
        "aws_secret_access_key": "dev",
        "catalog_name": CATALOG,
        "schema_name": "analytics",
        "poll_interval": 0.05,
    }


def check(rows):
    assert [row[0] for row in rows] == [row["transaction_id"] for row in EU]
    assert [Decimal(str(row[1])) for row in rows] == [row["amount"] for row in EU]


def test_pyathenas_cursor_gives_typed_rows(dynaberg, lake):
    from pyathena import connect

    cursor = connect(**settings(dynaberg)).cursor().execute(QUERY)
    rows = cursor.fetchall()
    check(rows)
    assert rows[0][2] == EU[0]["date"] and rows[0][3] == EU[0]["hour"]
    assert [column[1] for column in cursor.description] == ["varchar", "decimal", "date", "integer", "varchar"]


def test_pyathenas_cursor_binds_parameters(dynaberg, lake):
    from pyathena import connect

    cursor = connect(**settings(dynaberg)).cursor()
    query = "SELECT count(*) FROM transactions WHERE region = %(region)s AND hour < %(hour)d"
    cursor.execute(query, {"region": "EU", "hour": 12})
    assert cursor.fetchone() == (sum(row["hour"] < 12 for row in EU),)


def test_pyathena_says_why_a_query_failed(dynaberg, lake):
    from pyathena import connect
    from pyathena.error import OperationalError

    with pytest.raises(OperationalError, match="COLUMN_NOT_FOUND: line 1:8"):
        connect(**settings(dynaberg)).cursor().execute("SELECT nothing FROM transactions")


def test_awswrangler_reads_a_query_into_a_data_frame(dynaberg, lake, monkeypatch):
    import awswrangler as wr

    for service in ("athena", "s3", "glue", "sts", "lakeformation"):
        setattr(wr.config, f"{service}_endpoint_url", dynaberg.endpoint)
    session = boto3.Session("dev", "dev", region_name="us-east-1")
    frame = wr.athena.read_sql_query(
        QUERY, database="toollink", ctas_approach=False, s3_output=OUTPUT, boto3_session=session
    )
    check(list(frame.itertuples(index=False)))
    unloaded = wr.athena.read_sql_query(
        QUERY,
        database="toollink",
        ctas_approach=False,
        unload_approach=True,
        s3_output=f"{OUTPUT}unloaded/",
        boto3_session=session,
    )
    check(list(unloaded.sort_values("transaction_id").itertuples(index=False)))
    tables = wr.catalog.tables(database="toollink", boto3_session=session)
    assert list(tables["Table"]) == ["transactions"]
    types = wr.catalog.get_table_types(database="toollink", table="transactions", boto3_session=session)
    assert types["amount"] == "decimal(12,2)"


def test_sqlalchemy_lists_tables_and_reads_rows(dynaberg, lake):
    import sqlalchemy

    url = (
        f"awsathena+rest://dev:dev@athena.us-east-1.amazonaws.com:443/analytics?s3_staging_dir={quote_plus(OUTPUT)}"
        f"&catalog_name={quote_plus(CATALOG)}&endpoint_url={quote_plus(dynaberg.endpoint)}&poll_interval=0.05"
    )
    engine = sqlalchemy.create_engine(url)
    assert sqlalchemy.inspect(engine).get_table_names(schema="analytics") == ["transactions"]
    with engine.connect() as connection:
        check(connection.execute(sqlalchemy.text(QUERY)).fetchall())
