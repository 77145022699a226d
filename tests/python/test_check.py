"""`dynaberg check`, `prove`, `explain` and `init`: what is wrong is said before anything runs, with its place and a code."""

import json
import os
import subprocess
from decimal import Decimal

import pytest

from dynaberg import BINARY, Dynaberg
from test_mirror import WAREHOUSE

KEY = {"DYNABERG_TEST_TOKEN_KEY": "a secret of more than sixteen bytes"}


def write(folder, sql, transform="", more="", name="payments", letters="s3://letters/errors/"):
    path = folder / f"{name}.toml"
    path.write_text(
        f"""[source]
table = "payments"
[target]
catalog = "{WAREHOUSE.format("lake")}"
table = "shop.{name}"
[transform]
token_key = "env:DYNABERG_TEST_TOKEN_KEY"
{transform}
sql = '''
{sql}
'''
[dead_letters]
errors = "{letters}"
{more}
"""
    )
    return path


def offline(*arguments):
    environment = {**os.environ, **KEY}
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=60)
    return done


def check(*paths):
    done = offline("check", *paths, "--offline", "--output", "json")
    return done.returncode, [finding for report in json.loads(done.stdout) for finding in report["findings"]]


def prove(path):
    done = offline("prove", path, "--offline", "--output", "json")
    assert done.returncode in (0, 1), done.stderr
    return done.returncode == 0, json.loads(done.stdout) if done.stdout else None, done.stderr


SENSITIVE = 'sensitive = ["pan", "email", "birth"]'
GOOD = [
    "SELECT id, token(email) AS customer FROM changes",
    "SELECT id, mask(pan, 4) AS card FROM changes",
    "SELECT id, mask(pan, 0) AS card FROM changes",
    "SELECT id, mask(pan, 2) AS card FROM changes WHERE status = 'OK'",
    "SELECT id, token(email) || '@' || region AS mixed FROM changes",
    "SELECT id, substr(token(email), 1, 8) AS short FROM changes",
    "SELECT id, upper(mask(pan, 4)) AS card FROM changes",
    "SELECT id, token(cast(pan AS string)) AS card FROM changes",
    "SELECT token(email) AS id FROM changes WHERE amount > 100",
    "SELECT id, cast(amount AS decimal(12,2)) AS amount FROM changes",
    "SELECT id, CASE WHEN status = 'OK' THEN 1 ELSE 0 END AS ok FROM changes",
    "SELECT id, coalesce(token(email), 'none') AS customer FROM changes",
    "SELECT id, from_millis(at) AS at, date_part('hour', from_millis(at)) AS hour FROM changes",
    "SELECT id, sha256(region) AS region FROM changes",
    "SELECT id, token(email) AS customer FROM changes WHERE token(email) <> 'x'",
    "SELECT id, token(email) IS NULL AS anonymous FROM changes",
    "SELECT id, mask(pan, 4) AS card FROM changes WHERE mask(pan, 4) LIKE '%1'",
    "SELECT id, 'pan' AS label FROM changes",
    "SELECT id, place.city AS city, json_get(details, 'a') AS a FROM changes",
    "SELECT id, status AS email FROM changes",
]
LEAKING = [
    "SELECT id, pan FROM changes",
    "SELECT id, pan AS harmless FROM changes",
    'SELECT id, "pan" AS harmless FROM changes',
    "SELECT id, PAN AS harmless FROM changes",
    "SELECT id, changes.pan AS harmless FROM changes",
    "SELECT id, substr(pan, 1, 1) AS brand FROM changes",
    "SELECT id, CASE WHEN pan LIKE '4%' THEN 'visa' ELSE 'other' END AS brand FROM changes",
    "SELECT id FROM changes WHERE pan LIKE '4%'",
    "SELECT id, sha256(pan) AS card FROM changes",
    "SELECT id, mask(pan, 12) AS card FROM changes",
    "SELECT id, mask(substr(pan, 1, 8), 4) || mask(substr(pan, 9, 8), 4) AS card FROM changes",
    "SELECT id, token(substr(pan, 1, 1)) AS brand FROM changes",
    "SELECT id, length(email) AS size FROM changes",
    "SELECT id, email IS NULL AS anonymous FROM changes",
    "SELECT id, coalesce(token(email), email) AS customer FROM changes",
    "SELECT id, amount > 1 AND birth = '1970-01-01' AS old FROM changes",
    "SELECT id, upper(email) AS mail FROM changes",
    "SELECT id, nullif(region, email) AS region FROM changes",
    "SELECT id, make_array(region, pan) AS both FROM changes",
    "SELECT id, cast(pan AS decimal(20,0)) AS number FROM changes",
    "SELECT id, split_part(email, '@', 2) AS host FROM changes",
    "SELECT id, region FROM changes WHERE region IN ('a', email)",
]


