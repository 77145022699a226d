"""A transform in SQL: what is selected is in the table, what is not never leaves, and a bad record harms no other."""

import datetime
import hashlib
import hmac
import json
import os
import random
import re
from decimal import Decimal

import pytest

from dynaberg import Dynaberg, read_duckdb, read_pyiceberg, rows_of, scan
from test_mirror import WAREHOUSE

KEY = "a secret of more than sixteen bytes"
SQL = """
SELECT transaction_id,
       from_millis(timestamp) AS event_time,
       cast(amount AS decimal(12,2)) AS amount,
       date_part('hour', from_millis(timestamp)) AS hour,
       try_cast(risk_score AS int) AS risk_score,
       upper(region) AS region, place.city AS city, json_get(details, 'lines', 0, 'sku') AS first_sku,
       token(customer_id) AS customer, mask(card_pan, 4) AS card
FROM   changes WHERE status IS DISTINCT FROM 'TEST'
"""


def pipeline_file(folder, sql, mode="mirror", more=""):
    path = folder / "payments.toml"
    path.write_text(
        f"""
[source]
table = "payments"
[target]
catalog = "{WAREHOUSE.format("lake")}"
table = "shop.payments"
mode = "{mode}"
[transform]
token_key = "env:DYNABERG_TEST_TOKEN_KEY"
sensitive = ["customer_id", "card_pan"]
sql = '''{sql}'''
{more}
[delivery]
interval = "200ms"
[dead_letters]
errors = "s3://letters/errors/"
"""
    )
    return path


def payment(number, **changes):
    item = {
        "transaction_id": f"t-{number}",
        "timestamp": 1_700_000_000_000 + number * 60_000,
        "amount": Decimal(number) / 4,
        "risk_score": number % 100,
        "region": ["eu", "us"][number % 2],
        "status": "TEST" if number % 10 == 3 else "OK",
        "place": {"city": f"city-{number % 5}"},
        "details": {"lines": [{"sku": f"sku-{number % 3}"}] * (1 + number % 2), "n": number},
        "customer_id": f"customer-{number % 7}",
        "card_pan": f"4111{number:012d}",
        "secret": "never leaves",
    }
    item.update(changes)
    return {name: value for name, value in item.items() if value is not None}


def is_poison(item):
    return not isinstance(item.get("amount", 0), (int, Decimal))


