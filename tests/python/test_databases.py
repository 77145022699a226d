"""CREATE SCHEMA and DROP SCHEMA: databases of AwsDataCatalog, and namespaces of table buckets."""

import pytest
from botocore.exceptions import ClientError

from test_athena import ended, rows, start
from test_lake_formation import Person

BUCKET = "schemalake"
CATALOG = f"s3tablescatalog/{BUCKET}"
OPTIONS = {
    "ResultConfiguration": {"OutputLocation": "s3://schema-results/"},
    "QueryExecutionContext": {"Catalog": "AwsDataCatalog"},
}


@pytest.fixture(scope="module")
def athena(dynaberg):
    dynaberg.client("s3").create_bucket(Bucket="schema-results")
    dynaberg.client("s3tables").create_table_bucket(name=BUCKET)
    return dynaberg.client("athena")


def done(athena, sql, **options):
    status = ended(athena, start(athena, sql, **{**OPTIONS, **options}))["Status"]
    return status["State"], status.get("StateChangeReason", "")


def succeeds(athena, sql, **options):
    state, reason = done(athena, sql, **options)
    assert state == "SUCCEEDED", reason


def databases(athena, like):
    return [row[0] for row in rows(athena, f"SHOW DATABASES LIKE '{like}'", **OPTIONS)]


def test_a_database_is_made_once_described_in_glue_and_dropped_when_it_is_empty(athena, dynaberg):
    sql = "CREATE DATABASE schema_one COMMENT 'shop' LOCATION 's3://schema-results/one/' WITH DBPROPERTIES ('owner' = 'ana')"
    succeeds(athena, sql)
    database = dynaberg.client("glue").get_database(Name="schema_one")["Database"]
    assert (database["Description"], database["LocationUri"]) == ("shop", "s3://schema-results/one/")
    assert database["Parameters"] == {"owner": "ana"}
    assert databases(athena, "schema_on*") == ["schema_one"]

    state, reason = done(athena, "CREATE SCHEMA schema_one")
    assert state == "FAILED" and "exists already" in reason and "IF NOT EXISTS" in reason
    succeeds(athena, "CREATE SCHEMA IF NOT EXISTS `schema_one`")
    succeeds(athena, "CREATE TABLE schema_one.letters AS SELECT 'a' AS letter")
    state, reason = done(athena, "DROP SCHEMA schema_one")
    assert state == "FAILED" and "CASCADE" in reason
    succeeds(athena, "DROP SCHEMA schema_one CASCADE")
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        dynaberg.client("glue").get_database(Name="schema_one")
    assert done(athena, "DROP DATABASE schema_one")[0] == "FAILED"
    succeeds(athena, "DROP DATABASE IF EXISTS schema_one")


def test_a_namespace_of_a_table_bucket_is_a_database_and_keeps_its_tables(athena, dynaberg):
    succeeds(athena, f'CREATE SCHEMA "{CATALOG}".mart')
    arn = f"arn:aws:s3tables:us-east-1:000000000000:bucket/{BUCKET}"
    listed = dynaberg.client("s3tables").list_namespaces(tableBucketARN=arn)["namespaces"]
    assert [it["namespace"] for it in listed] == [["mart"]]
    context = {"QueryExecutionContext": {"Catalog": CATALOG}}
    assert "COMMENT" in done(athena, "CREATE SCHEMA other COMMENT 'no'", **context)[1]

    succeeds(athena, f'CREATE TABLE "{CATALOG}".mart.letters AS SELECT 1 AS letter')
    state, reason = done(athena, "DROP SCHEMA mart CASCADE", **context)
    assert state == "FAILED" and "DROP TABLE" in reason
    succeeds(athena, f'DROP TABLE "{CATALOG}".mart.letters')
    succeeds(athena, "DROP SCHEMA mart", **context)
    assert dynaberg.client("s3tables").list_namespaces(tableBucketARN=arn)["namespaces"] == []


def test_who_was_not_granted_to_make_databases_makes_and_drops_none(athena, dynaberg):
    person = Person(dynaberg, "schemaless").client("athena")
    for sql in ("CREATE SCHEMA schema_theirs", "DROP SCHEMA default", f'CREATE SCHEMA "{CATALOG}".theirs'):
        state, reason = done(person, sql)
        assert state == "FAILED" and "Lake Formation" in reason, sql


def test_a_table_is_given_properties_and_keeps_those_that_it_has(athena, dynaberg):
    succeeds(athena, "CREATE SCHEMA schema_two LOCATION 's3://schema-results/two/'")
    succeeds(athena, "CREATE TABLE schema_two.letters AS SELECT 'a' AS letter")
    table = lambda: dynaberg.client("glue").get_table(DatabaseName="schema_two", Name="letters")["Table"]["Parameters"]
    before = table()
    succeeds(athena, "ALTER TABLE schema_two.letters SET TBLPROPERTIES ('classification' = 'parquet')")
    assert table() == {**before, "classification": "parquet"}
    assert done(athena, "ALTER TABLE schema_two.missing SET TBLPROPERTIES ('a' = 'b')")[0] == "FAILED"
    succeeds(athena, "DROP SCHEMA schema_two CASCADE")
