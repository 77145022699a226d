"""Athena as analysts use it: boto3 and the AWS CLI."""

import csv
import io
import json
import subprocess
import sys
import uuid
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError

import lakehouse

BUCKET = "athenalake"
CATALOG = f"s3tablescatalog/{BUCKET}"
OUTPUT = "s3://athena-results/query-results/"
CONTEXT = {"Catalog": CATALOG, "Database": "analytics"}


@pytest.fixture(scope="module")
def athena(dynaberg):
    lakehouse.transactions(dynaberg, BUCKET)
    dynaberg.client("s3").create_bucket(Bucket="athena-results")
    return dynaberg.client("athena")


def start(athena, query, **options):
    options = {"ResultConfiguration": {"OutputLocation": OUTPUT}, "QueryExecutionContext": CONTEXT, **options}
    return athena.start_query_execution(QueryString=query, **options)["QueryExecutionId"]


def ended(athena, query_id):
    while True:
        execution = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
        if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
            return execution


def rows(athena, query, **options):
    query_id = start(athena, query, **options)
    execution = ended(athena, query_id)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    return values(athena.get_query_results(QueryExecutionId=query_id))


def values(page):
    return [[cell.get("VarCharValue") for cell in row["Data"]] for row in page["ResultSet"]["Rows"]]


def refused(error, code, words):
    assert error.value.response["Error"]["Code"] == code
    assert words in error.value.response["Error"]["Message"]


def failure(athena, query, **options):
    execution = ended(athena, start(athena, query, **options))
    assert execution["Status"]["State"] == "FAILED"
    return execution["Status"]


def aws(dynaberg, *arguments):
    command = [sys.executable, "-m", "awscli", *arguments]
    done = subprocess.run(command, env=dynaberg.environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout) if done.stdout else None


def test_the_blogs_command_answers_with_an_id_and_then_with_rows(dynaberg, athena):
    started = aws(
        dynaberg,
        "athena",
        "start-query-execution",
        "--query-string",
        "SELECT * FROM transactions LIMIT 100",
        "--work-group",
        "primary",
        "--result-configuration",
        f"OutputLocation={OUTPUT}",
        "--query-execution-context",
        f"Database=analytics,Catalog={CATALOG}",
    )
    assert list(started) == ["QueryExecutionId"]
    execution = ended(athena, started["QueryExecutionId"])
    assert execution["ResultConfiguration"]["OutputLocation"] == f"{OUTPUT}{started['QueryExecutionId']}.csv"
    assert execution["StatementType"] == "DML" and execution["Statistics"]["DataScannedInBytes"] > 0
    got = aws(
        dynaberg, "athena", "get-query-results", "--query-execution-id", started["QueryExecutionId"], "--output", "json"
    )
    assert len(got["ResultSet"]["Rows"]) == len(lakehouse.ROWS) + 1
    columns = {column["Name"]: column for column in got["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]}
    assert (columns["amount"]["Type"], columns["amount"]["Precision"], columns["amount"]["Scale"]) == ("decimal", 12, 2)
    assert columns["timestamp"]["Type"] == "bigint" and columns["date"]["Type"] == "date"


def test_the_blogs_two_queries_give_right_numbers(athena):
    flat, regions = lakehouse.D12, lakehouse.D13
    header, *found = rows(athena, flat)
    assert header == [
        "date",
        "hour",
        "merchant_category",
        "payment_method",
        "transaction_count",
        "total_amount",
        "unique_customers",
        "declined_count",
        "high_amount_alerts",
    ]
    assert sum(int(row[4]) for row in found) == len(lakehouse.ROWS)
    assert sum(Decimal(row[5]) for row in found) == sum(row["amount"] for row in lakehouse.ROWS)
    _, *found = rows(athena, regions)
    high = [row for row in lakehouse.ROWS if row["risk_score"] == "HIGH"]
    assert sum(int(row[5]) for row in found) == len(high)


def test_the_nested_form_of_the_query_fails_as_on_aws_and_names_the_column(athena):
    status = failure(athena, lakehouse.D12.replace("amount_threshold =", "fraud_indicators.amount_threshold ="))
    assert status["StateChangeReason"].startswith("COLUMN_NOT_FOUND: line 4:")
    assert "Try: amount_threshold" in status["StateChangeReason"]
    assert status["AthenaError"]["ErrorCategory"] == 2 and status["AthenaError"]["Retryable"] is False


def test_results_lie_in_s3_as_quoted_csv_with_empty_nulls(dynaberg, athena):
    query_id = start(athena, """SELECT 'say "so", then' AS a, NULL AS b, '' AS c, 1.50 AS d, ARRAY[1, NULL] AS e""")
    location = ended(athena, query_id)["ResultConfiguration"]["OutputLocation"]
    s3 = dynaberg.client("s3")
    bucket, key = location.removeprefix("s3://").split("/", 1)
    text = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    assert text == '"a","b","c","d","e"\n"say ""so"", then",,"","1.50","[1, null]"\n'
    assert next(csv.DictReader(io.StringIO(text)))["a"] == 'say "so", then'
    assert s3.head_object(Bucket=bucket, Key=f"{key}.metadata")["ContentLength"] > 0
    row = athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]["Rows"][1]["Data"]
    assert row[1] == {} and row[2] == {"VarCharValue": ""}


def test_results_come_in_pages_and_only_the_first_has_the_header(athena):
    query_id = start(athena, "SELECT value AS n FROM generate_series(1, 2500)")
    ended(athena, query_id)
    pages = list(athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id))
    assert [len(page["ResultSet"]["Rows"]) for page in pages] == [1000, 1000, 501]
    assert [value for page in pages for (value,) in values(page)] == ["n", *map(str, range(1, 2501))]
    with pytest.raises(ClientError) as error:
        athena.get_query_results(QueryExecutionId=query_id, NextToken="elsewhere")
    refused(error, "InvalidRequestException", "NextToken")