def expected_row(item):
    """The transform, written again in Python."""
    token = hmac.new(KEY.encode(), item["customer_id"].encode(), hashlib.sha256).hexdigest()
    risk, pan = item.get("risk_score"), item["card_pan"]
    return {
        "transaction_id": item["transaction_id"],
        "amount": Decimal(item["amount"]).quantize(Decimal("0.01")),
        "hour": Decimal(int(item["timestamp"]) // 3_600_000 % 24),
        "risk_score": Decimal(risk) if isinstance(risk, (int, Decimal)) else None,
        "region": item["region"].upper(),
        "city": item["place"]["city"],
        "first_sku": item["details"]["lines"][0]["sku"],
        "customer": token,
        "card": "*" * 12 + pan[-4:],
    }


def letters(running):
    s3 = running.client("s3")
    found = []
    entries = s3.list_objects_v2(Bucket="letters").get("Contents", [])
    for entry in (entry for entry in entries if entry["Key"].endswith(".jsonl")):
        body = s3.get_object(Bucket="letters", Key=entry["Key"])["Body"].read().decode()
        found += [json.loads(line) for line in body.splitlines()]
    return found


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Starts the binary with a pipeline on a table `payments` that has its first items."""
    monkeypatch.setenv("DYNABERG_TEST_TOKEN_KEY", KEY)
    running = []

    def start(pipeline, items):
        running.append(Dynaberg(tmp_path / "data", [pipeline]))
        dynaberg = running[-1]
        table = dynaberg.resource("dynamodb").create_table(
            TableName="payments",
            KeySchema=[{"AttributeName": "transaction_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "transaction_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        dynaberg.client("s3").create_bucket(Bucket="letters")
        for item in items:
            table.put_item(Item=item)
        # The table is made once there is a table bucket to hold it.
        dynaberg.client("s3tables").create_table_bucket(name="lake")
        dynaberg.wait()
        return dynaberg, table

    yield start
    for dynaberg in running:
        dynaberg.stop()


def test_a_mirror_holds_what_is_selected_of_the_items_that_pass(tmp_path, started):
    dynaberg, table = started(pipeline_file(tmp_path, SQL), [payment(number) for number in range(60)])
    chance = random.Random(5)
    for _ in range(300):
        number = chance.randrange(60)
        match chance.randrange(6):
            case 0:
                table.delete_item(Key={"transaction_id": f"t-{number}"})
            case 1:
                table.put_item(Item=payment(number, status="TEST"))
            case 2:
                table.put_item(Item=payment(number, status=None, risk_score="high"))
            case 3:
                table.put_item(Item=payment(number, amount=Decimal("12.345"), unknown={"a": 1}))
            case _:
                table.put_item(Item=payment(number, customer_id=f"customer-{chance.randrange(9)}"))
    dynaberg.wait()

    expected = [expected_row(item) for item in scan(table) if item.get("status") != "TEST"]
    expected = rows_of(expected, ("transaction_id",))
    assert 20 < len(expected) < 60
    for read in (read_pyiceberg, read_duckdb):
        seen = rows_of(read(dynaberg, "shop.payments", WAREHOUSE.format("lake")), ("transaction_id",))
        times = {row.pop("event_time")[:19] for row in seen.values()}
        assert len(times) == len(seen)
        assert {identity: rounded(row) for identity, row in seen.items()} == {
            identity: rounded(row) for identity, row in expected.items()
        }, read.__name__
    (pipeline,) = dynaberg.status()["pipelines"]
    assert pipeline["rejected"] == 0 and pipeline["filtered"] > 0
    settled = ("upserted", "deleted", "superseded", "filtered", "rejected", "in_flight")
    assert sum(pipeline[name] for name in settled) == pipeline["received"]
    assert_nothing_left(tmp_path / "data")


DERIVED = """
SELECT transaction_id AS id,
       cast(amount AS decimal(12,2)) AS total,
       cast(from_millis(timestamp) AS date) AS date,
       date_part('hour', from_millis(timestamp)) AS hour,
       date_part('minute', from_millis(timestamp)) AS minute,
       token(customer_id) AS customer, mask(card_pan, 4) AS card
FROM   changes WHERE status IS DISTINCT FROM 'TEST'
"""


def stream_records(dynaberg, table):
    """Every record of the table's stream as JSON, as DynamoDB Streams gives it."""
    streams = dynaberg.client("dynamodbstreams")
    found = []
    for shard in streams.describe_stream(StreamArn=table.latest_stream_arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=table.latest_stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = streams.get_records(ShardIterator=iterator)
            found += page["Records"]
            iterator = page.get("NextShardIterator") if page["Records"] else None
    return [json.dumps(record, default=lambda moment: moment.timestamp()) for record in found]


def test_a_transform_gives_the_same_table_live_and_replayed_from_a_file(tmp_path, started):
    """Done-when 1 of the issue on controlled processing."""
    live = pipeline_file(tmp_path, DERIVED)
    dynaberg, table = started(live, [payment(number) for number in range(40)])
    for number in range(0, 40, 3):
        table.put_item(Item=payment(number, amount=Decimal("7.125"), status="TEST" if number % 2 else "OK"))
    for number in range(0, 40, 7):
        table.delete_item(Key={"transaction_id": f"t-{number}"})
    dynaberg.wait()
    expected = {
        item["transaction_id"]: {
            "id": item["transaction_id"],
            "total": Decimal("7.13") if item["amount"] == Decimal("7.125") else item["amount"],
            "date": datetime.datetime.fromtimestamp(int(item["timestamp"]) / 1000, datetime.UTC).date(),
            "hour": int(item["timestamp"]) // 3_600_000 % 24,
            "minute": int(item["timestamp"]) // 60_000 % 60,
            "customer": hmac.new(KEY.encode(), item["customer_id"].encode(), hashlib.sha256).hexdigest(),
            "card": "*" * 12 + item["card_pan"][-4:],
        }
        for item in scan(table)
        if item["status"] != "TEST"
    }
    assert 10 < len(expected) < 40

    def rows(name):
        read = read_pyiceberg(dynaberg, name, WAREHOUSE.format("lake"))
        by_id = {row["id"]: row for row in read}
        assert len(by_id) == len(read)
        return by_id

    assert rows("shop.payments") == expected
    records = tmp_path / "records.jsonl"
    records.write_text("\n".join(stream_records(dynaberg, table)))
    replayed = tmp_path / "replayed.toml"
    replayed.write_text(live.read_text().replace("shop.payments", "shop.replayed"))
    dynaberg.run("replay", str(replayed), str(records), "--data-dir", str(tmp_path / "replay"))
    assert rows("shop.replayed") == expected


def rounded(row):
    """DynamoDB's 12.345 is rounded by the cast, half away from zero."""
    return {**row, "amount": Decimal("12.35") if row["amount"] in (Decimal("12.34"), Decimal("12.35")) else row["amount"]}


def assert_nothing_left(data_dir):
    """No file of the table holds what was not selected: not in rows, bounds or properties."""
    for folder, _, files in os.walk(data_dir):
        if "warehouse" not in folder:
            continue
        for name in files:
            if name.endswith((".parquet", ".avro", ".json")):
                with open(os.path.join(folder, name), "rb") as file:
                    content = file.read()
                assert b"never leaves" not in content and b"41110000" not in content, name


def test_a_poison_record_becomes_a_letter_and_the_others_go_on(tmp_path, started):
    dynaberg, table = started(pipeline_file(tmp_path, SQL), [payment(number) for number in range(20)])
    with table.batch_writer() as batch:
        for number in range(20, 220):
            batch.put_item(Item=payment(number, **({"amount": "12,50"} if number % 20 == 5 else {})))
    dynaberg.wait()
    items = scan(table)
    good = [item for item in items if not is_poison(item) and item["status"] != "TEST"]
    rows = dynaberg.sql("SELECT count(*) AS n FROM shop.payments")
    assert rows == [{"n": len(good)}]
    held = letters(dynaberg)
    assert {letter["code"] for letter in held} == {"DYN412"} and {letter["step"] for letter in held} == {"transform"}
    poison = [item for item in items if is_poison(item) and item["status"] != "TEST"]
    assert sorted(letter["record"]["dynamodb"]["Keys"]["transaction_id"]["S"] for letter in held) == sorted(
        item["transaction_id"] for item in poison
    )
    assert all("12,50" not in letter["reason"] for letter in held)


def test_a_changelog_has_each_change_that_passes(tmp_path, started):
    sql = "SELECT _op, _position, transaction_id, status, amount FROM changes WHERE status <> 'TEST'"
    dynaberg, table = started(pipeline_file(tmp_path, sql, mode="changelog"), [payment(1), payment(3), payment(4)])
    table.put_item(Item=payment(1, amount=Decimal("7.5")))
    table.put_item(Item=payment(1, status="TEST"))
    table.delete_item(Key={"transaction_id": "t-1"})
    dynaberg.wait()
    # Items may be in several shards, so positions order the changes of one item only.
    rows = dynaberg.sql("SELECT _op, transaction_id, status FROM shop.payments ORDER BY transaction_id, _position")
    rows = [(row["_op"], row["transaction_id"], row["status"]) for row in rows]
    assert rows == [
        ("INSERT", "t-1", "OK"),
        ("MODIFY", "t-1", "OK"),
        ("REMOVE", "t-1", None),
        ("INSERT", "t-4", "OK"),
    ]


def test_the_table_says_which_rows_came_by_which_transform(tmp_path, started):
    first = "SELECT transaction_id, amount FROM changes"
    dynaberg, table = started(pipeline_file(tmp_path, first), [payment(1), payment(2)])
    dynaberg.stop()
    second = "SELECT transaction_id, amount, upper(region) AS region FROM changes"
    again = Dynaberg(tmp_path / "data", [pipeline_file(tmp_path, second)])
    try:
        table = again.resource("dynamodb").Table("payments")
        table.put_item(Item=payment(5))
        again.wait()
        rows = again.sql("SELECT transaction_id, region FROM shop.payments ORDER BY transaction_id")
        assert [(row["transaction_id"], row["region"]) for row in rows] == [("t-1", None), ("t-2", None), ("t-5", "US")]

        metadata = read_metadata(again)
        names = {hashlib.sha256(sql.encode()).hexdigest()[:12]: sql for sql in (first, second)}
        recorded = {name: json.loads(value)["sql"] for name, value in metadata.properties.items()
                    if name.startswith("dynaberg.transform.")}
        assert recorded == {f"dynaberg.transform.{name}": sql for name, sql in names.items()}
        snapshots = sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number)
        checkpoints = [json.loads(snapshot.summary["dynaberg.checkpoint"]) for snapshot in snapshots
                       if "dynaberg.checkpoint" in snapshot.summary.additional_properties]
        # A takeover keeps the checkpoint of the transform before.
        in_force = [checkpoint["transform"]["id"] for checkpoint in checkpoints]
        assert list(dict.fromkeys(in_force)) == list(names)
        # From the position at which the first one ended.
        last_of_first = [checkpoint for checkpoint in checkpoints if checkpoint["transform"]["id"] == in_force[0]][-1]
        assert checkpoints[-1]["transform"]["after"] == last_of_first["shards"]
    finally:
        again.stop()


def test_a_table_is_never_written_by_another_key(tmp_path, started):
    dynaberg, table = started(pipeline_file(tmp_path, "SELECT token(transaction_id) AS id FROM changes"), [payment(1)])
    dynaberg.stop()
    plain = tmp_path / "plain" / "payments.toml"
    plain.parent.mkdir()
    text = pipeline_file(tmp_path, "SELECT transaction_id AS id FROM changes").read_text()
    plain.write_text(re.sub(r"\[transform\].*\[delivery\]", "[delivery]", text, flags=re.DOTALL))
    for other in (tmp_path / "payments.toml", plain):
        again = Dynaberg(tmp_path / "data", [other])
        try:
            done = again.run("wait", "--timeout", "3s", check=False)
            (pipeline,) = again.status()["pipelines"]
            assert done.returncode == 1 and "DYN113" in pipeline["not_ready"], pipeline
            assert again.sql("SELECT count(*) AS n FROM shop.payments") == [{"n": 1}]
        finally:
            again.stop()


def read_metadata(dynaberg):
    from dynaberg import pyiceberg_catalog

    return pyiceberg_catalog(dynaberg, WAREHOUSE.format("lake")).load_table("shop.payments").metadata
