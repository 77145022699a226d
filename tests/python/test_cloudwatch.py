"""CloudWatch: metrics and alarms, as boto3 and the AWS CLI use them."""

import datetime
import json
import subprocess
import sys
import uuid
from pathlib import Path

import botocore.exceptions
import pytest

from dynaberg import Dynaberg, eventually


@pytest.fixture(scope="module")
def cloudwatch(aws):
    return aws("cloudwatch")


@pytest.fixture
def namespace():
    return f"Shop/{uuid.uuid4().hex}"


def ago(**duration):
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(**duration)


def refused(call, **parameters):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def query(namespace, name, stat, period=60, dimensions=(), id="q"):
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": list(dimensions)}
    return {"Id": id, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}}


def test_data_is_summed_up_by_period(cloudwatch, namespace):
    minute = ago(minutes=10).replace(second=0, microsecond=0)
    at = lambda seconds: minute + datetime.timedelta(seconds=seconds)
    table = [{"Name": "table", "Value": "orders"}]
    cloudwatch.put_metric_data(
        Namespace=namespace,
        MetricData=[
            {"MetricName": "rows", "Dimensions": table, "Timestamp": at(1), "Value": 4.0, "Unit": "Count"},
            {"MetricName": "rows", "Dimensions": table, "Timestamp": at(30), "Values": [1.0, 2.0], "Counts": [1, 3]},
            {
                "MetricName": "rows",
                "Dimensions": table,
                "Timestamp": at(61),
                "StatisticValues": {"SampleCount": 2, "Sum": 20, "Minimum": 5, "Maximum": 15},
            },
            {"MetricName": "rows", "Timestamp": at(1), "Value": 100.0},
        ],
    )
    stats = {"Sum": [11, 20], "Average": [2.2, 10], "SampleCount": [5, 2], "Minimum": [1, 5], "Maximum": [4, 15]}
    queries = [query(namespace, "rows", stat, dimensions=table, id=stat.lower()) for stat in stats]
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=queries, StartTime=minute, EndTime=at(180), ScanBy="TimestampAscending"
    )
    assert {result["Id"]: result["Values"] for result in answer["MetricDataResults"]} == {
        stat.lower(): values for stat, values in stats.items()
    }
    assert answer["MetricDataResults"][0]["Timestamps"] == [minute, at(60)]
    latest = cloudwatch.get_metric_data(MetricDataQueries=queries[:1], StartTime=minute, EndTime=at(180))
    assert latest["MetricDataResults"][0]["Values"] == [20, 11]

    statistics = cloudwatch.get_metric_statistics(
        Namespace=namespace, MetricName="rows", Dimensions=table, StartTime=minute, EndTime=at(60), Period=60,
        Statistics=["Sum", "Maximum"],
    )
    (point,) = statistics["Datapoints"]
    assert (point["Sum"], point["Maximum"], point["Timestamp"]) == (11, 4, minute)

    # Dimensions are part of what a metric is: the one without any is another.
    listed = cloudwatch.list_metrics(Namespace=namespace)["Metrics"]
    assert sorted(len(metric["Dimensions"]) for metric in listed) == [0, 1]
    assert len(cloudwatch.list_metrics(Namespace=namespace, Dimensions=[{"Name": "table"}])["Metrics"]) == 1
    other = [{"Name": "table", "Value": "others"}]
    assert cloudwatch.list_metrics(Namespace=namespace, Dimensions=other)["Metrics"] == []


def test_what_cloudwatch_refuses_is_refused_with_its_code(cloudwatch, namespace):
    put = cloudwatch.put_metric_data
    now = ago()
    cases = [
        ("AWS/Mine", [{"MetricName": "a", "Value": 1}], "InvalidParameterValue"),
        (namespace, [{"MetricName": "a", "Value": 1, "Values": [2]}], "InvalidParameterCombination"),
        (namespace, [{"MetricName": "a"}], "InvalidParameterCombination"),
        (namespace, [{"MetricName": "a", "Value": 1, "Unit": "Lightyears"}], "InvalidParameterValue"),
        (namespace, [{"MetricName": "a", "Value": 1, "Timestamp": ago(days=20)}], "InvalidParameterValue"),
    ]
    for name, data, code in cases:
        assert refused(put, Namespace=name, MetricData=data)[0] == code, data
    assert cloudwatch.list_metrics(Namespace=namespace)["Metrics"] == []
    expression = [{"Id": "e", "Expression": "1+1"}]
    code, message = refused(
        cloudwatch.get_metric_data, MetricDataQueries=expression, StartTime=ago(hours=1), EndTime=now
    )
    assert code == "ValidationError" and "not served" in message
    alarm = {"AlarmName": "a", "MetricName": "m", "Namespace": namespace, "Period": 60, "EvaluationPeriods": 1}
    alarm |= {"Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"}
    assert refused(cloudwatch.put_metric_alarm, **alarm)[0] == "InvalidParameterCombination"
    assert refused(cloudwatch.put_metric_alarm, **{**alarm, "Statistic": "Sum", "Period": 45})[0] == "InvalidParameterValue"
    reset = {"AlarmName": "nobody", "StateValue": "OK", "StateReason": "test"}
    assert refused(cloudwatch.set_alarm_state, **reset)[0] == "ResourceNotFound"


