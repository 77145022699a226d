"""Downloads the raw layer into a folder, under names that sort as the objects do: `download_raw.py FOLDER [FROM-DAY]`."""

import pathlib
import sys

import boto3


def main(folder, from_day=""):
    s3, folder = boto3.client("s3"), pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="layers-raw", Prefix="dt="):
        for entry in page.get("Contents", []):
            if entry["Key"] >= f"dt={from_day}":
                s3.download_file("layers-raw", entry["Key"], str(folder / entry["Key"].replace("/", "-")))


if __name__ == "__main__":
    main(*sys.argv[1:])
