"""Queries over several table buckets and resource links, and what catalogs tell of themselves."""

import json
import random

import pyarrow as pa
import pytest

import lakehouse
from dynaberg import pyiceberg_catalog
from test_athena import ended, rows, start

FIRST, SECOND = "firstlake", "secondlake"
OUTPUT = {"OutputLocation": "s3://catalog-results/"}


@pytest.fixture(scope="module")
def athena(dynaberg):
    for bucket in (FIRST, SECOND):
        lakehouse.transactions(dynaberg, bucket)
    dynaberg.client("s3").create_bucket(Bucket="catalog-results")
    target = {"CatalogId": f"000000000000:s3tablescatalog/{FIRST}", "DatabaseName": "analytics"}
    dynaberg.client("glue").create_database(DatabaseInput={"Name": "linked", "TargetDatabase": target})
    return dynaberg.client("athena")


def ask(athena, query, catalog=None, database=None):
    context = {"Catalog": catalog, "Database": database}
    context = {name: value for name, value in context.items() if value}
    return rows(athena, query, ResultConfiguration=OUTPUT, QueryExecutionContext=context)


def test_one_query_joins_table_buckets_and_a_link(athena):
    query = f"""SELECT count(*) FROM "s3tablescatalog/{FIRST}".analytics.transactions a
        JOIN "s3tablescatalog/{SECOND}"."analytics"."transactions" b ON a.transaction_id = b.transaction_id
        JOIN AwsDataCatalog.linked.transactions c ON a.transaction_id = c.transaction_id"""
    assert ask(athena, query)[1:] == [["60"]]
    assert ask(athena, query, f"s3tablescatalog/{SECOND}", "analytics")[1:] == [["60"]]


def test_names_without_a_catalog_mean_the_context(athena):
    assert ask(athena, "SELECT count(*) FROM transactions", "AwsDataCatalog", "linked")[1:] == [["60"]]
    assert ask(athena, "SELECT count(*) FROM linked.transactions")[1:] == [["60"]]
    assert ask(athena, "SHOW TABLES", f"s3tablescatalog/{FIRST}", "analytics") == [["transactions"]]
    assert ["linked"] in ask(athena, "SHOW DATABASES")
    assert ask(athena, "SHOW DATABASES", f"s3tablescatalog/{FIRST}") == [["analytics"]]


def test_the_information_schema_lists_tables_and_columns(athena):
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'analytics'"
    assert ask(athena, tables, f"s3tablescatalog/{FIRST}")[1:] == [["transactions"]]
    columns = """SELECT column_name, data_type, is_nullable FROM information_schema.columns
        WHERE table_schema = 'linked' AND table_name = 'transactions' ORDER BY ordinal_position"""
    found = ask(athena, columns)[1:]
    assert found[0] == ["transaction_id", "varchar", "NO"]
    assert ["amount", "decimal(12,2)", "YES"] in found and len(found) == len(lakehouse.SCHEMA)


def test_show_columns_has_one_column(athena):
    described = ask(athena, "DESCRIBE linked.transactions")
    assert described[0][:2] == ["transaction_id", "string"]
    shown = ask(athena, "SHOW COLUMNS IN linked.transactions")
    assert shown[:2] == [["transaction_id"], ["timestamp"]]


def test_a_catalog_that_is_not_there_fails_the_query(athena):
    id = start(athena, 'SELECT 1 FROM "s3tablescatalog/firstlak".analytics.t', ResultConfiguration=OUTPUT, QueryExecutionContext={})
    reason = ended(athena, id)["Status"]["StateChangeReason"]
    assert "no catalog named s3tablescatalog/firstlak" in reason and f'"s3tablescatalog/{FIRST}"' in reason


def test_a_query_that_reads_too_much_ends_and_leaves_no_result(athena, dynaberg):
    catalog = pyiceberg_catalog(dynaberg, f"arn:aws:s3tables:us-east-1:000000000000:bucket/{FIRST}")
    schema = pa.schema([("text", pa.string())])
    texts = [random.Random(number).randbytes(40).hex() for number in range(300_000)]
    catalog.create_table("analytics.wide", schema).append(pa.table({"text": texts}, schema))
    configuration = {"BytesScannedCutoffPerQuery": 10_000_000, "EnforceWorkGroupConfiguration": False}
    athena.create_work_group(Name="narrow", Configuration=configuration)
    options = {"ResultConfiguration": OUTPUT, "QueryExecutionContext": {}, "WorkGroup": "narrow"}
    assert rows(athena, "SELECT count(*) FROM linked.transactions", **options)[1:] == [["60"]]
    copies = "INSERT INTO linked.wide_again SELECT text FROM linked.wide"
    catalog.create_table("analytics.wide_again", schema)
    for query in ("SELECT count(DISTINCT text) FROM linked.wide", "SELECT * FROM linked.wide", copies):
        id = start(athena, query, **options)
        execution = ended(athena, id)
        assert execution["Status"]["State"] == "FAILED"
        reason = execution["Status"]["StateChangeReason"]
        assert reason.startswith("Bytes scanned limit was exceeded") and "10000000" in reason
        keys = dynaberg.client("s3").list_objects_v2(Bucket="catalog-results", Prefix=f"{id}.csv").get("Contents", [])
        assert [key["Key"] for key in keys] == ([] if query == copies else [f"{id}.csv.metadata"])
    assert rows(athena, "SELECT count(*) FROM linked.wide_again", **options)[1:] == [["0"]]
    athena.delete_work_group(WorkGroup="narrow", RecursiveDeleteOption=True)


def test_the_command_line_names_table_buckets_too(dynaberg, athena):
    query = f'SELECT count(*) AS n FROM "s3tablescatalog/{SECOND}".analytics.transactions'
    arn = f"arn:aws:s3tables:us-east-1:000000000000:bucket/{FIRST}"
    assert json.loads(dynaberg.run("sql", query, "--output", "json").stdout) == [{"n": 60}]
    both = f"{query} JOIN analytics.transactions t ON t.transaction_id = transactions.transaction_id"
    assert json.loads(dynaberg.run("sql", both, "--catalog", arn, "--output", "json").stdout) == [{"n": 60}]
    refused = dynaberg.run("sql", "SELECT 1 FROM transactions", check=False)
    assert refused.returncode != 0 and "--catalog" in refused.stderr
