"""Letters that come back by themselves, through a function that heals, and from a stream that repeats and swaps."""

import json
import random
import time

import pytest

from dynaberg import Dynaberg, eventually, read_pyiceberg
from functions import create
from test_dlq import BROKEN, MENDED, POISONS, SEED, order
from test_mirror import WAREHOUSE

FAULTS = ["--kinesis-faults", "0.05"]

# Fails on items that have something wrong with them, until it is healed.
HEALING = """
    import base64, json, os

    def handler(event, context):
        return {{"records": [transform(record) for record in event["records"]]}}

    def transform(record):
        image = json.loads(base64.b64decode(record["data"]))["dynamodb"]["NewImage"]
        is_fine = "wrong" not in image or os.path.exists({healed!r})
        return {{"recordId": record["recordId"], "result": "Ok" if is_fine else "ProcessingFailed", "data": record["data"]}}
"""


def plain(number, version, **changes):
    return {"id": f"order-{number}", "version": version, **changes}


class Shop:
    """The binary with a table, its streams, a bucket for letters, and a pipeline with the given sections."""

    def __init__(self, folder, transform, letters="", source="", options=(), item=order):
        self.folder, self.letters, self.source, self.options, self.item = folder, letters, source, options, item
        self.declare(transform)
        self.running = Dynaberg(folder / "data", [self.file], options)
        dynamodb = self.running.client("dynamodb")
        dynamodb.create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        kinesis = self.running.client("kinesis")
        kinesis.create_stream(StreamName="orders-changes", ShardCount=2)
        arn = kinesis.describe_stream_summary(StreamName="orders-changes")["StreamDescriptionSummary"]["StreamARN"]
        dynamodb.enable_kinesis_streaming_destination(TableName="orders", StreamArn=arn)
        self.running.client("s3").create_bucket(Bucket="letters")
        self.table.put_item(Item=self.item(0, 1))

    def begin(self):
        """The catalog is the last thing that the pipeline waits for."""
        self.running.client("s3tables").create_table_bucket(name="lake")
        self.running.wait()

    def declare(self, transform):
        self.file = self.folder / "orders.toml"
        self.file.write_text(
            f"""
[source]
table = "orders"
{self.source}
[target]
catalog = "{WAREHOUSE.format("lake")}"
table = "shop.orders"
[transform]
{transform}
[delivery]
interval = "300ms"
[dead_letters]
errors = "s3://letters/errors/"
{self.letters}
"""
        )

    @property
    def table(self):
        return self.running.resource("dynamodb").Table("orders")

    def restart(self, transform):
        self.running.stop()
        self.declare(transform)
        self.running = Dynaberg(self.folder / "data", [self.file], self.options)
        self.running.wait("120s")

    def dlq(self, *arguments):
        return json.loads(self.running.run("dlq", *arguments, "--output", "json").stdout)

    def status(self):
        (pipeline,) = self.running.status()["pipelines"]
        return pipeline

    def versions(self):
        rows = read_pyiceberg(self.running, "shop.orders", WAREHOUSE.format("lake"))
        versions = {row["id"]: int(row["version"]) for row in rows}
        assert len(versions) == len(rows), "two rows for one item"
        return versions


@pytest.fixture
def shop(tmp_path):
    shops = []

    def open_shop(*arguments, **options):
        shops.append(Shop(tmp_path, *arguments, **options))
        return shops[-1]

    yield open_shop
    for shop in shops:
        shop.running.stop()


def healing(shop, folder):
    create(shop.running.client("lambda"), HEALING.format(healed=str(folder / "healed")), name="clean")
    shop.begin()


def test_a_function_that_heals_has_its_letters_back_without_anybody_asking(shop, tmp_path):
    shop = shop('lambda = "clean"', letters='redrive = 20\nredrive_after = "500ms"', item=plain)
    healing(shop, tmp_path)
    for number in range(1, 6):
        shop.table.put_item(Item=plain(number, 1, wrong="yes"))
    shop.running.wait()
    shop.table.put_item(Item=plain(1, 2))  # Newer than its letter.
    shop.table.delete_item(Key={"id": "order-2"})
    shop.table.put_item(Item=plain(3, 2, wrong="yes"))  # A newer letter.
    shop.running.wait()
    assert shop.versions() == {"order-0": 1, "order-1": 2}
    (group,) = shop.dlq("list", str(shop.file))
    # A try may have let those of orders 1 and 2 go already.
    assert (group["code"], group["given_up"]) == ("DYN421", 0) and 4 <= group["held"] <= 6
    eventually(lambda: max(group["tries"] for group in shop.dlq("list", str(shop.file))) >= 2)
    (tmp_path / "healed").touch()
    eventually(lambda: shop.status()["held"] == 0)
    assert shop.versions() == {"order-0": 1, "order-1": 2, "order-3": 2, "order-4": 1, "order-5": 1}
    status = shop.status()
    # Skipped are orders 1 and 2, and the first letter of order 3 if its second came with it.
    assert (status["redriven"], status["redrive_skipped"]) in ((3, 3), (4, 2)) and status["given_up"] == 0