def test_a_token_starts_a_query_once_and_is_bound_to_its_parameters(athena):
    token = uuid.uuid4().hex
    first = start(athena, "SELECT 1", ClientRequestToken=token)
    assert start(athena, "SELECT 1", ClientRequestToken=token) == first
    with pytest.raises(ClientError) as error:
        start(athena, "SELECT 2", ClientRequestToken=token)
    refused(error, "InvalidRequestException", "Idempotent parameters do not match")


def test_cancelling_ends_the_work(athena):
    endless = "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b"
    query_id = start(athena, endless)
    athena.stop_query_execution(QueryExecutionId=query_id)
    status = ended(athena, query_id)["Status"]
    assert (status["State"], status["StateChangeReason"]) == ("CANCELLED", "Query cancelled by user")
    with pytest.raises(ClientError) as error:
        athena.get_query_results(QueryExecutionId=query_id)
    refused(error, "InvalidRequestException", "Final query state: CANCELLED")
    # More of them than may run at once would leave no place for another query, were they still at work.
    for query_id in [start(athena, endless) for _ in range(10)]:
        athena.stop_query_execution(QueryExecutionId=query_id)
    assert rows(athena, "SELECT 1 AS one") == [["one"], ["1"]]


def test_parameters_are_values_whatever_they_hold(athena):
    query = "SELECT ? AS a, ? AS b, count(*) AS n FROM transactions WHERE status = ?"
    found = rows(athena, query, ExecutionParameters=["1", "x' OR '1'='1", "'DECLINED'"])
    declined = sum(row["status"] == "DECLINED" for row in lakehouse.ROWS)
    assert found == [["a", "b", "n"], ["1", "x' OR '1'='1", str(declined)]]
    status = failure(athena, "SELECT ?, ?", ExecutionParameters=["1"])
    assert "expected 2 but found 1" in status["StateChangeReason"]


