"""DuckDB's CPU-seconds for a query over a table of the namespace analytics: the least of several runs in one warm process.

The table's data files are copied to this machine's disk first, so that only the query is measured.
"""

import os
import pathlib
import sys
import tempfile
import time

import boto3
import duckdb
from pyiceberg.table import StaticTable

BUCKET = "arn:aws:s3tables:us-east-1:000000000000:bucket/streamtablebucket"


def main():
    name, sql, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
    location = boto3.client("s3tables").get_table_metadata_location(
        tableBucketARN=BUCKET, namespace="analytics", name=name
    )["metadataLocation"]
    table = StaticTable.from_metadata(
        location,
        {
            "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
            "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
            "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
            "s3.region": os.environ["AWS_REGION"],
        },
    )
    s3 = boto3.client("s3")
    with tempfile.TemporaryDirectory() as folder:
        for number, task in enumerate(table.scan().plan_files()):
            bucket, key = task.file.file_path.removeprefix("s3://").split("/", 1)
            s3.download_file(bucket, key, str(pathlib.Path(folder) / f"{number}.parquet"))
        connection = duckdb.connect()
        connection.execute("CREATE SCHEMA analytics")
        connection.execute(f"CREATE VIEW analytics.{name} AS SELECT * FROM '{folder}/*.parquet'")
        best = float("inf")
        for _ in range(repeats):
            started = time.process_time()
            connection.sql(sql).fetchall()
            best = min(best, time.process_time() - started)
    print(best)


if __name__ == "__main__":
    main()
