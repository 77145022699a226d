"""A transform that is a Lambda function: what it answers is in the table, and a bad answer harms no other record."""

import json
import os
from decimal import Decimal

import pytest

from dynaberg import Dynaberg, read_pyiceberg, rows_of, scan
from functions import create
from test_mirror import WAREHOUSE
from test_transform import letters

# In the shape of Firehose's blueprint: decode, change, encode, and an entry for each record.
HANDLER = """
    import base64, json, os, time

    def handler(event, context):
        return {{"records": [answer for record in event["records"] for answer in transform(record)]}}

    def transform(record):
        change = json.loads(base64.b64decode(record["data"]))
        image = change["dynamodb"]["NewImage"]
        if image.get("status", {{}}).get("S") == "TEST":
            return [{{"recordId": record["recordId"], "result": "Dropped", "data": record["data"]}}]
        image.pop("secret", None)
        if "customer" in image:
            image["customer"]["S"] = image["customer"]["S"].upper()
        image["added"] = {{"N": "1"}}
        {body}
        data = base64.b64encode(json.dumps(change).encode()).decode()
        return [{{"recordId": record["recordId"], "result": "Ok", "data": data}}]
"""
BAD = """
        ways = image.pop("ways", {}).get("S")
        if ways == "crash":
            os._exit(1)
        if ways == "raise":
            raise ValueError(image["customer"]["S"])
        if ways == "hang":
            time.sleep(60)
        if ways == "forget":
            return []
        if ways == "fail":
            return [{"recordId": record["recordId"], "result": "ProcessingFailed", "data": record["data"]}]
        if ways == "rename":
            image["id"]["S"] += "-other"
        if ways == "garbage":
            return [{"recordId": record["recordId"], "result": "Ok", "data": "%%%"}]
        if ways == "twice":
            return 2 * [{"recordId": record["recordId"], "result": "Ok", "data": record["data"]}]
"""
CODES = {
    "crash": "DYN422",
    "raise": "DYN422",
    "hang": "DYN422",
    "forget": "DYN423",
    "garbage": "DYN423",
    "twice": "DYN423",
    "fail": "DYN421",
    "rename": "DYN424",
}


def pipeline_file(folder, function="clean", mode="mirror"):
    path = folder / "orders.toml"
    path.write_text(
        f"""
[source]
table = "orders"
[target]
catalog = "{WAREHOUSE.format("lake")}"
table = "shop.orders"
mode = "{mode}"
[transform]
lambda = "{function}"
[delivery]
interval = "200ms"
[dead_letters]
errors = "s3://letters/errors/"
"""
    )
    return path


def order(number, **changes):
    item = {"id": f"o-{number}", "customer": f"customer-{number % 7}", "amount": number + Decimal("0.25"), "secret": "x" * 40}
    return {**item, **changes}


@pytest.fixture
def started(tmp_path):
    """Starts the binary with a pipeline on a table `orders` that has its first items, and the function `clean`."""
    running = []

    def start(items, body="", mode="mirror", **settings):
        dynaberg = Dynaberg(tmp_path / "data", [pipeline_file(tmp_path, mode=mode)])
        running.append(dynaberg)
        create(dynaberg.client("lambda"), HANDLER.format(body=body.strip()), name="clean", **settings)
        table = dynaberg.resource("dynamodb").create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        dynaberg.client("s3").create_bucket(Bucket="letters")
        for item in items:
            table.put_item(Item=item)
        dynaberg.client("s3tables").create_table_bucket(name="lake")
        dynaberg.wait()
        return dynaberg, table

    yield start
    for dynaberg in running:
        dynaberg.stop()


def rows(dynaberg):
    return rows_of(read_pyiceberg(dynaberg, "shop.orders", WAREHOUSE.format("lake")), ("id",))


def expected(table):
    """What the function makes of the table, written again."""
    kept = [item for item in scan(table) if item.get("status") != "TEST" and "ways" not in item]
    for item in kept:
        item.pop("secret", None)
        item.update(customer=item["customer"].upper(), added=1)
    return rows_of(kept, ("id",))


def settles(dynaberg):
    (pipeline,) = dynaberg.status()["pipelines"]
    settled = ("upserted", "deleted", "superseded", "filtered", "rejected", "in_flight")
    assert sum(pipeline[name] for name in settled) == pipeline["received"]
    return pipeline