def test_a_recent_result_is_reused_where_that_is_asked_for(athena):
    reuse = {"ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": True, "MaxAgeInMinutes": 5}}}
    query = f"SELECT '{uuid.uuid4()}' AS once"
    first = ended(athena, start(athena, query, **reuse))
    second = ended(athena, start(athena, query, **reuse))
    assert [e["Statistics"]["ResultReuseInformation"]["ReusedPreviousResult"] for e in (first, second)] == [False, True]
    assert first["QueryExecutionId"] != second["QueryExecutionId"]
    got = [athena.get_query_results(QueryExecutionId=e["QueryExecutionId"])["ResultSet"] for e in (first, second)]
    assert got[0] == got[1]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELEC 1", "SYNTAX_ERROR"),
        ("SELECT nothing FROM transactions", "COLUMN_NOT_FOUND: line 1:8"),
        ("SELECT * FROM transaction", "TABLE_NOT_FOUND"),
        ("SELECT foo(1)", "FUNCTION_NOT_FOUND"),
        ("COPY transactions TO '/tmp/x'", "NOT_SUPPORTED"),
        ("SELECT * FROM read_csv('/etc/passwd')", "NOT_SUPPORTED"),
        ("SELECT * FROM '/etc/passwd'", "NOT_SUPPORTED"),
    ],
)
def test_a_failed_query_says_why(athena, query, words):
    status = failure(athena, query)
    assert words in status["StateChangeReason"]
    assert status["AthenaError"]["ErrorCategory"] == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ResultConfiguration": {}}, "No output location provided"),
        ({"ResultConfiguration": {"OutputLocation": "file:///tmp/"}}, "not a valid S3 path"),
        ({"ResultConfiguration": {"OutputLocation": "s3://no-such-bucket/"}}, "Unable to verify/create output bucket"),
        ({"WorkGroup": "nobodys"}, "WorkGroup is not found"),
        ({"QueryExecutionContext": {"Catalog": "hive"}}, "Catalog hive does not exist"),
    ],
)
def test_a_query_that_cannot_run_is_refused_at_once(athena, options, words):
    with pytest.raises(ClientError) as error:
        start(athena, "SELECT 1", **options)
    refused(error, "InvalidRequestException", words)


def test_an_id_that_is_cut_short_names_the_nearest(athena):
    query_id = start(athena, "SELECT 1")
    with pytest.raises(ClientError) as error:
        athena.get_query_results(QueryExecutionId=query_id[:20])
    refused(error, "InvalidRequestException", query_id)


def test_queries_are_listed_latest_first_and_described_in_batches(athena):
    ids = [start(athena, f"SELECT {n}") for n in range(3)]
    for query_id in ids:
        ended(athena, query_id)
    page = athena.list_query_executions(MaxResults=2)
    assert page["QueryExecutionIds"] == ids[:0:-1]
    page = athena.list_query_executions(MaxResults=2, NextToken=page["NextToken"])
    assert page["QueryExecutionIds"][0] == ids[0]
    batch = athena.batch_get_query_execution(QueryExecutionIds=[*ids, "nothing"])
    assert [execution["Query"] for execution in batch["QueryExecutions"]] == [f"SELECT {n}" for n in range(3)]
    assert batch["UnprocessedQueryExecutionIds"][0]["QueryExecutionId"] == "nothing"
    statistics = athena.get_query_runtime_statistics(QueryExecutionId=ids[0])["QueryRuntimeStatistics"]
    assert statistics["Rows"]["OutputRows"] == 1 and statistics["Timeline"]["TotalExecutionTimeInMillis"] >= 0


def test_a_work_group_that_enforces_its_settings_overrules_the_query(athena):
    output = {"OutputLocation": "s3://athena-results/enforced/"}
    athena.create_work_group(Name="strict", Configuration={"ResultConfiguration": output})
    execution = ended(athena, start(athena, "SELECT 1", WorkGroup="strict"))
    assert execution["ResultConfiguration"]["OutputLocation"].startswith(output["OutputLocation"])
    group = athena.get_work_group(WorkGroup="strict")["WorkGroup"]
    assert group["Configuration"]["EnforceWorkGroupConfiguration"] and group["State"] == "ENABLED"
    with pytest.raises(ClientError) as error:
        athena.create_work_group(Name="strict")
    refused(error, "InvalidRequestException", "already created")
    athena.update_work_group(WorkGroup="strict", State="DISABLED")
    with pytest.raises(ClientError) as error:
        start(athena, "SELECT 1", WorkGroup="strict")
    refused(error, "InvalidRequestException", "disabled")
    assert [group["Name"] for group in athena.list_work_groups()["WorkGroups"]] == ["primary", "strict"]
    athena.delete_work_group(WorkGroup="strict", RecursiveDeleteOption=True)
    with pytest.raises(ClientError) as error:
        athena.delete_work_group(WorkGroup="primary")
    refused(error, "InvalidRequestException", "primary")