@pytest.mark.parametrize("sql", GOOD)
def test_a_transform_without_leaks_is_proven(tmp_path, sql):
    holds, proof, error = prove(write(tmp_path, sql, SENSITIVE))
    assert holds and proof["holds"], error
    assert all(flow["verdict"] in ("clean", "declassified") for flow in proof["flows"])


@pytest.mark.parametrize("sql", LEAKING)
def test_a_leak_is_found_and_never_runs(tmp_path, sql):
    path = write(tmp_path, sql, SENSITIVE)
    holds, proof, error = prove(path)
    assert not holds and not proof["holds"]
    assert any(flow["verdict"] == "leaks" and flow["sensitive"] for flow in proof["flows"])
    assert "DYN110" in error and "Try: token(" in error
    run = offline("run", path, "--console-port", "0")
    assert run.returncode == 1 and "DYN110" in run.stderr


def test_a_leak_that_somebody_answers_for_is_allowed(tmp_path):
    sql = "SELECT id, substr(pan, 1, 1) AS brand FROM changes"
    holds, proof, _ = prove(write(tmp_path, sql, SENSITIVE + '\nallow = ["brand <- pan: only the first digit"]'))
    (flow,) = [flow for flow in proof["flows"] if flow["column"] == "brand"]
    assert holds and flow["verdict"] == "allowed" and flow["reason"] == "only the first digit"
    assert {"attribute": "email", "sensitive": True} in proof["not_read"]


@pytest.mark.parametrize(
    "sql, code, line, column",
    [
        ("SELECT id,\n  sum(amount) AS total FROM changes", "DYN101", 12, 3),
        ("SELECT id FROM changes WHERE", "DYN100", 11, 29),
        ("SELECT id, random() AS x FROM changes", "DYN104", 11, 12),
        ("SELECT id, sha265(id) AS x FROM changes", "DYN103", 11, 12),
        ("SELECT id, amount + 1 FROM changes", "DYN108", 11, 12),
        ("SELECT * FROM changes", "DYN101", 11, 8),
    ],
)
def test_a_mistake_has_a_code_and_a_place(tmp_path, sql, code, line, column):
    # The line `sql = '''` is the ninth or tenth, as there is an empty line above it.
    path = write(tmp_path, sql, "\n")
    status, findings = check(path)
    assert status == 1
    (finding,) = findings
    assert (finding["code"], finding["line"], finding["column"]) == (code, line, column)
    assert finding["try"]


def test_the_file_itself_is_checked(tmp_path):
    good = write(tmp_path, "SELECT id FROM changes")
    assert check(good)[0] == 0
    broken = tmp_path / "broken.toml"
    broken.write_text("[source\n")
    unknown = tmp_path / "unknown.toml"
    unknown.write_text(good.read_text().replace("token_key", "token_kee"))
    for path in (broken, unknown, tmp_path / "nowhere.toml"):
        status, (finding,) = check(path)
        assert status == 1 and finding["code"] in ("DYN001", "DYN003")
    key = "AKIA" + "ABCDEFGHIJKLMNOP"
    credential = write(tmp_path, f"SELECT id, '{key}' AS x FROM changes", name="credential")
    assert {finding["code"] for finding in check(credential)[1]} == {"DYN005"}


def test_tests_in_the_file_run(tmp_path):
    sql = "SELECT id, mask(pan, 4) AS card, cast(amount AS decimal(12,2)) AS amount FROM changes WHERE status = 'OK'"
    cases = """
[[test]]
given = { id = "T1", amount = 12.30, pan = "4111111111111111", status = "OK" }
expect = { card = "************1111", amount = "12.30" }
[[test]]
name = "tests do not count"
given = { id = "T2", status = "TEST" }
expect = "filtered"
[[test]]
given = { id = "T3", amount = "12,50", status = "OK" }
expect = "DYN412"
"""
    path = write(tmp_path, sql, more=cases)
    assert check(path) == (0, [])
    path.write_text(path.read_text().replace('"filtered"', '{ card = "x" }').replace('"12.30" }', '"12.31" }'))
    status, findings = check(path)
    assert status == 1 and [finding["code"] for finding in findings] == ["DYN130", "DYN130"]
    assert "12.30, not 12.31" in findings[0]["message"] and "tests do not count" in findings[1]["message"]


