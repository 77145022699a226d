"""Deletes the days of the raw layer that are older than its retention: `expire_raw.py [DAYS]`. On AWS, a rule of the
bucket's lifecycle does it."""

import datetime
import sys

import boto3


def main(days=400):
    s3 = boto3.client("s3")
    oldest = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=int(days))
    deleted = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="layers-raw", Prefix="dt="):
        for entry in page.get("Contents", []):
            if entry["Key"].split("/")[0] < f"dt={oldest}":
                s3.delete_object(Bucket="layers-raw", Key=entry["Key"])
                deleted += 1
    return deleted


if __name__ == "__main__":
    print(f"{main(*sys.argv[1:])} objects deleted")