def test_listings_are_lines_of_text(athena):
    assert rows(athena, "SHOW TABLES") == [["transactions"]]
    assert rows(athena, "SHOW DATABASES") == [["analytics"]]
    query_id = start(athena, "DESCRIBE transactions")
    assert ended(athena, query_id)["ResultConfiguration"]["OutputLocation"].endswith(".txt")
    described = values(athena.get_query_results(QueryExecutionId=query_id))
    assert ["amount", "decimal(12,2)"] in [row[:2] for row in described]


def test_history_and_results_survive_a_restart(tmp_path):
    from dynaberg import Dynaberg

    running = Dynaberg(tmp_path / "data")
    running.client("s3").create_bucket(Bucket="athena-results")
    athena = running.client("athena")
    query_id = start(athena, "SELECT 42 AS answer", QueryExecutionContext={})
    ended(athena, query_id)
    endless = start(athena, "SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b")
    running.kill()
    running = Dynaberg(tmp_path / "data")
    athena = running.client("athena")
    assert values(athena.get_query_results(QueryExecutionId=query_id)) == [["answer"], ["42"]]
    status = ended(athena, endless)["Status"]
    assert (status["State"], status["AthenaError"]["Retryable"]) == ("FAILED", True)
    running.stop()


def test_named_queries_and_prepared_statements_are_kept(athena):
    named = {"Name": "daily", "Database": "analytics", "QueryString": "SELECT 1", "ClientRequestToken": "t" * 40}
    query_id = athena.create_named_query(**named)["NamedQueryId"]
    assert athena.create_named_query(**named)["NamedQueryId"] == query_id
    assert athena.get_named_query(NamedQueryId=query_id)["NamedQuery"]["QueryString"] == "SELECT 1"
    assert query_id in athena.list_named_queries()["NamedQueryIds"]
    athena.delete_named_query(NamedQueryId=query_id)
    batch = athena.batch_get_named_query(NamedQueryIds=[query_id])
    assert batch["UnprocessedNamedQueryIds"][0]["NamedQueryId"] == query_id

    name = {"StatementName": "by_region", "WorkGroup": "primary"}
    athena.create_prepared_statement(**name, QueryStatement="SELECT ?")
    assert athena.get_prepared_statement(**name)["PreparedStatement"]["QueryStatement"] == "SELECT ?"
    listed = athena.list_prepared_statements(WorkGroup="primary")["PreparedStatements"]
    assert [statement["StatementName"] for statement in listed] == ["by_region"]
    athena.delete_prepared_statement(**name)
    with pytest.raises(ClientError) as error:
        athena.get_prepared_statement(**name)
    refused(error, "ResourceNotFoundException", "by_region")


def test_a_data_catalog_is_another_name_for_a_table_bucket(athena):
    parameters = {"catalog-id": f"000000000000:{CATALOG}"}
    athena.create_data_catalog(Name="lake", Type="GLUE", Parameters=parameters)
    assert rows(athena, "SHOW TABLES", QueryExecutionContext={"Catalog": "lake", "Database": "analytics"}) == [
        ["transactions"]
    ]
    names = [catalog["CatalogName"] for catalog in athena.list_data_catalogs()["DataCatalogsSummary"]]
    assert names == ["AwsDataCatalog", "lake"]
    tables = athena.list_table_metadata(CatalogName="lake", DatabaseName="analytics")["TableMetadataList"]
    assert [table["Name"] for table in tables] == ["transactions"]
    with pytest.raises(ClientError) as error:
        athena.get_table_metadata(CatalogName="lake", DatabaseName="analytics", TableName="nothing")
    refused(error, "MetadataException", "nothing")
    athena.delete_data_catalog(Name="lake")
    with pytest.raises(ClientError) as error:
        athena.get_data_catalog(Name="lake")
    refused(error, "InvalidRequestException", "lake")


def test_work_groups_have_tags(athena):
    arn = "arn:aws:athena:us-east-1:000000000000:workgroup/tagged"
    athena.create_work_group(Name="tagged", Tags=[{"Key": "team", "Value": "data"}])
    athena.tag_resource(ResourceARN=arn, Tags=[{"Key": "cost", "Value": "1"}])
    athena.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert athena.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]
    athena.delete_work_group(WorkGroup="tagged")
