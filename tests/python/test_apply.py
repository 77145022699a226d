"""`dynaberg plan`, `apply` and `destroy`: what is shown is what is done, and what was done is undone, killed at any step."""

import json
import signal
import subprocess
import threading

import pytest
from botocore.exceptions import ClientError

from dynaberg import BINARY, Dynaberg

BUCKET = "arn:aws:s3tables:us-east-1:000000000000:bucket/shop-lake"
FILE = f"""[source]
table = "orders"
stream = "STREAM"
[target]
catalog = "{BUCKET}"
table = "shop.orders"
[dead_letters]
errors = "s3://shop-letters/errors/"
queue = "shop-letters"
"""


@pytest.fixture
def dev(tmp_path):
    running = Dynaberg(tmp_path / "data")
    yield running
    running.stop()


@pytest.fixture(params=["dynamodb", "kinesis"])
def pipeline(request, tmp_path):
    path = tmp_path / "orders.toml"
    path.write_text(FILE.replace("STREAM", request.param))
    return path


def source(dev):
    dev.client("dynamodb").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dev.resource("dynamodb").Table("orders").put_item(Item={"id": "a", "total": 3})


def plan(dev, path, *options):
    done = dev.run("plan", str(path), "--output", "json", *options, check=False)
    assert done.returncode in (0, 2), done.stderr
    return json.loads(done.stdout)[0]


def signs(planned, sign):
    return [step["kind"] for step in planned["steps"] if step["sign"] == sign]


