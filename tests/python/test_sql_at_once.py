"""Sixteen heavy queries at once, within one memory limit, beside a pipeline that goes on."""

import threading

import boto3
import psycopg
import pytest

from dynaberg import Dynaberg
from test_mirror import assert_equals_scan, pipeline_file

BUCKET = "crowded"
AT_ONCE = 16
SORTS = "SELECT count(*), max(r) FROM (SELECT row_number() OVER (ORDER BY x * 7919 % 1000003) AS r FROM generate_series(1, 300000) AS t(x)) AS q"
SORTED = (300_000, 300_000)
# An aggregate of one group cannot spill: 20 MB.
GATHERS = "SELECT cardinality(array_agg(x)) FROM generate_series(1, 2500000) AS t(x)"
LIMIT = "32.0 MB of all queries"


@pytest.fixture
def busy(tmp_path):
    """Services whose queries may hold 32 MB, with a pipeline that mirrors a table."""
    running = Dynaberg(tmp_path / "data", [pipeline_file(tmp_path, "items", "sales.items", BUCKET)], ["--memory", "32MB"])
    try:
        arn = running.client("s3tables").create_table_bucket(name=BUCKET)["arn"]
        running.client("s3tables").create_namespace(tableBucketARN=arn, namespace=["sales"])
        running.client("s3").create_bucket(Bucket="letters")
        running.client("s3").create_bucket(Bucket="results")
        yield running
    finally:
        running.stop()


def over_athena(running, sql):
    """The row of `sql` as text, or why it failed."""
    athena = boto3.session.Session().client(
        "athena", endpoint_url=running.endpoint, region_name="us-east-1", aws_access_key_id="dev", aws_secret_access_key="dev"
    )
    started = athena.start_query_execution(QueryString=sql, ResultConfiguration={"OutputLocation": "s3://results/all/"})
    while True:
        status = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
    if status["State"] == "FAILED":
        assert status["AthenaError"]["ErrorCategory"] == 2, status
        return status["StateChangeReason"]
    row = athena.get_query_results(QueryExecutionId=started["QueryExecutionId"])["ResultSet"]["Rows"][1]
    return tuple(int(cell["VarCharValue"]) for cell in row["Data"])


def over_postgres(running, sql):
    host, port = running.postgres.rsplit("@", 1)[1].split(":")
    with psycopg.connect(host=host, port=port, user="dev", dbname=BUCKET, autocommit=True) as connection:
        try:
            return connection.execute(sql).fetchone()
        except psycopg.errors.OutOfMemory as error:
            return str(error)


def test_sixteen_queries_at_once_stay_within_their_memory_and_a_pipeline_goes_on(busy):
    table = busy.resource("dynamodb").create_table(
        TableName="items",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    answers = [None] * AT_ONCE

    def ask(number):
        over = (over_athena, over_postgres)[number % 2]
        answers[number] = over(busy, SORTS if number < AT_ONCE // 2 else GATHERS)

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(AT_ONCE)]
    for thread in asking:
        thread.start()
    written = 0
    while any(thread.is_alive() for thread in asking):
        with table.batch_writer() as batch:
            for written in range(written, written + 25):
                batch.put_item(Item={"id": written % 500, "round": written})
    for thread in asking:
        thread.join()

    sorts, gathers = answers[: AT_ONCE // 2], answers[AT_ONCE // 2 :]
    assert all(LIMIT in str(answer) for answer in gathers), gathers
    assert all(answer == SORTED or LIMIT in str(answer) for answer in sorts), sorts
    assert SORTED in sorts
    # What they held is free again, in memory and on disk.
    assert over_postgres(busy, SORTS) == SORTED
    busy.wait()
    assert_equals_scan(busy, table, "sales.items", BUCKET, ["id"])
    assert not [file for file in busy.data_dir.rglob("*") if file.is_file() and "spill" in str(file.relative_to(busy.data_dir))]
