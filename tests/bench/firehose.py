"""PutRecordBatch to visible: how long until a snapshot of the table holds the records of a batch."""

import json
import os
import time

import boto3
from pyiceberg.table import StaticTable

BUCKET = "arn:aws:s3tables:us-east-1:000000000000:bucket/streamtablebucket"
INTERVAL_SECONDS = 1
BATCHES = 60
RECORDS = 500


def records_in_table(s3tables):
    location = s3tables.get_table_metadata_location(tableBucketARN=BUCKET, namespace="analytics", name="transactions")
    properties = {
        "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
        "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
        "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "s3.region": os.environ["AWS_REGION"],
    }
    snapshot = StaticTable.from_metadata(location["metadataLocation"], properties).current_snapshot()
    return int(snapshot.summary["total-records"]) if snapshot else 0


def main():
    firehose, s3tables = boto3.client("firehose"), boto3.client("s3tables")
    role = "arn:aws:iam::000000000000:role/firehose"
    firehose.create_delivery_stream(
        DeliveryStreamName="bench",
        IcebergDestinationConfiguration={
            "RoleARN": role,
            "CatalogConfiguration": {"CatalogARN": "arn:aws:glue:us-east-1:000000000000:catalog/s3tablescatalog/streamtablebucket"},
            "DestinationTableConfigurationList": [
                {"DestinationDatabaseName": "analytics", "DestinationTableName": "transactions"}
            ],
            "BufferingHints": {"IntervalInSeconds": INTERVAL_SECONDS, "SizeInMBs": 1},
            "S3Configuration": {"RoleARN": role, "BucketARN": "arn:aws:s3:::streambucket"},
        },
    )
    waits, expected = [], 0
    for batch in range(BATCHES + 1):
        expected += RECORDS
        records = [{"Data": json.dumps({"transaction_id": f"{batch}-{number}", "amount": 10.25})} for number in range(RECORDS)]
        answer = firehose.put_record_batch(DeliveryStreamName="bench", Records=records)
        assert answer["FailedPutCount"] == 0, answer
        put = time.time()
        while records_in_table(s3tables) < expected:
            assert time.time() - put < 60, "not visible a minute later"
        waits.append(time.time() - put)
    # The first one finds no pipeline yet.
    waits = sorted(waits[1:])
    quantile = lambda q: waits[min(len(waits) - 1, int(len(waits) * q))]
    print(
        f"{BATCHES} batches of {RECORDS}, interval {INTERVAL_SECONDS} s: PutRecordBatch → visible "
        f"p50 {quantile(0.5):.2f} s, p99 {quantile(0.99):.2f} s, max {waits[-1]:.2f} s"
    )


if __name__ == "__main__":
    main()
