"""Both patterns give the same table: through DynamoDB Streams, and through Kinesis with duplicates and disorder.

The number of changes is DYNABERG_CHANGES (1,500 unless given), of kills DYNABERG_KINESIS_KILLS (4), the seed
DYNABERG_SEED.
"""

import hashlib
import json
import os
import random
import subprocess
import time
from decimal import Decimal

import botocore.exceptions

from dynaberg import BINARY, Dynaberg, Positions, eventually, normal, read_pyiceberg, rows_of, scan
from test_mirror import WAREHOUSE, assert_equals_scan
from test_transform import letters

CHANGES = int(os.environ.get("DYNABERG_CHANGES", "1500"))
KILLS = int(os.environ.get("DYNABERG_KINESIS_KILLS", "4"))
SEED = int(os.environ.get("DYNABERG_SEED", "7"))
UNREACHABLE = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)
FAULTS = ["--kinesis-faults", "0.05"]
# For what is waited: a test of 100,000 changes takes its time.
LONG = f"{max(180, CHANGES // 50)}s"


def pipeline_file(folder, name, table, stream, mode="mirror", interval="200ms", source=""):
    path = folder / f"{name}.toml"
    path.write_text(
        f"""
[source]
table = "{table}"
stream = "{stream}"
{source}
[target]
catalog = "{WAREHOUSE.format("lake")}"
table = "patterns.{name}"
mode = "{mode}"
[delivery]
interval = "{interval}"
[dead_letters]
errors = "s3://letters/errors/"
"""
    )
    return path


def prepare(running, table, shards=2, stream=True):
    dynamodb = running.client("dynamodb")
    specification = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **({"StreamSpecification": specification} if stream else {}),
    )
    kinesis = running.client("kinesis")
    kinesis.create_stream(StreamName=f"{table}-changes", ShardCount=shards)
    arn = stream_arn(running, f"{table}-changes")
    dynamodb.enable_kinesis_streaming_destination(TableName=table, StreamArn=arn)
    # It decides the columns' types.
    put(running, table, item(random.Random(0), "first"))
    running.client("s3").create_bucket(Bucket="letters")
    running.client("s3tables").create_table_bucket(name="lake")


def stream_arn(running, name):
    summary = running.client("kinesis").describe_stream_summary(StreamName=name)
    return summary["StreamDescriptionSummary"]["StreamARN"]


def item(rng, key):
    return {
        "id": key,
        "total": Decimal(rng.randrange(10**8)) / 100,
        "tags": {"a", "b", str(rng.randrange(5))},
        "deep": {"list": [{"x": str(rng.randrange(100))}], "flag": rng.random() < 0.5},
        "note": "x" * rng.randrange(100),
    }


def put(running, table, value):
    running.resource("dynamodb").Table(table).put_item(Item=value)


class Writer:
    """Mixed writes on few items, in batches, each repeated until it is acknowledged."""

    def __init__(self, table, seed=SEED):
        self.table, self.random = table, random.Random(seed)

    def write(self, running, changes):
        resource = running.resource("dynamodb")
        while changes > 0:
            keys = self.random.sample(range(120), 20)
            requests = []
            for key in keys:
                if self.random.random() < 0.2:
                    requests.append({"DeleteRequest": {"Key": {"id": f"item-{key}"}}})
                else:
                    requests.append({"PutRequest": {"Item": item(self.random, f"item-{key}")}})
            self._send(resource, requests)
            changes -= len(requests)

    def _send(self, resource, requests):
        for _ in range(50):
            try:
                resource.batch_write_item(RequestItems={self.table: requests})
                return
            except UNREACHABLE:
                continue
        raise AssertionError("no write was acknowledged")


def rows(running, name):
    return rows_of(read_pyiceberg(running, f"patterns.{name}", WAREHOUSE.format("lake")), ("id",))


def changelog(running, name):
    """Every change of a changelog, but for its position and time, which streams tell differently."""
    table = read_pyiceberg(running, f"patterns.{name}", WAREHOUSE.format("lake"))
    forget = ("_position", "_time")
    plain = [{key: normal(value) for key, value in row.items() if key not in forget} for row in table]
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in plain)


