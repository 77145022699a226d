"""Looking on: records as they come, before and after the transform, with nothing shown that the table does not hold."""

import json
import signal
import subprocess

import dynaberg as running_binary
from test_mirror import WAREHOUSE
from test_transform import SQL, payment, pipeline_file, started  # noqa: F401


def tap(dynaberg, pipeline, *arguments):
    """The verb, beside the pipeline that `dynaberg` runs."""
    command = [running_binary.BINARY, "tap", str(pipeline), *arguments]
    return subprocess.Popen(command, env=dynaberg.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_each_record_is_shown_with_what_becomes_of_it_and_hidden_as_in_the_table(tmp_path, started):  # noqa: F811
    pipeline = pipeline_file(tmp_path, SQL)
    dynaberg, table = started(pipeline, [payment(1), payment(3), payment(4, amount="a lot")])
    table.delete_item(Key={"transaction_id": "t-1"})
    dynaberg.wait()
    before = dynaberg.status()["pipelines"][0]["commits"]

    printed, _ = tap(dynaberg, pipeline, "--from", "trim_horizon", "--limit", "4", "--output", "json").communicate()
    documents = [json.loads(line) for line in printed.splitlines()]
    # Items are in order, shards are not.
    of_item = {}
    for document in documents:
        of_item.setdefault(document["before"]["transaction_id"]["S"], []).append(document)
    first, removal = of_item["t-1"]
    assert (first["operation"], removal["operation"]) == ("INSERT", "REMOVE")
    assert first["before"]["amount"] == {"N": "0.25"}
    assert {first["before"][name] for name in ("card_pan", "customer_id", "secret", "status")} == {"***"}
    assert first["after"]["outcome"] == "row"
    row = first["after"]["row"]
    assert (row["amount"], row["card"], row["region"]) == ("0.25", "************0001", "US")
    assert removal["after"] == {"outcome": "deleted", "row": {"transaction_id": "t-1"}}
    assert [document["after"] for document in of_item["t-3"]] == [{"outcome": "filtered"}]
    (rejected,) = (document["after"] for document in of_item["t-4"])
    assert (rejected["outcome"], rejected["code"]) == ("rejected", "DYN412")
    for secret in ("4111", "customer-1", "never leaves"):
        assert secret not in printed
    assert dynaberg.status()["pipelines"][0]["commits"] == before, "looking on commits nothing"


def test_it_begins_with_what_is_written_from_now_on_and_ends_by_ctrl_c(tmp_path, started):  # noqa: F811
    pipeline = pipeline_file(tmp_path, SQL)
    dynaberg, table = started(pipeline, [payment(1)])
    looking = tap(dynaberg, pipeline, "--limit", "2", "--output", "table")
    number = 20
    while looking.poll() is None:
        number += 2
        table.put_item(Item=payment(number))
    printed = looking.stdout.read()
    assert looking.returncode == 0, looking.stderr.read()
    assert printed.count("INSERT") == 2 and "t-1 " not in printed
    assert "card_pan=***" in printed and "card=************" in printed

    looking = tap(dynaberg, pipeline, "--from", "trim_horizon", "--output", "json")
    assert json.loads(looking.stdout.readline())["operation"] == "INSERT"
    looking.send_signal(signal.SIGINT)
    looking.communicate(timeout=30)
    assert looking.returncode == 0


def test_what_cannot_be_looked_at_says_what_to_do(tmp_path, started):  # noqa: F811
    dynaberg, _ = started(pipeline_file(tmp_path, SQL), [payment(1)])
    other = tmp_path / "other.toml"
    text = f'[source]\ntable = "payments"\n[target]\ncatalog = "{WAREHOUSE.format("lake")}"\ntable = "shop.nowhere"\n'
    other.write_text(text)
    refused = dynaberg.run("tap", str(other), check=False)
    assert refused.returncode != 0 and "nowhere" in refused.stderr
    other.write_text(text + '[transform]\nlambda = "clean"\n')
    refused = dynaberg.run("tap", str(other), check=False)
    assert refused.returncode == 252 and "once more for every record" in refused.stderr and "Try:" in refused.stderr
