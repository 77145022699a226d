"""Copies of a lake table's data files, for engines that are measured beside Dynaberg."""

import os
import pathlib

import boto3
from pyiceberg.table import StaticTable

BUCKET = "arn:aws:s3tables:us-east-1:000000000000:bucket/streamtablebucket"


def download(name, folder):
    """Copies the data files of `analytics.<name>` into `folder`, and gives their paths."""
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
    s3, paths = boto3.client("s3"), []
    for number, task in enumerate(table.scan().plan_files()):
        bucket, key = task.file.file_path.removeprefix("s3://").split("/", 1)
        paths.append(str(pathlib.Path(folder) / f"{number}.parquet"))
        s3.download_file(bucket, key, paths[-1])
    return paths