def alarm(namespace, name, **settings):
    return {
        "AlarmName": name,
        "Namespace": namespace,
        "MetricName": "age",
        "Statistic": "Maximum",
        "Period": 10,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **settings,
    }


def state(cloudwatch, name):
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found["StateValue"]


def test_an_alarm_goes_off_when_its_condition_holds_and_clears_afterwards(cloudwatch, namespace):
    name = f"age-{uuid.uuid4().hex}"
    topic = "arn:aws:sns:us-east-1:000000000000:operators"
    tags = [{"Key": "team", "Value": "shop"}]
    cloudwatch.put_metric_alarm(**alarm(namespace, name, AlarmActions=[topic], TreatMissingData="ignore", Tags=tags))
    (described,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert described["StateValue"] == "INSUFFICIENT_DATA"
    assert described["TreatMissingData"] == "ignore" and described["Threshold"] == 5.0
    assert cloudwatch.list_tags_for_resource(ResourceARN=described["AlarmArn"])["Tags"] == tags

    def is_in(wanted, value):
        def look():
            cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "age", "Value": value}])
            return state(cloudwatch, name) == wanted

        return look

    eventually(is_in("ALARM", 9.0))
    (shown,) = cloudwatch.describe_alarms(StateValue="ALARM", AlarmNamePrefix=name)["MetricAlarms"]
    assert "9" in shown["StateReason"] and json.loads(shown["StateReasonData"])["threshold"] == 5.0
    eventually(is_in("OK", 1.0))

    history = cloudwatch.describe_alarm_history(AlarmName=name, ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in history] == [
        f'Alarm "{name}" created',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        f"Failed to execute action {topic}",
        "Alarm updated from ALARM to OK",
    ]
    cloudwatch.delete_alarms(AlarmNames=[name, "nobody"])
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


def test_missing_data_counts_as_the_alarm_says(cloudwatch, namespace):
    names = {treatment: f"{treatment}-{uuid.uuid4().hex}" for treatment in ("breaching", "notBreaching", "missing")}
    for treatment, name in names.items():
        cloudwatch.put_metric_alarm(**alarm(namespace, name, TreatMissingData=treatment))
    states = {"breaching": "ALARM", "notBreaching": "OK", "missing": "INSUFFICIENT_DATA"}
    eventually(lambda: {it: state(cloudwatch, name) for it, name in names.items()} == states)
    cloudwatch.delete_alarms(AlarmNames=list(names.values()))


def test_alarms_are_listed_in_pages(cloudwatch, namespace):
    prefix = f"page-{uuid.uuid4().hex}"
    for number in range(5):
        cloudwatch.put_metric_alarm(**alarm(namespace, f"{prefix}-{number}"))
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix, MaxRecords=2)
    found = [[alarm["AlarmName"][-1] for alarm in page["MetricAlarms"]] for page in pages]
    assert found == [["0", "1"], ["2", "3"], ["4"]]
    cloudwatch.delete_alarms(AlarmNames=[f"{prefix}-{number}" for number in range(5)])


def test_the_aws_cli_puts_reads_and_lists(dynaberg, namespace):
    aws = [str(Path(sys.executable).with_name("aws")), "cloudwatch"]

    def cli(*arguments):
        done = subprocess.run([*aws, *arguments], env=dynaberg.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    cli("put-metric-data", "--namespace", namespace, "--metric-name", "rows", "--value", "3", "--dimensions", "table=a")
    (metric,) = cli("list-metrics", "--namespace", namespace)["Metrics"]
    assert metric["Dimensions"] == [{"Name": "table", "Value": "a"}]
    threshold = ["--threshold", "1", "--comparison-operator", "GreaterThanThreshold", "--evaluation-periods", "1"]
    name = f"cli-{uuid.uuid4().hex}"
    of = ["--namespace", namespace, "--metric-name", "rows", "--statistic", "Sum", "--period", "60"]
    cli("put-metric-alarm", "--alarm-name", name, *of, *threshold)
    (found,) = cli("describe-alarms", "--alarm-names", name)["MetricAlarms"]
    assert found["ComparisonOperator"] == "GreaterThanThreshold"
    cli("delete-alarms", "--alarm-names", name)


def test_metrics_and_alarms_survive_a_kill(tmp_path):
    running = Dynaberg(tmp_path / "data")
    running.client("cloudwatch").put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": 1}])
    running.client("cloudwatch").put_metric_alarm(**alarm("N", "a"))
    running.client("logs").create_log_group(logGroupName="g")
    running.kill()
    running = Dynaberg(tmp_path / "data")
    assert len(running.client("cloudwatch").list_metrics(Namespace="N")["Metrics"]) == 1
    assert len(running.client("cloudwatch").describe_alarms()["MetricAlarms"]) == 1
    assert len(running.client("logs").describe_log_groups()["logGroups"]) == 1
    running.stop()
