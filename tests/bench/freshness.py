"""Writes transactions at a steady rate and measures how long each takes to be visible in the table.

An item is visible when the table's metadata location has moved to a snapshot that holds it. Locations are polled while
the items are written; afterwards the rows that each snapshot added are read, which tells when each item came to light.
"""

import argparse
import importlib.util
import os
import pathlib
import random
import threading
import time

import boto3
import pyarrow.parquet as parquet
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.manifest import DataFileContent, ManifestEntryStatus
from pyiceberg.table import StaticTable

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples/transactions/write.py"
BUCKET = "arn:aws:s3tables:us-east-1:000000000000:bucket/streamtablebucket"


def load_example():
    spec = importlib.util.spec_from_file_location("write", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def properties():
    return {
        "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
        "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
        "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "s3.region": os.environ["AWS_REGION"],
    }


class Watcher(threading.Thread):
    """Notes when each snapshot was first to be seen. Metadata files go after twenty commits, so each is read at once."""

    def __init__(self):
        super().__init__(daemon=True)
        self.last, self.moments = None, {}
        self.stopped = threading.Event()

    def run(self):
        s3tables = boto3.client("s3tables")
        while not self.stopped.wait(0.02):
            found = s3tables.get_table_metadata_location(
                tableBucketARN=BUCKET, namespace="analytics", name="transactions"
            ).get("metadataLocation")
            if found and found != self.last:
                moment = time.time()
                for snapshot in StaticTable.from_metadata(found, properties()).metadata.snapshots:
                    self.moments.setdefault(snapshot.snapshot_id, moment)
                self.last = found


def write(example, table, rate, seconds):
    """Writes `rate` items a second in batches of 25; gives the moment each id was acknowledged."""
    rng = random.Random(7)
    client = table.meta.client
    acknowledged = {}
    start = time.time()
    batches = rate * seconds // 25
    for number in range(batches):
        due = start + number * 25 / rate
        time.sleep(max(0.0, due - time.time()))
        items = [example.transaction(rng) for _ in range(25)]
        requests = [{"PutRequest": {"Item": item}} for item in items]
        client.batch_write_item(RequestItems={example.TABLE: requests})
        moment = time.time()
        acknowledged.update((item["transaction_id"], moment) for item in items)
    achieved = len(acknowledged) / (time.time() - start)
    return acknowledged, achieved


def visible_at(watcher):
    """For each id the moment at which a snapshot with it was first seen."""
    io, moments = PyArrowFileIO(properties()), dict(watcher.moments)
    head = StaticTable.from_metadata(watcher.last, properties())
    shown = {}
    for snapshot in (snapshot for snapshot in head.metadata.snapshots if snapshot.snapshot_id in moments):
        for manifest in snapshot.manifests(io):
            if manifest.added_snapshot_id != snapshot.snapshot_id:
                continue
            for entry in manifest.fetch_manifest_entry(io):
                is_data = entry.data_file.content == DataFileContent.DATA
                if is_data and entry.status == ManifestEntryStatus.ADDED:
                    with io.new_input(entry.data_file.file_path).open() as file:
                        ids = parquet.read_table(file, columns=["transaction_id"])["transaction_id"].to_pylist()
                    shown.update((identity, moments[snapshot.snapshot_id]) for identity in ids)
    return shown


def connect_stream(kinesis, dynamodb, table):
    """A stream of four shards that takes the table's changes."""
    kinesis.create_stream(StreamName="changes", ShardCount=4)
    kinesis.get_waiter("stream_exists").wait(StreamName="changes")
    stream = kinesis.describe_stream_summary(StreamName="changes")["StreamDescriptionSummary"]["StreamARN"]
    dynamodb.enable_kinesis_streaming_destination(TableName=table, StreamArn=stream)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rate", type=int, default=500)
    arguments.add_argument("--seconds", type=int, default=60)
    arguments.add_argument("--stream", choices=["dynamodb", "kinesis"], default="dynamodb")
    arguments = arguments.parse_args()

    example = load_example()
    table = example.create_source(boto3.resource("dynamodb"))
    if arguments.stream == "kinesis":
        connect_stream(boto3.client("kinesis"), boto3.client("dynamodb"), example.TABLE)
    example.create_target(boto3.client("s3tables"), boto3.client("s3"))
    watcher = Watcher()
    watcher.start()
    acknowledged, achieved = write(example, table, arguments.rate, arguments.seconds)
    deadline = time.time() + 60
    while time.time() < deadline:
        time.sleep(2)
        shown = visible_at(watcher)
        if acknowledged.keys() <= shown.keys():
            break
    watcher.stopped.set()
    missing = acknowledged.keys() - shown.keys()
    assert not missing, f"{len(missing)} items are not visible a minute later"
    waits = sorted(shown[identity] - moment for identity, moment in acknowledged.items())
    quantile = lambda q: waits[min(len(waits) - 1, int(len(waits) * q))]
    print(
        f"{len(waits)} items at {achieved:.0f}/s: write → visible "
        f"p50 {quantile(0.5):.2f} s, p99 {quantile(0.99):.2f} s, max {waits[-1]:.2f} s, "
        f"{len(watcher.moments)} commits seen"
    )


if __name__ == "__main__":
    main()
