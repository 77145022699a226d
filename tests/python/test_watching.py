"""What operators watch: metrics under one name everywhere, alarms that go off and clear, logs without values.

`dynaberg run` reads and writes through a proxy that can be made to fail, and prints its metrics in CloudWatch's embedded
metric format; a log agent of a few lines hands them to CloudWatch Logs of `dynaberg dev`, where the alarms of
deploy/alerts/alarms.json watch them.
"""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import pytest
import yaml

from dynaberg import BINARY, ROOT, Dynaberg, eventually
from proxy import Proxy

ALERTS = ROOT / "deploy/alerts"
SECRET = "4711-no-amount"
PIPELINE = """
[source]
table = "orders"
[target]
catalog = "{endpoint}/iceberg?warehouse={warehouse}"
table = "shop.orders"
[transform]
sql = "SELECT id, cast(amount AS decimal(12,2)) AS amount FROM changes"
[delivery]
interval = "200ms"
[dead_letters]
errors = "s3://letters/errors/"
"""


class Watched:
    """A `dynaberg run` that is watched."""

    def __init__(self, folder):
        self.dev = Dynaberg(folder / "data")
        self.proxy = Proxy(self.dev.endpoint)
        self.dev.client("s3").create_bucket(Bucket="letters")
        warehouse = self.dev.client("s3tables").create_table_bucket(name="lake")["arn"]
        self.dev.client("dynamodb").create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        self.put("1", "1.50")
        self.file = folder / "orders.toml"
        self.file.write_text(PIPELINE.format(endpoint=self.proxy.endpoint, warehouse=warehouse))
        self.log = folder / "run.log"
        self.lines = []
        options = ["--metrics", "emf", "--metrics-interval", "1s", "--maintenance-pause", "1s", "--console-port", "0"]
        options += ["--data-dir", folder / "index"]
        self.process = subprocess.Popen(
            [BINARY, "run", self.file, *options],
            stdout=subprocess.PIPE, stderr=self.log.open("wb"), text=True,
            env={**self.dev.environment, "AWS_ENDPOINT_URL": self.proxy.endpoint},
        )
        self.console = re.search(r"Console (\S+)", self.process.stdout.readline()).group(1)
        self.agent = threading.Thread(target=self.forward)
        self.agent.start()

    def forward(self):
        """What a log agent does with the lines of a container."""
        logs = self.dev.client("logs")
        logs.create_log_group(logGroupName="/dynaberg")
        logs.create_log_stream(logGroupName="/dynaberg", logStreamName="run")
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            event = {"timestamp": int(time.time() * 1000), "message": line.rstrip()}
            logs.put_log_events(logGroupName="/dynaberg", logStreamName="run", logEvents=[event])

    def put(self, id, amount):
        self.dev.resource("dynamodb").Table("orders").put_item(Item={"id": id, "amount": amount})

    def metrics(self):
        return urllib.request.urlopen(f"{self.console}/metrics").read().decode()

    def wait(self):
        self.dev.run("wait", "--console", self.console)

    def stop(self):
        self.proxy.fail = lambda *_: None
        self.process.terminate()
        self.process.wait(timeout=60)
        self.agent.join(timeout=30)
        self.proxy.stop()
        self.dev.stop()


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    running = Watched(tmp_path_factory.mktemp("watched"))
    running.wait()
    yield running
    running.stop()


def named(text):
    return set(re.findall(r"\bdynaberg_\w+", text))


def test_every_metric_that_alerts_and_dashboards_name_is_one_that_a_pipeline_has(watched):
    rules = yaml.safe_load((ALERTS / "dynaberg.rules.yaml").read_text())["groups"][0]["rules"]
    alarms = json.loads((ALERTS / "alarms.json").read_text())["alarms"]
    dashboard = json.loads((ROOT / "deploy/grafana/dynaberg.json").read_text())
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(targets) > 15 and len(rules) > len(alarms) > 10
    wanted = named(" ".join(rule["expr"] for rule in rules)) | named(" ".join(targets))
    assert {alarm["metric"] for alarm in alarms} <= wanted
    eventually(lambda: wanted <= named(watched.metrics()))
    # The same alerts, under the same names, for both.
    assert {rule["alert"] for rule in rules} == {f"Dynaberg{alarm['name']}" for alarm in alarms} | {"DynabergSilent"}


