"""What an analyst waits for, over Athena's API and over PostgreSQL's protocol, and what many of them at once cost.

`latency` measures one query after the other. `crowd` asks 16 heavy queries at once, beside a writer, and tells how each
ended; a query may fail for want of memory, but only with an error that says so.
"""

import argparse
import collections
import importlib.util
import os
import pathlib
import statistics
import threading
import time

import boto3
import psycopg

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples/transactions/write.py"
CONTEXT = {"Catalog": "s3tablescatalog/streamtablebucket", "Database": "analytics"}
OUTPUT = {"OutputLocation": "s3://streambucket/results/"}
AT_ONCE = 16
# Groups and sorts by what nearly every row has for itself.
HUNGRY = """
SELECT transaction_id, merchant_id, customer_id, count(*) AS n, max(amount) AS top, array_agg(status) AS all_of_them
FROM analytics.large GROUP BY 1, 2, 3 ORDER BY top DESC, transaction_id LIMIT 10
"""


def ended(athena, query_id):
    while True:
        status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            return status


def asked(athena, sql):
    started = athena.start_query_execution(QueryString=sql, QueryExecutionContext=CONTEXT, ResultConfiguration=OUTPUT)
    query_id = started["QueryExecutionId"]
    return query_id, ended(athena, query_id)


def milliseconds(times, run):
    found = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        found.append((time.perf_counter() - started) * 1000)
    found.sort()
    return statistics.median(found), found[int(len(found) * 0.9)]


def latency(postgres, times):
    athena = boto3.client("athena")
    connection = psycopg.connect(postgres, autocommit=True)

    def over_athena(sql):
        query_id, status = asked(athena, sql)
        assert status["State"] == "SUCCEEDED", status
        assert athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]["Rows"]

    def first_row(sql):
        with connection.cursor() as cursor:
            assert next(cursor.stream(sql))

    print("| query | over | median ms | p90 ms |")
    print("|---|---|--:|--:|")
    for name, sql in {
        "SELECT * … LIMIT 100": "SELECT * FROM analytics.transactions LIMIT 100",
        "count(*) by status": "SELECT status, count(*) FROM analytics.transactions GROUP BY status",
    }.items():
        for over, run in {"Athena, start to results": over_athena, "PostgreSQL, first row": first_row}.items():
            run(sql)
            median, high = milliseconds(times, lambda: run(sql))
            print(f"| {name} | {over} | {median:.0f} | {high:.0f} |")


def crowd(seconds):
    spec = importlib.util.spec_from_file_location("write", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    table = boto3.resource("dynamodb").Table("financial-transactions")
    ends, written, until = collections.Counter(), [0], time.monotonic() + seconds

    def write():
        import random

        rng = random.Random(11)
        while time.monotonic() < until:
            with table.batch_writer() as batch:
                for _ in range(25):
                    batch.put_item(Item=example.transaction(rng))
            written[0] += 25

    def ask():
        athena = boto3.session.Session().client("athena")
        while time.monotonic() < until:
            _, status = asked(athena, HUNGRY)
            ends[status["State"], status.get("StateChangeReason", "")[:60]] += 1

    threads = [threading.Thread(target=write)] + [threading.Thread(target=ask) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"written beside them: {written[0]} items")
    for (state, reason), count in ends.items():
        print(f"{count} queries {state} {reason}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["latency", "crowd"])
    parser.add_argument("--postgres")
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    if arguments.part == "latency":
        latency(arguments.postgres, arguments.times)
    else:
        crowd(arguments.seconds)


if __name__ == "__main__":
    main()
