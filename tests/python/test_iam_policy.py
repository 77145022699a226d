"""`dynaberg iam-policy` prints what a pipeline needs: all of its calls are allowed, and no statement is too many."""

import contextlib
import fnmatch
import json
import re
import subprocess

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
[transform]
sql = "SELECT id, cast(total AS decimal(12,2)) AS total FROM changes"
[delivery]
interval = "200ms"
[dead_letters]
errors = "s3://shop-letters/errors/"
queue = "shop-letters"
"""


@pytest.fixture(params=["dynamodb", "kinesis", 'kinesis"\nfan_out = "orders-reader'])
def pipeline(request, tmp_path):
    path = tmp_path / "orders.toml"
    path.write_text(FILE.replace("STREAM", request.param))
    return path


def policies(path):
    """The printed policies, by what they are for. Printing them takes no call but who one is."""
    environment = {"AWS_ACCESS_KEY_ID": "dev", "AWS_SECRET_ACCESS_KEY": "dev", "AWS_REGION": "us-east-1"}
    printed = {}
    for purpose in ("apply", "run", "query"):
        command = [BINARY, "iam-policy", str(path), "--for", purpose, "--account", "000000000000", "--output", "json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        printed[purpose] = json.loads(done.stdout)
    return printed


def as_user(dev, name):
    return dev.environment | {"AWS_ACCESS_KEY_ID": name}


def call(dev, name, *arguments, check=True):
    done = subprocess.run(
        [BINARY, *map(str, arguments)], env=as_user(dev, name), capture_output=True, text=True, timeout=120
    )
    assert not check or done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}"
    return done


def started(tmp_path, by_purpose):
    options = []
    for purpose, policy in by_purpose.items():
        file = tmp_path / f"{purpose}.json"
        file.write_text(json.dumps(policy))
        options += ["--enforce-policy", f"{purpose}={file}"]
    dev = Dynaberg(tmp_path / "data", options=options)
    # Lake Formation allows what IAM is asked about here.
    users = [{"DataLakePrincipalIdentifier": f"arn:aws:iam::000000000000:user/{name}"} for name in by_purpose]
    dev.client("lakeformation").put_data_lake_settings(DataLakeSettings={"DataLakeAdmins": users})
    dev.client("dynamodb").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dev.resource("dynamodb").Table("orders").put_item(Item={"id": "a", "total": 3})
    return dev


@contextlib.contextmanager
def running(dev, path):
    """`dynaberg run` of the user `run`: the address of its console."""
    command = [BINARY, "run", str(path), "--console-port", "0", "--data-dir", str(path.parent / "run")]
    process = subprocess.Popen(command, env=as_user(dev, "run"), stdout=subprocess.PIPE, text=True)
    try:
        yield re.search(r"http://\S+", process.stdout.readline()).group(0)
    finally:
        process.terminate()
        process.wait(timeout=30)


def life(dev, path):
    """A whole life: planned, applied, run, letters redriven, run again, maintained, queried, destroyed."""
    planned = json.loads(call(dev, "apply", "plan", path, "--output", "json").stdout)[0]
    call(dev, "apply", "apply", path, "--plan", planned["id"])
    call(dev, "apply", "plan", path)
    with running(dev, path) as console:
        orders = dev.resource("dynamodb").Table("orders")
        for number in range(5):
            orders.put_item(Item={"id": f"b{number}", "total": number})
            call(dev, "run", "wait", "--console", console)
        orders.put_item(Item={"id": "poison", "total": "three"})
        orders.delete_item(Key={"id": "b0"})
        call(dev, "run", "wait", "--console", console)
        held = json.loads(call(dev, "run", "dlq", "list", path, "--output", "json").stdout)
        assert held
        orders.put_item(Item={"id": "poison", "total": 3})
        call(dev, "run", "dlq", "redrive", path, "--since", "1h", "--console", console)
        call(dev, "run", "wait", "--console", console)
    # What it has read before the checkpoint it reads again, as every reader of the stream may.
    with running(dev, path) as console:
        call(dev, "run", "wait", "--console", console)
    call(dev, "run", "maintain", "shop.orders", "--catalog", BUCKET, "--grace", "0s")
    count = call(dev, "query", "sql", "SELECT count(*) AS n FROM shop.orders", "--catalog", BUCKET, "--output", "json")
    assert json.loads(count.stdout) == [{"n": 5}]
    call(dev, "apply", "destroy", path, "--yes", "orders")


def calls(dev):
    return [json.loads(line) for line in (dev.data_dir / "calls.ndjson").read_text().splitlines()]


def allows(statement, called):
    """An evaluator of our own, as the embedded one is what is tried."""
    actions, resources = [
        [value] if isinstance(value, str) else value for value in (statement["Action"], statement["Resource"])
    ]
    wanted = statement.get("Condition", {}).get("StringEquals", {})
    return (
        any(fnmatch.fnmatchcase(called["action"], action) for action in actions)
        and any(fnmatch.fnmatchcase(called["resource"], resource) for resource in resources)
        and all(called["context"].get(key) == value for key, value in wanted.items())
    )


def test_a_whole_life_is_allowed_and_no_statement_nor_action_is_too_many(tmp_path, pipeline):
    printed = policies(pipeline)
    dev = started(tmp_path, printed)
    try:
        life(dev, pipeline)
        seen = calls(dev)
    finally:
        dev.stop()
    assert all(called["allowed"] for called in seen), [called for called in seen if not called["allowed"]]
    for purpose, policy in printed.items():
        own = [called for called in seen if called["principal"].endswith(f"/{purpose}")]
        for called in own:
            assert any(allows(statement, called) for statement in policy["Statement"]), called
        for left_out in policy["Statement"]:
            others = [statement for statement in policy["Statement"] if statement is not left_out]
            for action in left_out["Action"]:
                narrower = others + [{**left_out, "Action": [other for other in left_out["Action"] if other != action]}]
                denied = [called for called in own if not any(allows(one, called) for one in narrower)]
                assert denied, f"{purpose}: nothing needs {action} of {left_out['Sid']}"


def test_no_policy_has_a_wildcard_that_is_not_needed(pipeline):
    for purpose, policy in policies(pipeline).items():
        for statement in policy["Statement"]:
            assert not any("*" in action for action in statement["Action"])
            if "*" in statement["Resource"]:
                is_narrow = statement["Resource"].endswith(("/table/*", "/stream/*", "shop-letters/*", "errors/*", "orders-reader:*"))
                assert is_narrow or statement["Sid"] == "ListLakes", statement
            if statement["Resource"].endswith("/table/*") and statement["Sid"] != "ReadTableMark":
                assert statement["Condition"]["StringEquals"]["s3tables:tableName"] == "orders"


@pytest.mark.parametrize("sid", ["MakeTable", "MarkSource", "MakeLetterBucket"])
def test_without_a_statement_apply_fails_and_shows_it(tmp_path, sid):
    path = tmp_path / "orders.toml"
    path.write_text(FILE.replace("STREAM", "dynamodb"))
    policy = policies(path)["apply"]
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Sid"] != sid]
    dev = started(tmp_path, {"apply": policy})
    try:
        planned = json.loads(dev.run("plan", str(path), "--output", "json").stdout)[0]
        done = call(dev, "apply", "apply", path, "--plan", planned["id"], check=False)
        assert done.returncode == 254 and "DYN604" in done.stderr, done.stderr
        shown = json.loads(done.stderr.split("by this statement: ")[1].splitlines()[0])
        left_out = next(one for one in policies(path)["apply"]["Statement"] if one["Sid"] == sid)
        assert shown["Effect"] == "Allow" and shown["Action"] in left_out["Action"]
    finally:
        dev.stop()


def test_policies_hold_where_signatures_are_verified_too(tmp_path):
    allowed = {"Effect": "Allow", "Action": ["s3:ListBucket", "dynamodb:DescribeTable"], "Resource": "*"}
    (tmp_path / "policy.json").write_text(json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    options = ["--auth", "strict", "--enforce-policy", f"reader={tmp_path / 'policy.json'}"]
    within = ["env", "DYNABERG_KEYS=reader:secret,000000000000:root"]
    dev = Dynaberg(tmp_path / "data", options=options, within=within)
    try:
        def client(service, key, secret):
            return dev.client(service, aws_access_key_id=key, aws_secret_access_key=secret)

        root = client("s3", "000000000000", "root")
        root.create_bucket(Bucket="letters")
        reader = client("s3", "reader", "secret")
        assert reader.list_objects_v2(Bucket="letters")["KeyCount"] == 0
        for refused in [
            lambda: reader.put_object(Bucket="letters", Key="a", Body=b"a"),
            lambda: client("dynamodb", "reader", "secret").list_tables(),
        ]:
            with pytest.raises(ClientError, match="AccessDenied.*no identity-based policy allows"):
                refused()
        # A policy lets nobody in who cannot sign.
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            client("s3", "reader", "wrong").list_objects_v2(Bucket="letters")
        assert {"s3:ListBucket", "s3:PutObject", "dynamodb:ListTables"} <= {call["action"] for call in calls(dev)}
    finally:
        dev.stop()


def test_a_user_without_a_key_is_held_to_nothing_and_refused(tmp_path):
    (tmp_path / "policy.json").write_text('{"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}')
    command = [BINARY, "dev", "--data-dir", str(tmp_path / "data"), "--port", "0", "--console-port", "0", "--auth"]
    command += ["strict", "--postgres-port", "off", "--enforce-policy", f"nobody={tmp_path / 'policy.json'}"]
    environment = {"DYNABERG_KEYS": "somebody:secret"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 252 and "`nobody` has no key" in done.stderr and "DYNABERG_KEYS=nobody:SECRET" in done.stderr


@pytest.mark.parametrize("policy", ["{", '{"Statement": [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}]}'])
def test_a_policy_that_cannot_be_enforced_is_refused(tmp_path, policy):
    (tmp_path / "policy.json").write_text(policy)
    command = [BINARY, "dev", "--data-dir", str(tmp_path / "data"), "--port", "0", "--console-port", "0"]
    command += ["--postgres-port", "off", "--enforce-policy", f"somebody={tmp_path / 'policy.json'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 252 and "--enforce-policy" in done.stderr
