"""The user guide's page on deploying: its console blocks run as they stand and print what they say."""

import re
import subprocess
import sys

from dynaberg import BINARY, ROOT, Dynaberg
from test_deploy import world

PAGE = ROOT / "docs/src/deploy.md"
WRITER = """import random, sys, time
import boto3
sys.path.insert(0, {example!r})
from write import transaction
rng = random.Random(time.time_ns())
table = boto3.resource("dynamodb").Table("financial-transactions")
with table.batch_writer() as batch:
    for _ in range(100):
        batch.put_item(Item=transaction(rng))
print("wrote 100 transactions")
"""
ORDERS = """[source]
table = "orders"
[target]
catalog = "arn:aws:s3tables:us-east-1:000000000000:bucket/shop-lake"
table = "shop.orders"
[transform]
sensitive = ["pan", "email"]
sql = "SELECT id, cast(total AS decimal(12,2)) AS total, mask(pan, 4) AS card FROM changes"
[dead_letters]
errors = "s3://shop-letters/errors/"
"""


def blocks():
    """Commands of the page with what they are said to print."""
    commands = []
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
    return commands


def create_orders(dev):
    table = dev.resource("dynamodb").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table.put_item(Item={"id": "a", "total": 3, "pan": "4111111111111111", "email": "a@example.com"})


def test_the_page_on_deploying_does_what_it_says(tmp_path):
    dev = Dynaberg(tmp_path / "data")
    work = tmp_path / "work"
    (work / "scripts").mkdir(parents=True)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "dynaberg").symlink_to(BINARY)
    (tools / "python3").symlink_to(sys.executable)
    (work / "scripts/create_sample_data.py").write_text(WRITER.format(example=str(ROOT / "examples/transactions")))
    (work / "orders.toml").write_text(ORDERS)
    for query in ("hourly.sql", "risk.sql"):
        (work / query).write_text((ROOT / "examples/transactions" / query).read_text())
    environment = dev.environment
    environment["PATH"] = f"{tools}:{environment['PATH']}"
    environment["PYTHONPATH"] = ":".join(sys.path)
    try:
        commands = blocks()
        assert len(commands) >= 15
        for command, expected in commands:
            if command == "cat cdk.context.json":
                (work / "cdk.context.json").write_text("\n".join(expected) + "\n")
            if command.startswith("dynaberg destroy --all"):
                assert world(dev) != []
            done = subprocess.run(
                command, shell=True, cwd=work, env=environment, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            if command.startswith("dynaberg plan") and (shown := re.search(r"--plan (\w+)", done.stdout)):
                environment["ID"] = shown.group(1)
            text = "\n".join(expected)
            if command.endswith("--output json") and text == "[…":
                assert done.stdout.strip().startswith("[")
                continue
            pattern = r"\S+(?: \S+)??".join(re.escape(part) for part in text.split("…"))
            assert re.fullmatch(pattern, done.stdout.rstrip("\n")), f"{command}\n{done.stdout}\n--- said:\n{text}"
            if command.startswith("dynaberg destroy --all"):
                assert world(dev) == []
                create_orders(dev)
    finally:
        dev.stop()