def test_a_mirror_holds_what_the_function_makes_of_each_item(tmp_path, started):
    dynaberg, table = started([order(number) for number in range(30)])
    for number in range(30, 60):
        table.put_item(Item=order(number, status="TEST" if number % 3 == 0 else "OK"))
    # An item that is dropped from now on has a row no longer, and a removed one neither.
    table.put_item(Item=order(1, status="TEST"))
    table.delete_item(Key={"id": "o-2"})
    table.put_item(Item=order(3, amount=Decimal("0.75")))
    dynaberg.wait()
    assert rows(dynaberg) == expected(table)
    assert len(rows(dynaberg)) == 48
    assert settles(dynaberg)["filtered"] >= 11 and settles(dynaberg)["rejected"] == 0
    for folder, _, files in os.walk(tmp_path / "data" / "warehouse"):
        for name in files:
            if name.endswith((".parquet", ".avro", ".json")):
                with open(os.path.join(folder, name), "rb") as file:
                    assert b"x" * 40 not in file.read(), "what the function takes out is nowhere in the table"


def test_a_changelog_has_what_is_kept_and_every_removal(started):
    dynaberg, table = started([order(0)], mode="changelog")
    table.put_item(Item=order(1, status="TEST"))
    table.put_item(Item=order(0, amount=Decimal("7.75")))
    table.delete_item(Key={"id": "o-0"})
    dynaberg.wait()
    seen = dynaberg.sql('SELECT "_op" AS op, id, customer FROM shop.orders ORDER BY "_position"')
    assert [(row["op"], row["id"], row["customer"]) for row in seen] == [
        ("INSERT", "o-0", "CUSTOMER-0"),
        ("MODIFY", "o-0", "CUSTOMER-0"),
        ("REMOVE", "o-0", None),
    ]


def test_every_way_to_fail_makes_letters_of_its_own_records_and_the_others_go_on(started):
    dynaberg, table = started([order(0)], BAD, Timeout=1)
    with table.batch_writer() as batch:
        for number in range(1, 120):
            batch.put_item(Item=order(number))
        for number, way in enumerate(CODES):
            batch.put_item(Item=order(1000 + number, ways=way))
    dynaberg.wait("120s")
    assert rows(dynaberg) == expected(table)
    held = letters(dynaberg)
    assert {letter["record"]["dynamodb"]["NewImage"]["ways"]["S"]: letter["code"] for letter in held} == CODES
    assert len(held) == len(CODES) and {letter["step"] for letter in held} == {"transform"}
    # The reason never holds a value, and the letter holds the record as it was read.
    assert all("CUSTOMER" not in letter["reason"] for letter in held)
    assert all(letter["record"]["dynamodb"]["NewImage"]["secret"]["S"] == "x" * 40 for letter in held)
    assert settles(dynaberg)["rejected"] == len(CODES)


def test_a_function_that_is_gone_stops_nothing_for_good(started):
    dynaberg, table = started([order(0)])
    functions = dynaberg.client("lambda")
    functions.put_function_concurrency(FunctionName="clean", ReservedConcurrentExecutions=0)
    table.put_item(Item=order(1))
    functions.delete_function_concurrency(FunctionName="clean")
    dynaberg.wait()
    assert rows(dynaberg) == expected(table)
    assert letters(dynaberg) == []


def test_check_looks_for_the_function_and_prove_proves_nothing_of_it(tmp_path, started):
    dynaberg, _ = started([order(0)])
    good = dynaberg.run("check", str(pipeline_file(tmp_path)), check=False)
    assert good.returncode == 0, good.stdout + good.stderr
    missing = tmp_path / "missing"
    missing.mkdir()
    done = dynaberg.run("check", str(pipeline_file(missing, "no-such-function")), "--output", "json", check=False)
    assert done.returncode == 1
    (report,) = json.loads(done.stdout)
    (finding,) = [finding for finding in report["findings"] if finding["code"] == "DYN306"]
    assert "no-such-function" in finding["message"]
    proof = dynaberg.run("prove", str(pipeline_file(tmp_path)), check=False)
    assert proof.returncode == 1 and "cannot be proved" in proof.stderr
