"""Delivery streams for tests, and what they have delivered."""

import base64
import json

from dynaberg import eventually

REGION, ACCOUNT = "us-east-1", "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/firehose"


def catalog_arn(bucket=None):
    arn = f"arn:aws:glue:{REGION}:{ACCOUNT}:catalog"
    return f"{arn}/s3tablescatalog/{bucket}" if bucket else arn


def warehouse(dynaberg, bucket, tables):
    """A table bucket with tables of `analytics`: name -> {column: type}, the first column required."""
    s3tables = dynaberg.client("s3tables")
    arn = s3tables.create_table_bucket(name=bucket)["arn"]
    s3tables.create_namespace(tableBucketARN=arn, namespace=["analytics"])
    for name, columns in tables.items():
        create_table(dynaberg, arn, name, columns)
    return arn


def create_table(dynaberg, arn, name, columns):
    fields = [
        {"name": column, "type": kind, "required": number == 0}
        for number, (column, kind) in enumerate(columns.items())
    ]
    dynaberg.client("s3tables").create_table(
        tableBucketARN=arn,
        namespace="analytics",
        name=name,
        format="ICEBERG",
        metadata={"iceberg": {"schema": {"fields": fields}}},
    )


def s3(bucket="failed", **settings):
    hints = {"SizeInMBs": 1, "IntervalInSeconds": 0}
    return {"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{bucket}", "BufferingHints": hints, **settings}


def iceberg(bucket, *tables, **settings):
    """An Iceberg destination that delivers at once."""
    return {
        "RoleARN": ROLE,
        "CatalogConfiguration": {"CatalogARN": catalog_arn(bucket)},
        "S3Configuration": s3(ErrorOutputPrefix="errors/"),
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
        "DestinationTableConfigurationList": [
            {"DestinationDatabaseName": "analytics", "DestinationTableName": name, **options}
            for name, options in tables
        ],
        **settings,
    }


def processing(*processors):
    """A ProcessingConfiguration of `(type, {parameter: value})`."""
    return {
        "Enabled": True,
        "Processors": [
            {
                "Type": kind,
                "Parameters": [{"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()],
            }
            for kind, parameters in processors
        ],
    }


def put(client, stream, records):
    """Puts records; they are bytes, or written as JSON."""
    entries = [{"Data": record if isinstance(record, bytes) else json.dumps(record).encode()} for record in records]
    for first in range(0, len(entries), 500):
        answer = client.put_record_batch(DeliveryStreamName=stream, Records=entries[first : first + 500])
        assert answer["FailedPutCount"] == 0


def counts(dynaberg, stream):
    """The metrics of a delivery stream, by what stands between `dynaberg_firehose_` and its labels."""
    import urllib.request

    text = urllib.request.urlopen(f"{dynaberg.console}/metrics").read().decode()
    found = {}
    for line in text.splitlines():
        if line.startswith("dynaberg_firehose_") and f'delivery_stream="{stream}"' in line:
            found[line.removeprefix("dynaberg_firehose_").split("{")[0]] = float(line.rsplit(" ", 1)[1])
    return found


def settled(dynaberg, stream, received):
    """Waits until all of `received` records are where they belong; gives the counts, which add up."""

    def is_settled():
        found = counts(dynaberg, stream)
        done = found.get("incoming_records_total") == received and found["buffered_records"] == 0
        return found if done else None

    found = eventually(is_settled)
    outcomes = ("delivered_records_total", "dropped_records_total", "failed_records_total")
    assert received == sum(found[name] for name in outcomes), found
    return found


def objects(dynaberg, bucket, prefix=""):
    """Keys and contents of a bucket's objects."""
    client = dynaberg.client("s3")
    listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {entry["Key"]: client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read() for entry in listed}


def failures(dynaberg, bucket="failed", prefix=""):
    """The lines of error objects, with the record as it was put."""
    lines = []
    for content in objects(dynaberg, bucket, prefix).values():
        for line in content.decode().splitlines():
            failure = json.loads(line)
            lines.append({**failure, "record": base64.b64decode(failure["rawData"])})
    return lines