def test_letters_are_given_up_for_all_to_see_and_a_person_can_still_redrive_them(shop, tmp_path):
    shop = shop('lambda = "clean"', letters='redrive = 2\nredrive_after = "200ms"', item=plain)
    healing(shop, tmp_path)
    shop.table.put_item(Item=plain(1, 1, wrong="yes"))
    shop.running.wait()
    eventually(lambda: shop.status()["given_up"] == 1)
    (group,) = shop.dlq("list", str(shop.file))
    assert (group["tries"], group["given_up"], group["held"]) == (2, 1, 1)
    shown = shop.running.run("dlq", "list", str(shop.file), "--output", "table").stdout
    assert "tried again 2 times, 1 given up" in shown
    (tmp_path / "healed").touch()
    forecast = shop.dlq("try", str(shop.file))
    assert (forecast["would_fix"], forecast["would_remain"]) == (1, 0)
    answer = shop.dlq("redrive", str(shop.file), "--code", "DYN421")
    assert (answer["redriven"], answer["remaining"], answer["held"]) == (1, 0, 0)
    assert shop.versions() == {"order-0": 1, "order-1": 1} and shop.status()["given_up"] == 0


def sql(text):
    types = 'attributes = { amount = "string", quantity = "long", day = "string", code = "string", version = "long" }'
    return f"sql = '''{text}'''\n{types}"


def test_a_mended_transform_takes_letters_up_that_were_given_up(shop):
    shop = shop(sql(BROKEN), letters='redrive = 1\nredrive_after = "100ms"')
    shop.begin()
    shop.table.put_item(Item=order(1, 1, amount="12,50"))
    shop.running.wait()
    eventually(lambda: shop.status()["given_up"] == 1)
    shop.restart(sql(MENDED))
    eventually(lambda: shop.versions() == {"order-0": 1, "order-1": 1})
    assert shop.status()["held"] == 0


@pytest.mark.parametrize("is_rewound", [False, True])
def test_letters_of_a_stream_that_repeats_and_swaps_never_bring_an_older_state_back(shop, is_rewound):
    shop, rng = shop(sql(BROKEN), source='stream = "kinesis"', options=FAULTS), random.Random(SEED)
    shop.begin()
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    # A second that DynamoDB's times tell apart from what was before.
    eventually(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) != moment)
    newest, mended, is_told = {}, {}, {}
    for number in range(400):
        id = 1 + rng.randrange(40)
        newest[id] = newest.get(id, 0) + 1
        kind = rng.random()
        if kind < 0.1:
            shop.table.delete_item(Key={"id": f"order-{id}"})
            mended[id], is_told[id] = None, True
            continue
        changes, is_mended = rng.choice(POISONS) if kind < 0.4 else ({}, True)
        shop.table.put_item(Item=order(id, newest[id], **changes))
        is_told[id] = is_mended
        if is_mended:
            mended[id] = newest[id]
    shop.running.wait("120s")
    held = shop.status()["held"]
    assert held > 0
    if is_rewound:
        # The pipeline that runs is stopped by it: a table has one committer.
        shop.running.run("rewind", str(shop.file), "--to", moment, "--data-dir", str(shop.folder / "other"))
        shop.restart(sql(BROKEN))
        assert shop.status()["held"] > 0
    shop.restart(sql(MENDED))
    forecast = shop.dlq("try", str(shop.file))
    answer = shop.dlq("redrive", str(shop.file), "--since", "1h")
    assert (answer["redriven"], answer["skipped"], answer["remaining"]) == (
        forecast["would_fix"],
        forecast["would_skip"],
        forecast["would_remain"],
    )
    versions = {int(id.removeprefix("order-")): version for id, version in shop.versions().items()}
    versions.pop(0)
    for id, version in mended.items():
        if is_told[id]:
            assert versions.get(id) == version, id
        elif id in versions:
            # A record that came late is held back by a newer one, even one that never becomes a row.
            assert versions[id] < newest[id], id
