"""examples/layers: three layers from one stream, each with its own retention, and the curated one made again from the raw."""

import gzip
import json
import subprocess
import sys

import pytest

from dynaberg import ROOT, Dynaberg, scan
from firehoses import settled

EXAMPLE = ROOT / "examples/layers"


@pytest.fixture
def layers(tmp_path):
    running = Dynaberg(tmp_path / "data", [EXAMPLE / "cleansed.toml", EXAMPLE / "curated.toml"])
    yield running
    running.stop()


def script(running, name, *arguments):
    done = subprocess.run(
        [sys.executable, EXAMPLE / f"{name}.py", *map(str, arguments)],
        env=running.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_curated_layer_is_made_again_from_the_raw_one(layers, tmp_path):
    script(layers, "set_up")
    script(layers, "write")
    layers.wait()
    items = scan(layers.resource("dynamodb").Table("layers-orders"))
    approved = sorted(item["order_id"] for item in items if item["status"] == "APPROVED")
    cleansed = layers.sql("SELECT order_id FROM layers.cleansed")
    assert sorted(row["order_id"] for row in cleansed) == sorted(item["order_id"] for item in items)
    query = "SELECT order_id, region, amount FROM layers.{} ORDER BY order_id"
    curated = layers.sql(query.format("curated"))
    assert [row["order_id"] for row in curated] == approved

    # One record for each change that was one: a delete of what is not there is none.
    client = layers.client("kinesis")
    shard = client.list_shards(StreamName="layers-orders")["Shards"][0]["ShardId"]
    iterator = client.get_shard_iterator(StreamName="layers-orders", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = client.get_records(ShardIterator=iterator["ShardIterator"], Limit=10_000)["Records"]
    assert len(records) > 100
    settled(layers, "layers-raw", len(records))

    script(layers, "download_raw", tmp_path / "raw")
    files = sorted((tmp_path / "raw").iterdir())
    lines = [line for path in files for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert [json.loads(line) for line in lines] == [json.loads(record["Data"]) for record in records]

    again = tmp_path / "curated_again.toml"
    again.write_text((EXAMPLE / "curated.toml").read_text().replace("layers.curated", "layers.curated_again"))
    done = layers.run("replay", str(again), *map(str, files), "--data-dir", str(tmp_path / "replay"), "--output", "json")
    assert json.loads(done.stdout)["received"] == len(records)
    assert layers.sql(query.format("curated_again")) == curated


def test_each_layer_has_its_retention(layers):
    script(layers, "set_up")
    s3tables = layers.client("s3tables")
    [bucket] = [found["arn"] for found in s3tables.list_table_buckets()["tableBuckets"] if found["name"] == "layers"]
    for table, hours in (("cleansed", 120), ("curated", 720)):
        found = s3tables.get_table_maintenance_configuration(tableBucketARN=bucket, namespace="layers", name=table)
        snapshots = found["configuration"]["icebergSnapshotManagement"]["settings"]["icebergSnapshotManagement"]
        assert snapshots["maxSnapshotAgeHours"] == hours
    s3 = layers.client("s3")
    s3.put_object(Bucket="layers-raw", Key="dt=2020-01-01/old.jsonl.gz", Body=b"")
    s3.put_object(Bucket="layers-raw", Key="dt=2999-01-01/new.jsonl.gz", Body=b"")
    assert script(layers, "expire_raw").startswith("1 ")
    left = {entry["Key"] for entry in s3.list_objects_v2(Bucket="layers-raw")["Contents"]}
    assert "dt=2999-01-01/new.jsonl.gz" in left and "dt=2020-01-01/old.jsonl.gz" not in left