def test_every_code_is_explained():
    done = offline("explain", "DYN110", "--output", "json")
    assert json.loads(done.stdout)["code"] == "DYN110"
    assert len(json.loads(offline("explain", "--output", "json").stdout)) > 40
    assert offline("explain", "DYN999").returncode == 252
    json.loads(offline("schema").stdout)


@pytest.fixture(scope="module")
def payments(tmp_path_factory):
    running = Dynaberg(tmp_path_factory.mktemp("check") / "data")
    table = running.resource("dynamodb").create_table(
        TableName="payments",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    running.client("s3").create_bucket(Bucket="letters")
    running.client("s3tables").create_table_bucket(name="lake")
    for number in range(20):
        amount = "12,50" if number == 7 else number
        table.put_item(
            Item={
                "id": f"p-{number}", "amount": amount, "rate": Decimal("0.125"), "status": "OK", "at": 1_700_000_000_000 + number,
                "email": f"u{number}@example.com", "pan": "4111111111111111",
            }
        )
    yield running
    running.stop()


def check_online(running, path):
    environment = {**running.environment, **KEY}
    done = subprocess.run([BINARY, "check", str(path), "--output", "json"], capture_output=True, text=True,
                          env=environment, timeout=60)
    (report,) = json.loads(done.stdout)
    return done.returncode, report


def test_the_meaning_is_checked_against_the_source(tmp_path, payments):
    status, report = check_online(payments, write(tmp_path, "SELECT id, status FROM changes"))
    assert (status, report["findings"]) == (0, [])
    assert report["passed"] == ["syntax", "meaning", "environment", "tests"]

    def codes(sql, transform="", **options):
        return [finding["code"] for finding in check_online(payments, write(tmp_path, sql, transform, **options))[1]["findings"]]

    assert codes("SELECT id, amuont FROM changes") == ["DYN102"]
    assert codes("SELECT status FROM changes") == ["DYN107"]
    assert codes("SELECT id FROM changes WHERE status > 1") == ["DYN106"]
    assert codes("SELECT id, cast(amount AS decimal(12,2)) AS amount FROM changes") == ["DYN120"]
    assert codes("SELECT id FROM changes WHERE status <> 'TEST'") == ["DYN122"]
    assert codes("SELECT id, cast(rate AS decimal(12,2)) AS rate FROM changes") == ["DYN121"]
    assert codes("SELECT id, status FROM changes", 'sensitive = ["pann"]') == ["DYN111"]
    assert codes("SELECT id, email FROM changes", 'sensitive = ["email"]') == ["DYN110"]
    assert codes("SELECT id FROM changes", letters="s3://nowhere/errors/") == ["DYN304"]
    queue = 's3://letters/errors/"\nqueue = "no-such-queue'
    assert codes("SELECT id FROM changes", letters=queue) == ["DYN304"]
    payments.client("sqs").create_queue(QueueName="no-such-queue")
    assert codes("SELECT id FROM changes", letters=queue) == []


def test_letters_among_the_files_of_the_table_are_refused(tmp_path, payments):
    from dynaberg import pyiceberg_catalog

    path = write(tmp_path, "SELECT id, status FROM changes", name="held")
    catalog = pyiceberg_catalog(payments, WAREHOUSE.format("lake"))
    catalog.create_namespace_if_not_exists("shop")
    from pyiceberg.schema import Schema
    from pyiceberg.types import NestedField, StringType

    fields = [NestedField(1, "id", StringType(), required=True), NestedField(2, "status", StringType())]
    location = catalog.create_table("shop.held", Schema(*fields)).location()
    assert check_online(payments, path)[0] == 0
    inside = write(tmp_path, "SELECT id, status FROM changes", name="held", letters=f"{location}/errors/")
    status, report = check_online(payments, inside)
    assert status == 1 and [finding["code"] for finding in report["findings"]] == ["DYN303"]


def test_init_proposes_a_file_without_what_looks_sensitive(tmp_path, payments):
    path = tmp_path / "proposed.toml"
    payments.run("init", "--from", "dynamodb:payments", "--target", "shop.proposed", "--file", str(path))
    text = path.read_text()
    assert 'sensitive = ["email", "pan"]' in text and "from_millis(at) AS at" in text
    selected = text.split("SELECT")[1]
    assert "email" not in selected and "pan" not in selected
    status, report = check_online(payments, path)
    assert status == 0 and {finding["code"] for finding in report["findings"]} <= {"DYN305"}
    again = payments.run("init", "--from", "dynamodb:payments", "--file", str(path), check=False)
    assert again.returncode == 253
    json.loads((tmp_path / "dynaberg.schema.json").read_text())