def test_both_patterns_give_the_same_rows_across_kills(tmp_path):
    rng = random.Random(SEED)
    pipelines = [
        pipeline_file(tmp_path, f"{name}_{mode}", "orders", stream, mode, source=source.replace("MODE", mode))
        for name, stream, source in (
            ("dynamodb", "dynamodb", ""),
            ("kinesis", "kinesis", ""),
            ("pushed", "kinesis", 'fan_out = "reader-MODE"'),
        )
        for mode in ("mirror", "changelog")
    ]
    running = Dynaberg(tmp_path / "data", pipelines, FAULTS)
    ports = running.ports
    prepare(running, "orders")
    writer = Writer("orders")
    for _ in range(KILLS):
        writer.write(running, CHANGES // (KILLS + 1))
        time.sleep(rng.uniform(0.05, 0.8))
        running.kill()
        running = Dynaberg(tmp_path / "data", pipelines, FAULTS, ports)
    writer.write(running, CHANGES // (KILLS + 1))
    try:
        running.wait(LONG)
        table = running.resource("dynamodb").Table("orders")
        assert len(changelog(running, "dynamodb_changelog")) > CHANGES / 2
        for name in ("kinesis", "pushed"):
            assert_equals_scan(running, table, f"patterns.{name}_mirror", "lake", ("id",))
            assert rows(running, f"{name}_mirror") == rows(running, "dynamodb_mirror")
            assert changelog(running, f"{name}_changelog") == changelog(running, "dynamodb_changelog")
            Positions().check(running, f"patterns.{name}_mirror", WAREHOUSE.format("lake"))
            (mirror,) = [one for one in running.status()["pipelines"] if one["name"] == f"{name}_mirror"]
            assert mirror["ready"]
        consumers = running.client("kinesis").list_stream_consumers(StreamARN=stream_arn(running, "orders-changes"))
        names = [consumer["ConsumerName"] for consumer in consumers["Consumers"]]
        assert names == ["reader-changelog", "reader-mirror"], "each is registered once"
    finally:
        running.stop()


def test_order_survives_splits_and_merges_while_changes_come(tmp_path):
    pipelines = [
        pipeline_file(tmp_path, "resharded", "orders", "kinesis"),
        pipeline_file(tmp_path, "resharded_pushed", "orders", "kinesis", source='fan_out = "reader"'),
    ]
    running = Dynaberg(tmp_path / "data", pipelines, FAULTS)
    ports = running.ports
    prepare(running, "orders", shards=2, stream=False)
    writer = Writer("orders")
    for count in (4, 2, 3):
        writer.write(running, 200)
        running.client("kinesis").update_shard_count(
            StreamName="orders-changes", TargetShardCount=count, ScalingType="UNIFORM_SCALING"
        )
        writer.write(running, 200)
        running.kill()
        running = Dynaberg(tmp_path / "data", pipelines, FAULTS, ports)
    try:
        running.wait(LONG)
        table = running.resource("dynamodb").Table("orders")
        assert_equals_scan(running, table, "patterns.resharded", "lake", ("id",))
        assert_equals_scan(running, table, "patterns.resharded_pushed", "lake", ("id",))
    finally:
        running.stop()


def test_a_live_pipeline_goes_over_to_the_other_stream_and_back(tmp_path):
    pipelines = {}

    def declare(stream):
        for mode in ("mirror", "changelog"):
            pipelines[mode] = pipeline_file(tmp_path, f"switched_{mode}", "orders", stream, mode)
        reference = pipeline_file(tmp_path, "reference", "orders", "dynamodb", "changelog")
        return [*pipelines.values(), reference]

    running = Dynaberg(tmp_path / "data", declare("dynamodb"), FAULTS)
    ports = running.ports
    prepare(running, "orders")
    writer, part = Writer("orders"), max(200, CHANGES // 8)
    writer.write(running, part)
    running.wait(LONG)
    for stream in ("kinesis", "dynamodb", "kinesis"):
        # Some of it is not committed yet when the pipeline is stopped.
        writer.write(running, part)
        running.kill()
        running = Dynaberg(tmp_path / "data", declare(stream), FAULTS, ports)
        writer.write(running, part)
        running.wait(LONG)
        running.kill()
        running = Dynaberg(tmp_path / "data", declare(stream), FAULTS, ports)
    writer.write(running, part)
    try:
        running.wait(LONG)
        table = running.resource("dynamodb").Table("orders")
        assert_equals_scan(running, table, "patterns.switched_mirror", "lake", ("id",))
        assert changelog(running, "switched_changelog") == changelog(running, "reference")
    finally:
        running.stop()


def test_a_mirror_that_is_rewound_ends_in_the_same_table(tmp_path):
    path = pipeline_file(tmp_path, "rewound", "orders", "kinesis")
    log = pipeline_file(tmp_path, "kept", "orders", "kinesis", "changelog")
    running = Dynaberg(tmp_path / "data", [path, log], FAULTS)
    prepare(running, "orders", stream=False)
    writer = Writer("orders")
    writer.write(running, 200)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    writer.write(running, 200)
    running.wait("120s")
    before = rows(running, "rewound")
    index = ["--data-dir", str(tmp_path / "other")]
    refused = running.run("rewind", str(log), "--to", moment, *index, check=False)
    assert refused.returncode != 0 and "changelog" in refused.stderr
    future = running.run("rewind", str(path), "--to", "2999-01-01T00:00:00Z", *index, check=False)
    assert future.returncode != 0
    done = running.run("rewind", str(path), "--to", moment, "--output", "json", *index)
    assert json.loads(done.stdout)["table"] == "patterns.rewound"
    running.stop()
    running = Dynaberg(tmp_path / "data", [path, log], FAULTS, running.ports)
    try:
        running.wait("120s")
        assert rows(running, "rewound") == before
        (mirror,) = [one for one in running.status()["pipelines"] if one["name"] == "rewound"]
        assert mirror["account"]["received"] >= 1 if "account" in mirror else True
        assert_equals_scan(running, running.resource("dynamodb").Table("orders"), "patterns.rewound", "lake", ("id",))
    finally:
        running.stop()


def test_a_rewind_that_is_killed_at_any_moment_is_done_by_the_next_one(tmp_path):
    path = pipeline_file(tmp_path, "rewound", "orders", "kinesis")
    running = Dynaberg(tmp_path / "data", [path], FAULTS)
    prepare(running, "orders", stream=False)
    writer = Writer("orders")
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
    writer.write(running, 400)
    running.wait("120s")
    rng = random.Random(SEED)
    command = [BINARY, "rewind", str(path), "--to", moment, "--data-dir", str(tmp_path / "other")]
    outcomes = []
    for _ in range(6):
        rewind = subprocess.Popen(command, env=running.environment, stdout=subprocess.DEVNULL)
        try:
            outcomes.append(rewind.wait(rng.uniform(0.02, 0.6)))
        except subprocess.TimeoutExpired:
            rewind.kill()
            outcomes.append(rewind.wait())
        writer.write(running, 40)
    assert -9 in outcomes, outcomes
    done = running.run(*command[1:], check=False)
    assert done.returncode == 0, done.stderr
    running.stop()
    running = Dynaberg(tmp_path / "data", [path], FAULTS, running.ports)
    try:
        running.wait("120s")
        assert_equals_scan(running, running.resource("dynamodb").Table("orders"), "patterns.rewound", "lake", ("id",))
    finally:
        running.stop()


def test_a_pipeline_that_is_rewound_while_it_runs_stops_and_says_what_to_do(tmp_path):
    path = pipeline_file(tmp_path, "rewound", "orders", "kinesis")
    running = Dynaberg(tmp_path / "data", [path], FAULTS)
    try:
        prepare(running, "orders", stream=False)
        running.wait("120s")
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))
        running.run("rewind", str(path), "--to", moment, "--data-dir", str(tmp_path / "other"))
        # Whatever it commits next is refused.
        put(running, "orders", item(random.Random(1), "after"))

        def stopped():
            (pipeline,) = running.status()["pipelines"]
            return pipeline if pipeline["state"] == "stopped" else None

        assert "Try: " in eventually(stopped)["not_ready"]
    finally:
        running.stop()


def aggregate(parts):
    """As the Kinesis Producer Library packs records."""
    message = b"\x0a\x01k"
    for part in parts:
        record = b"\x08\x00\x1a" + varint(len(part)) + part
        message += b"\x1a" + varint(len(record)) + record
    return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()


def varint(value):
    encoded = b""
    while value > 127:
        encoded += bytes([value & 127 | 128])
        value >>= 7
    return encoded + bytes([value])


def test_records_that_are_no_changes_become_letters_and_aggregates_are_unpacked(tmp_path):
    pipelines = [pipeline_file(tmp_path, "mixed", "orders", "kinesis", source='kinesis_stream = "orders-changes"')]
    running = Dynaberg(tmp_path / "data", pipelines)
    try:
        prepare(running, "orders", shards=1, stream=False)
        running.wait()
        kinesis = running.client("kinesis")

        def change(key, table="orders"):
            created = int(time.time() * 1e6)
            keys = {"id": {"S": key}}
            dynamodb = {"ApproximateCreationDateTime": created, "Keys": keys, "NewImage": keys}
            record = {"eventName": "INSERT", "eventID": key, "tableName": table, "dynamodb": dynamodb}
            return json.dumps(record).encode()

        for data in (b"not JSON", aggregate([change("packed-1"), change("packed-2"), b"{}"]), change("x", "other")):
            kinesis.put_record(StreamName="orders-changes", PartitionKey="k", Data=data)
        running.wait()
        assert {key for (key,) in rows(running, "mixed")} == {"first", "packed-1", "packed-2"}
        lines = letters(running)
        assert sorted(line["code"] for line in lines) == ["DYN401", "DYN402"]
        assert len({json.dumps(line["position"]) if "position" in line else str(line) for line in lines}) == 2
    finally:
        running.stop()