def apply(dev, path, plan_id, fail_point=None):
    environment = dev.environment | ({"DYNABERG_FAIL_POINT": fail_point} if fail_point else {})
    command = [BINARY, "apply", str(path), "--plan", plan_id, "--output", "json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def destroy(dev, path, fail_point=None):
    environment = dev.environment | ({"DYNABERG_FAIL_POINT": fail_point} if fail_point else {})
    command = [BINARY, "destroy", str(path), "--yes", path.stem, "--output", "json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def world(dev):
    """Everything that there is, in words that two runs share."""
    there = []
    described = dev.client("dynamodb").describe_table(TableName="orders")["Table"]
    there += ["stream"] if described.get("StreamSpecification", {}).get("StreamEnabled") else []
    tags = dev.client("dynamodb").list_tags_of_resource(ResourceArn=described["TableArn"])["Tags"]
    there += [f"tag {tag['Key']}" for tag in tags]
    destinations = dev.client("dynamodb").describe_kinesis_streaming_destination(TableName="orders")
    for destination in destinations["KinesisDataStreamDestinations"]:
        if destination["DestinationStatus"] != "DISABLED":
            there.append("destination")
    there += [f"kinesis {name}" for name in dev.client("kinesis").list_streams()["StreamNames"]]
    there += [f"bucket {bucket['Name']}" for bucket in dev.client("s3").list_buckets()["Buckets"]]
    there += [f"queue {url.rsplit('/', 1)[1]}" for url in dev.client("sqs").list_queues().get("QueueUrls", [])]
    s3tables = dev.client("s3tables")
    for bucket in s3tables.list_table_buckets()["tableBuckets"]:
        there.append(f"table bucket {bucket['name']}")
        for namespace in s3tables.list_namespaces(tableBucketARN=bucket["arn"])["namespaces"]:
            there.append(f"namespace {namespace['namespace'][0]}")
        for table in s3tables.list_tables(tableBucketARN=bucket["arn"])["tables"]:
            there.append(f"table {table['name']}")
    return sorted(there)


def test_a_plan_changes_nothing_and_its_apply_makes_what_it_says(dev, pipeline):
    source(dev)
    before = world(dev)
    planned = plan(dev, pipeline, "--detailed-exitcode")
    assert world(dev) == before == []
    added = signs(planned, "add")
    assert added[-5:] == ["bucket", "queue", "table bucket", "namespace", "table"]
    assert signs(planned, "keep") == ["dynamodb table"]
    assert planned["egress"]["columns"] == ["*"] and planned["backfill"]["mode"] == "none"
    assert dev.run("plan", str(pipeline), "--detailed-exitcode", check=False).returncode == 2

    done = apply(dev, pipeline, planned["id"])
    assert done.returncode == 0, done.stderr
    assert [step["kind"] for step in json.loads(done.stdout)["done"]] == added
    assert dev.run("plan", str(pipeline), "--detailed-exitcode").returncode == 0
    assert signs(plan(dev, pipeline), "add") == []

    again = apply(dev, pipeline, planned["id"])
    assert again.returncode == 0 and json.loads(again.stdout)["done"] == []


def test_what_was_applied_runs_and_is_destroyed_without_a_rest(dev, pipeline):
    source(dev)
    apply(dev, pipeline, plan(dev, pipeline)["id"])
    dev.client("s3").put_object(Bucket="shop-letters", Key="errors/a b+c&d/ü.json", Body=b"{}")
    command = [BINARY, "run", str(pipeline), "--console-port", "0", "--data-dir", str(pipeline.parent / "run")]
    running = subprocess.Popen(command, env=dev.environment, stdout=subprocess.PIPE, text=True)
    console = running.stdout.readline().split()[-1]
    dev.resource("dynamodb").Table("orders").put_item(Item={"id": "b", "total": 4})
    waited = subprocess.run([BINARY, "wait", "--console", console], env=dev.environment, capture_output=True)
    running.terminate()
    running.wait(timeout=30)
    assert waited.returncode == 0, waited.stderr
    rows = dev.sql(f'SELECT id FROM "s3tablescatalog/shop-lake".shop.orders ORDER BY id')
    assert {"id": "b"} in rows

    dry = dev.run("destroy", str(pipeline), "--dry-run", "--output", "json")
    before = world(dev)
    destroyed = destroy(dev, pipeline)
    assert destroyed.returncode == 0, destroyed.stderr
    assert json.loads(destroyed.stdout)["removed"] == json.loads(dry.stdout)["removed"]
    assert before != [] and world(dev) == []
    assert json.loads(destroyed.stdout)["left"] == [
        {"resource": "dynamodb table orders", "reason": "no apply made it"}
    ]


def test_an_apply_works_where_signatures_are_verified(pipeline, tmp_path):
    within = ["env", "DYNABERG_KEYS=000000000000:root"]
    dev = Dynaberg(tmp_path / "data", options=["--auth", "strict"], within=within)
    keys = {"AWS_ACCESS_KEY_ID": "000000000000", "AWS_SECRET_ACCESS_KEY": "root"}

    def run(*arguments):
        done = subprocess.run(
            [BINARY, *arguments, "--output", "json"], env=dev.environment | keys, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    try:
        secrets = {"aws_access_key_id": "000000000000", "aws_secret_access_key": "root"}
        dev.client("dynamodb", **secrets).create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        dev.resource("dynamodb", **secrets).Table("orders").put_item(Item={"id": "a", "total": 3})
        [planned] = run("plan", str(pipeline))
        assert len(run("apply", str(pipeline), "--plan", planned["id"])["done"]) == len(signs(planned, "add"))
        assert len(run("destroy", str(pipeline), "--yes", "orders")["removed"]) == len(signs(planned, "add"))
    finally:
        dev.stop()


def test_an_apply_refuses_a_world_that_has_changed(dev, pipeline):
    source(dev)
    planned = plan(dev, pipeline)
    dev.client("s3").create_bucket(Bucket="shop-letters")
    before = world(dev)
    done = apply(dev, pipeline, planned["id"])
    assert done.returncode == 1 and "DYN601" in done.stderr and "Try:" in done.stderr
    assert world(dev) == before


def test_what_others_made_is_used_and_stays(dev, pipeline):
    source(dev)
    dev.client("s3").create_bucket(Bucket="shop-letters")
    s3tables = dev.client("s3tables")
    s3tables.create_table_bucket(name="shop-lake")
    planned = plan(dev, pipeline)
    assert "bucket" in signs(planned, "keep") and "table bucket" in signs(planned, "keep")
    assert apply(dev, pipeline, planned["id"]).returncode == 0
    # Somebody puts a table of theirs into our namespace.
    s3tables.create_table(tableBucketARN=BUCKET, namespace="shop", name="theirs", format="ICEBERG")
    destroyed = destroy(dev, pipeline)
    assert destroyed.returncode == 0, destroyed.stderr
    left = {entry["resource"] for entry in json.loads(destroyed.stdout)["left"]}
    assert {"bucket shop-letters", "table bucket shop-lake", "namespace shop"} <= left
    assert world(dev) == ["bucket shop-letters", "namespace shop", "table bucket shop-lake", "table theirs"]


def test_a_source_that_is_not_there_is_said_before_anything_is_made(dev, pipeline):
    done = dev.run("plan", str(pipeline), check=False)
    assert done.returncode == 253 and "DYN603" in done.stderr and "orders" in done.stderr


def test_a_name_has_to_be_given_to_destroy(dev, pipeline):
    for options in [(), ("--yes", "another")]:
        done = dev.run("destroy", str(pipeline), *options, check=False)
        assert done.returncode == 252 and "--yes orders" in done.stderr


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_change_the_next_run_finishes(dev, pipeline, moment):
    source(dev)
    planned = plan(dev, pipeline)
    kills = 0
    for change in range(1, 60):
        done = apply(dev, pipeline, planned["id"], f"{moment}:{change}")
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        # The same plan goes on, from wherever it was stopped; a new plan sees the same end.
        done = apply(dev, pipeline, planned["id"])
        assert done.returncode == 0, done.stderr
        assert signs(plan(dev, pipeline), "add") == []
        assert len(world(dev)) == len(set(world(dev)))
        assert destroy(dev, pipeline).returncode == 0
        assert world(dev) == [], f"{moment} change {change}"
        planned = plan(dev, pipeline)
    assert kills >= 7

    kills = 0
    for change in range(1, 60):
        done = destroy(dev, pipeline, f"{moment}:{change}")
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        done = destroy(dev, pipeline)
        assert done.returncode == 0, done.stderr
        assert world(dev) == [], f"{moment} change {change}"
        assert apply(dev, pipeline, plan(dev, pipeline)["id"]).returncode == 0
    assert kills >= 7 and world(dev) == []


def test_of_two_applies_at_once_one_wins_and_the_other_says_so(dev, pipeline):
    source(dev)
    planned = plan(dev, pipeline)
    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(apply(dev, pipeline, planned["id"]))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = sorted(outcome.returncode for outcome in outcomes)
    lost = [outcome for outcome in outcomes if outcome.returncode != 0]
    # One may have ended before the other looked, which then finds nothing to do.
    made = [len(json.loads(outcome.stdout)["done"]) for outcome in outcomes if outcome.returncode == 0]
    assert codes in ([0, 1], [0, 0]) and (codes == [0, 1] or 0 in made), [o.stderr for o in outcomes]
    for outcome in lost:
        assert "DYN602" in outcome.stderr
    assert signs(plan(dev, pipeline), "add") == []
    assert destroy(dev, pipeline).returncode == 0
    assert world(dev) == []


def test_a_bucket_carries_its_tags_from_the_call_that_creates_it(dev):
    s3 = dev.client("s3")
    tags = [{"Key": "team", "Value": "a & b"}]
    s3.create_bucket(Bucket="tagged", CreateBucketConfiguration={"Tags": tags})
    assert s3.get_bucket_tagging(Bucket="tagged")["TagSet"] == tags
    s3.put_bucket_tagging(Bucket="tagged", Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
    assert s3.get_bucket_tagging(Bucket="tagged")["TagSet"] == [{"Key": "x", "Value": "y"}]
    s3.delete_bucket_tagging(Bucket="tagged")
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket="tagged")
    with pytest.raises(ClientError, match="InvalidTag"):
        s3.put_bucket_tagging(Bucket="tagged", Tagging={"TagSet": [{"Key": "aws:x", "Value": "y"}]})


def test_in_another_catalog_the_table_alone_is_made_and_removed(dev, tmp_path):
    source(dev)
    s3tables = dev.client("s3tables")
    s3tables.create_table_bucket(name="shop-lake")
    s3tables.create_namespace(tableBucketARN=BUCKET, namespace=["shop"])
    path = tmp_path / "orders.toml"
    catalog = f"{dev.endpoint}/iceberg?warehouse={BUCKET}"
    path.write_text(f'[source]\ntable = "orders"\n[target]\ncatalog = "{catalog}"\ntable = "shop.orders"\n')
    planned = plan(dev, path)
    assert signs(planned, "add") == ["dynamodb stream", "table"]
    assert apply(dev, path, planned["id"]).returncode == 0
    assert "table orders" in world(dev)
    assert signs(plan(dev, path), "add") == []
    assert destroy(dev, path).returncode == 0
    assert world(dev) == ["namespace shop", "table bucket shop-lake"]


def test_a_name_that_aws_refuses_is_said_before_anything_is_made(dev, tmp_path):
    source(dev)
    path = tmp_path / "orders.toml"
    for good, bad in [("s3://shop-letters/", "s3://Shop_Letters/"), ("bucket/shop-lake", "bucket/Shop_Lake")]:
        path.write_text(FILE.replace("STREAM", "dynamodb").replace(good, bad))
        done = dev.run("plan", str(path), check=False)
        assert done.returncode in (253, 254) and bad.strip("/").rsplit("/")[-1] in done.stderr
        done = dev.run("apply", str(path), "--plan", "00000000", check=False)
        assert done.returncode != 0
        assert world(dev) == []