def test_lines_in_the_embedded_metric_format_have_the_names_and_labels_of_metrics(watched):
    own = {"pipeline": "orders", "table": "shop.orders"}
    ours = lambda: [it for it in watched.lines if {**it, **own} == it and "dynaberg_freshness_seconds" in it]
    line = eventually(ours)[-1]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Dynaberg" and directive["Dimensions"] == [["pipeline", "table"]]
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units["dynaberg_freshness_seconds"] == "Seconds" and units["dynaberg_held_letters"] == "Count"
    text = watched.metrics()
    for metric in units:
        assert f'{metric}{{pipeline="orders",table="shop.orders"}}' in text
    # CloudWatch adds up: a counter's growth is told, not its height.
    received = float(re.search(r'dynaberg_received_total\{.*\} (\d+)', text).group(1))
    assert received == 1
    eventually(lambda: sum(it.get("dynaberg_received_total", 0) for it in watched.lines) == received)


# As soon as they can be seen, rather than as late as an operator wants to know.
THRESHOLDS = {
    "Freshness": 6, "IteratorAge": 6, "RetentionHeadroom": 86400 - 6, "HeldLettersAge": 0,
    "Throttled": 0, "DeliveryFailures": 1,
}


def alarm(definition):
    dimensions = {"pipeline": "orders", "table": "shop.orders"}
    dimensions = {name: dimensions[name] for name in definition["labels"]} | definition.get("dimensions", {})
    return {
        "AlarmName": definition["name"],
        "Namespace": "Dynaberg",
        "MetricName": definition["metric"],
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
        "Statistic": definition["statistic"],
        "ComparisonOperator": definition["comparison"],
        "Threshold": THRESHOLDS.get(definition["name"], definition["threshold"]),
        "Period": 10,
        "EvaluationPeriods": 1,
        "TreatMissingData": definition["missing"],
    }


def unavailable(method, path, target):
    """A catalog that lets nobody win, and then does not answer at all."""
    if not path.startswith("/iceberg/v1/"):
        return None
    return (409, b'{"error":{"message":"busy","type":"CommitFailedException","code":409}}') if method == "POST" else (503, b"")


def answered_by(code):
    def fail(method, path, target):
        is_read = target == "DynamoDBStreams_20120810.GetRecords"
        return (400, json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}"}).encode()) if is_read else None

    return fail


