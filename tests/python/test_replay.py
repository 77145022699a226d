"""Files of stream records: a bad record is set aside alone, and a file that is replayed again changes nothing."""

import base64
import gzip
import json

from dynaberg import Dynaberg, read_duckdb, rows_of
from test_mirror import WAREHOUSE, pipeline_file


def record(number, image, event="INSERT"):
    keys = {"id": {"S": f"item-{number}"}}
    change = {"Keys": keys, "SequenceNumber": str(number), "ApproximateCreationDateTime": 1_700_000_000}
    if event != "REMOVE":
        change["NewImage"] = {**keys, **image}
    return json.dumps({"eventName": event, "eventVersion": "1.1", "dynamodb": change})


def nested(depth):
    value = {"S": "the bottom"}
    for _ in range(depth):
        value = {"L": [value]}
    return value


GOOD = [record(number, {"amount": {"N": f"{number}.50"}}) for number in range(100)]
BAD = {
    "DYN401": "{ this is not JSON",
    "DYN402": json.dumps({"eventName": "INSERT", "hello": "world"}),
    "DYN403": json.dumps({"eventName": "INSERT", "dynamodb": {"Keys": {"other": {"S": "x"}}, "NewImage": {}}}),
    "DYN404": record(1000, {"amount": {"N": "123456789012345678901234567890123456789"}}),
    "DYN405": record(1001, {"amount": {"M": {"a": {"S": "b"}}}}),
    "DYN406": record(1002, {"deep": nested(33)}),
    "DYN408": json.dumps({"eventName": "MODIFY", "dynamodb": {"Keys": {"id": {"S": "item-1"}}}}),
}


def replay(running, pipeline, *files):
    done = running.run("replay", str(pipeline), *map(str, files), "--output", "json", "--commit-every", "50",
                       "--data-dir", str(pipeline.parent / "replay"))
    return json.loads(done.stdout)


def letters(running):
    s3 = running.client("s3")
    found = []
    entries = s3.list_objects_v2(Bucket="letters").get("Contents", [])
    for entry in (entry for entry in entries if entry["Key"].endswith(".jsonl")):
        body = s3.get_object(Bucket="letters", Key=entry["Key"])["Body"].read().decode()
        found += [json.loads(line) for line in body.splitlines()]
    return found


def test_a_bad_record_is_set_aside_alone_with_its_reason(tmp_path):
    running = Dynaberg(tmp_path / "data")
    try:
        running.client("s3").create_bucket(Bucket="letters")
        running.client("s3tables").create_table_bucket(name="lake")
        pipeline = pipeline_file(tmp_path, "items", "shop.items", "lake")
        # The first file decides the columns.
        first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl.gz"
        first.write_text("\n".join(GOOD[:60]))
        lines = list(BAD.values()) + GOOD[60:] + [record(7, {}, event="REMOVE")]
        second.write_bytes(gzip.compress("\n".join(lines).encode()))

        summary = replay(running, pipeline, first, second)
        assert summary["received"] == 60 + len(lines)
        assert summary["rejected"] == len(BAD)
        assert summary["upserted"] + summary["deleted"] + summary["superseded"] == len(GOOD) + 1
        rows = rows_of(read_duckdb(running, "shop.items", WAREHOUSE.format("lake")), ("id",))
        assert len(rows) == 99 and ("item-7",) not in rows

        kept = {letter["code"]: letter for letter in letters(running)}
        assert set(kept) == set(BAD)
        for code, line in BAD.items():
            letter = kept[code]
            assert letter["reason"] and letter["step"] == "decode"
            assert letter["shard"] and letter["sequence_number"]
            if code == "DYN401":
                assert base64.b64decode(letter["record_base64"]).decode() == line
            else:
                assert letter["record"] == json.loads(line)

        again = replay(running, pipeline, first, second)
        assert again["received"] == 0 and again["commits"] == 0
    finally:
        running.stop()