def test_each_alarm_goes_off_when_its_condition_is_driven_and_clears_afterwards(watched):
    cloudwatch = watched.dev.client("cloudwatch")
    definitions = json.loads((ALERTS / "alarms.json").read_text())["alarms"]
    for definition in definitions:
        cloudwatch.put_metric_alarm(**alarm(definition))
    everything = {definition["name"] for definition in definitions}

    def off(state="ALARM"):
        return {alarm["AlarmName"] for alarm in cloudwatch.describe_alarms(StateValue=state)["MetricAlarms"]}

    def went_off(names):
        for name in names:
            eventually(lambda: "ALARM" in states(name), timeout=90)

    def states(name):
        pages = cloudwatch.get_paginator("describe_alarm_history")
        items = pages.paginate(AlarmName=name, HistoryItemType="StateUpdate").search("AlarmHistoryItems[].HistorySummary")
        return {summary.rsplit(" ", 1)[1] for summary in items}

    eventually(lambda: off("OK") == everything, timeout=60)

    # The catalog cannot be reached: nothing is committed and nothing is maintained.
    watched.proxy.fail = unavailable
    watched.put("2", "2.50")
    watched.put("3", SECRET)
    driven = {"NotRunning", "Freshness", "IteratorAge", "RetentionHeadroom", "DeliveryFailures", "CommitFailures"}
    went_off(driven | {"CompactionFailing", "ExpiryFailing"})

    # It can again: the record that is no row is held, and everything else clears.
    watched.proxy.fail = lambda *_: None
    eventually(lambda: off() == {"HeldLetters", "HeldLettersAge"}, timeout=120)
    watched.dev.run("dlq", "purge", str(watched.file), "--code", "DYN412", "--confirm", "orders", "--console", watched.console)
    eventually(lambda: off() == set(), timeout=60)

    watched.proxy.fail = answered_by("ProvisionedThroughputExceededException")
    went_off({"Throttled"})
    watched.proxy.fail = lambda *_: None
    eventually(lambda: off() == set(), timeout=60)

    # What was lost stays lost: that one alarm stays until the table is made anew.
    watched.proxy.fail = answered_by("TrimmedDataAccessException")
    watched.put("4", "4.50")
    went_off({"RecordsLost"})
    watched.proxy.fail = lambda *_: None
    assert {name for name in everything if "ALARM" in states(name)} == everything
    eventually(lambda: off() == {"RecordsLost"}, timeout=60)


def test_log_lines_have_codes_and_no_values(watched):
    """The test before made the pipeline fail, hold a record and lose another."""
    lines = [json.loads(line) for line in watched.log.read_text().splitlines()]
    codes = {line["code"] for line in lines if line.get("code", "").startswith("DYN8")}
    assert {"DYN801", "DYN805", "DYN806"} <= codes
    restarts = [line for line in lines if line["message"] == "restarting"]
    assert restarts and all(line["pipeline"] == "orders" and line["level"] == "WARN" for line in restarts)
    for code in codes:
        assert "log line" in watched.dev.run("explain", code).stdout
    told = watched.log.read_text() + json.dumps(watched.lines) + watched.metrics()
    assert SECRET not in told


def test_the_embedded_cloudwatch_is_told_of_the_pipelines_of_dev(tmp_path):
    file = tmp_path / "orders.toml"
    file.write_text('[source]\ntable = "orders"\n[target]\ntable = "shop.orders"\n')
    running = Dynaberg(tmp_path / "data", [file], ["--metrics-interval", "1s"])
    dimensions = [{"Name": "pipeline", "Value": "orders"}, {"Name": "table", "Value": "shop.orders"}]
    cloudwatch = running.client("cloudwatch")
    metric = {"Namespace": "Dynaberg", "MetricName": "dynaberg_pipeline_running", "Dimensions": dimensions}
    assert eventually(lambda: cloudwatch.list_metrics(**metric)["Metrics"])
    running.stop()


def test_the_service_manager_is_told_when_it_is_ready_that_it_is_alive_and_when_it_stops(tmp_path):
    running = Dynaberg(tmp_path / "data")
    file = tmp_path / "orders.toml"
    file.write_text('[source]\ntable = "orders"\n[target]\ntable = "shop.orders"\n')
    running.client("s3tables").create_table_bucket(name="lake")
    running.client("dynamodb").create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    running.resource("dynamodb").Table("orders").put_item(Item={"id": "1"})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        environment = {**running.environment, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        process = subprocess.Popen(
            [BINARY, "run", file, "--console-port", "0", "--data-dir", tmp_path / "index"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        heard = [manager.recv(4096).decode() for _ in range(3)]
        assert heard == ["READY=1\nSTATUS=1 pipelines", "WATCHDOG=1", "WATCHDOG=1"]
        os.kill(process.pid, signal.SIGTERM)
        while (last := manager.recv(4096).decode()) == "WATCHDOG=1":
            pass
        assert last == "STOPPING=1"
        assert process.wait(timeout=30) == 0
    running.stop()
