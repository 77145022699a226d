"""AWS Lambda by boto3: functions and invocations. What holds here holds on AWS, but for what is marked as emulated."""

import base64
import json
import os
import pathlib
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from dynaberg import Dynaberg, eventually
from functions import ROLE, create, invoke, package

ECHO = """
    def handler(event, context):
        return {"echo": event}
"""


@pytest.fixture(scope="module")
def functions(dynaberg):
    return dynaberg.client("lambda")


def code_of(caught):
    return caught.value.response["Error"]["Code"]


def test_a_function_lives_from_its_creation_to_its_deletion(functions):
    name = f"life-{uuid.uuid4().hex[:8]}"
    created = functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": package(ECHO)},
        Description="echoes",
        Timeout=7,
        MemorySize=256,
        Environment={"Variables": {"STAGE": "test"}},
        Tags={"team": "data"},
    )
    assert created["FunctionArn"] == f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    assert (created["Version"], created["State"], created["Timeout"]) == ("$LATEST", "Active", 7)
    functions.get_waiter("function_active_v2").wait(FunctionName=name)

    found = functions.get_function(FunctionName=created["FunctionArn"])
    assert found["Configuration"]["CodeSha256"] == created["CodeSha256"]
    assert found["Configuration"]["Environment"] == {"Variables": {"STAGE": "test"}}
    assert found["Tags"] == {"team": "data"}
    assert name in [function["FunctionName"] for page in functions.get_paginator("list_functions").paginate()
                    for function in page["Functions"]]

    with pytest.raises(functions.exceptions.ResourceConflictException):
        create(functions, ECHO, name=name)
    functions.delete_function(FunctionName=name)
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_function_configuration(FunctionName=name)
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.invoke(FunctionName=name)


def test_a_handler_gets_event_and_context_and_its_environment(functions):
    name = create(
        functions,
        """
        import os

        def handler(event, context):
            return {
                "event": event,
                "request_id": context.aws_request_id,
                "arn": context.invoked_function_arn,
                "memory": context.memory_limit_in_mb,
                "remaining": context.get_remaining_time_in_millis(),
                "client": context.client_context,
                "variables": {key: os.environ.get(key) for key in ("STAGE", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME")},
            }
        """,
        Environment={"Variables": {"STAGE": "ü 1"}},
    )
    context = base64.b64encode(json.dumps({"custom": {"a": 1}}).encode()).decode()
    answer = functions.invoke(FunctionName=name, Payload='{"x": [1, null]}', ClientContext=context)
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST" and "FunctionError" not in answer
    payload = json.loads(answer["Payload"].read())
    assert payload["event"] == {"x": [1, None]}
    assert payload["request_id"] == answer["ResponseMetadata"]["RequestId"]
    assert payload["arn"].endswith(f":function:{name}") and payload["memory"] == "128"
    assert 0 < payload["remaining"] <= 30_000
    assert payload["client"] == {"custom": {"a": 1}}
    assert payload["variables"] == {"STAGE": "ü 1", "AWS_REGION": "us-east-1", "AWS_LAMBDA_FUNCTION_NAME": name}


def test_boto3_in_a_handler_reaches_this_endpoint_as_the_function_s_role(dynaberg, functions):
    name = create(
        functions,
        """
        import boto3

        def handler(event, context):
            boto3.resource("dynamodb").Table(event["table"]).put_item(Item={"id": "from-lambda"})
            return boto3.client("sts").get_caller_identity()["Arn"]
        """,
    )
    table = f"written-{uuid.uuid4().hex[:8]}"
    dynamodb = dynaberg.client("dynamodb")
    dynamodb.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    payload, error = invoke(functions, name, {"table": table})
    assert error is None and payload == f"arn:aws:sts::000000000000:assumed-role/pipeline/{name}"
    assert dynamodb.get_item(TableName=table, Key={"id": {"S": "from-lambda"}})["Item"]


def test_an_exception_is_an_unhandled_error_with_its_trace_and_the_log_s_tail(functions):
    name = create(
        functions,
        """
        def handler(event, context):
            print("about to fail")
            raise ValueError("no such thing")
        """,
    )
    answer = functions.invoke(FunctionName=name, LogType="Tail")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    payload = json.loads(answer["Payload"].read())
    assert (payload["errorType"], payload["errorMessage"]) == ("ValueError", "no such thing")
    assert 'raise ValueError("no such thing")' in payload["stackTrace"][-1]
    log = base64.b64decode(answer["LogResult"]).decode()
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert "about to fail" in log and f"START RequestId: {request_id} Version: $LATEST" in log
    assert re.search(rf"REPORT RequestId: {request_id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms", log)


@pytest.mark.parametrize(
    ("source", "handler", "kind"),
    [
        ("import nothing_like_this", "app.handler", "Runtime.ImportModuleError"),
        ("x = 1", "app.handler", "Runtime.HandlerNotFound"),
        ("def handler(:", "app.handler", "Runtime.UserCodeSyntaxError"),
        ("x = 1", "handler", "Runtime.MalformedHandlerName"),
        ("def handler(event, context): return object()", "app.handler", "Runtime.MarshalError"),
        ("import os\ndef handler(event, context): os._exit(3)", "app.handler", "Runtime.ExitError"),
        ("import sys\ndef handler(event, context): sys.exit()", "app.handler", "Runtime.ExitError"),
        ("def handler(event, context): return 'x' * 7_000_000", "app.handler", "Function.ResponseSizeTooLarge"),
        ("def handler(event, context): return len(bytearray(1 << 30))", "app.handler", "MemoryError"),
    ],
)
def test_each_way_to_fail_has_its_name_and_the_next_call_gets_a_fresh_process(functions, source, handler, kind):
    name = create(functions, source, Handler=handler)
    for _ in range(2):
        payload, error = invoke(functions, name)
        assert (error, payload["errorType"]) == ("Unhandled", kind), payload


def test_a_hanging_function_is_ended_at_its_timeout_with_what_it_started(functions, tmp_path):
    started = tmp_path / "child"
    name = create(
        functions,
        f"""
        import subprocess, time

        def handler(event, context):
            if event == "hang":
                child = subprocess.Popen(["sleep", "1000"])
                open({str(started)!r}, "w").write(str(child.pid))
                time.sleep(1000)
            return "quick"
        """,
        Timeout=2,
    )
    payload, error = invoke(functions, name, "hang")
    assert (error, payload["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert "Task timed out after 2.00 seconds" in payload["errorMessage"]
    child = int(started.read_text())
    eventually(lambda: not is_running(child))
    assert invoke(functions, name, "hello") == ("quick", None)


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_process_is_used_again_and_a_change_of_code_or_settings_starts_another(functions):
    source = """
        import os
        calls = 0

        def handler(event, context):
            global calls
            calls += 1
            return [calls, os.environ["STAGE"]]
    """
    name = create(functions, source, Environment={"Variables": {"STAGE": "one"}})
    assert [invoke(functions, name)[0] for _ in range(3)] == [[1, "one"], [2, "one"], [3, "one"]]
    before = functions.get_function_configuration(FunctionName=name)
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {"STAGE": "two"}})
    functions.get_waiter("function_updated").wait(FunctionName=name)
    assert invoke(functions, name)[0] == [1, "two"]
    functions.update_function_code(FunctionName=name, ZipFile=package(ECHO))
    assert invoke(functions, name, 1)[0] == {"echo": 1}
    with pytest.raises(functions.exceptions.PreconditionFailedException):
        functions.update_function_configuration(FunctionName=name, Timeout=5, RevisionId=before["RevisionId"])


def test_code_comes_from_s3(dynaberg, functions):
    bucket = f"code-{uuid.uuid4().hex[:8]}"
    s3 = dynaberg.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="v1/code.zip", Body=package(ECHO))
    name = create(functions, None, Code={"S3Bucket": bucket, "S3Key": "v1/code.zip"})
    assert invoke(functions, name, "x")[0] == {"echo": "x"}
    with pytest.raises(ClientError) as caught:
        create(functions, None, Code={"S3Bucket": bucket, "S3Key": "nothing.zip"})
    assert code_of(caught) == "InvalidParameterValueException"


def test_emulated_a_function_in_a_folder_runs_as_it_was_saved_last(functions, tmp_path):
    (tmp_path / "app.py").write_text("def handler(event, context): return 'first'\n")
    name = create(functions, None, Code={"S3Bucket": "dynaberg-folder", "S3Key": str(tmp_path)})
    assert invoke(functions, name)[0] == "first"
    (tmp_path / "app.py").write_text("def handler(event, context): return 'second, edited'\n")
    assert invoke(functions, name)[0] == "second, edited"


def test_a_bootstrap_of_one_s_own_runs_as_a_provided_runtime(functions, tmp_path):
    bootstrap = tmp_path / "bootstrap"
    bootstrap.write_text(
        """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  id=$(curl -sS -D - -o "$0.event" "$api/next" | tr -d '\\r' | sed -n 's/^lambda-runtime-aws-request-id: //Ip')
  curl -sS -X POST "$api/$id/response" -d "{\\"handler\\": \\"$_HANDLER\\", \\"event\\": $(cat "$0.event")}" > /dev/null
done
"""
    )
    bootstrap.chmod(0o755)
    name = create(
        functions,
        None,
        Runtime="provided.al2023",
        Handler="anything",
        Code={"S3Bucket": "dynaberg-folder", "S3Key": str(tmp_path)},
    )
    assert invoke(functions, name, {"a": 1})[0] == {"handler": "anything", "event": {"a": 1}}


def test_concurrency_is_reserved_and_above_it_callers_are_throttled(dynaberg, functions):
    name = create(functions, "import time\ndef handler(event, context): time.sleep(event)")
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    impatient = dynaberg.client("lambda", config=Config(retries={"max_attempts": 0}))
    with pytest.raises(functions.exceptions.TooManyRequestsException) as caught:
        invoke(impatient, name, 0)
    assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"

    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    assert functions.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 2

    def attempt(_):
        try:
            return invoke(impatient, name, 3)[1]
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(attempt, range(6)))
    assert sorted(map(str, outcomes)) == ["None"] * 2 + ["TooManyRequestsException"] * 4
    functions.delete_function_concurrency(FunctionName=name)
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName=name)


def test_an_event_is_taken_later_and_a_dry_run_does_nothing(functions, tmp_path):
    name = create(
        functions,
        f"""
        import json

        def handler(event, context):
            open({str(tmp_path)!r} + "/" + context.aws_request_id, "w").write(json.dumps(event))
        """,
    )
    dry = functions.invoke(FunctionName=name, InvocationType="DryRun")
    assert dry["StatusCode"] == 204
    accepted = functions.invoke(FunctionName=name, InvocationType="Event", Payload='{"n": 1}')
    assert accepted["StatusCode"] == 202 and accepted["Payload"].read() == b""
    taken = tmp_path / accepted["ResponseMetadata"]["RequestId"]
    eventually(lambda: taken.exists() and taken.read_text())
    assert json.loads(taken.read_text()) == {"n": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_tags_are_set_and_removed(functions):
    name = create(functions, ECHO)
    arn = functions.get_function_configuration(FunctionName=name)["FunctionArn"]
    functions.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    functions.untag_resource(Resource=arn, TagKeys=["a"])
    assert functions.list_tags(Resource=arn)["Tags"] == {"b": "2"}


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"Runtime": "nodejs22.x"}, "InvalidParameterValueException"),
        ({"Role": "pipeline"}, "ValidationException"),
        ({"Timeout": 901}, "ValidationException"),
        ({"MemorySize": 40_000}, "ValidationException"),
        ({"Handler": "a b"}, "ValidationException"),
        ({"FunctionName": "a/b"}, "ValidationException"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException"),
        ({"Environment": {"Variables": {"BIG": "x" * 4096}}}, "InvalidParameterValueException"),
        ({"Code": {"ZipFile": b"not a zip"}}, "InvalidParameterValueException"),
        ({"Code": {"ImageUri": "x"}}, "InvalidParameterValueException"),
        ({"Code": {"S3Bucket": "dynaberg-folder", "S3Key": "not/absolute"}}, "InvalidParameterValueException"),
        ({"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:x:1"]}, "InvalidParameterValueException"),
        ({"Publish": True}, "InvalidParameterValueException"),
        ({"TracingConfig": {"Mode": "Active"}}, "InvalidParameterValueException"),
    ],
)
def test_what_cannot_be_is_refused_by_name(functions, settings, code):
    with pytest.raises(ClientError) as caught:
        create(functions, ECHO, **settings)
    assert code_of(caught) == code, caught.value


def test_what_is_not_served_says_so(functions):
    name = create(functions, ECHO)
    for call in (
        lambda: functions.publish_version(FunctionName=name),
        lambda: functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1"),
        lambda: functions.create_function_url_config(FunctionName=name, AuthType="NONE"),
        lambda: functions.list_layers(),
    ):
        with pytest.raises(ClientError, match="not served by this endpoint. Try: "):
            call()
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.invoke(FunctionName=name, Qualifier="live")


def test_events_that_are_too_large_or_no_json_are_refused(functions):
    name = create(functions, ECHO)
    with pytest.raises(ClientError) as caught:
        functions.invoke(FunctionName=name, Payload=b"{")
    assert code_of(caught) == "InvalidRequestContentException"
    for kind, size in (("RequestResponse", 6_291_457), ("Event", 1_048_577)):
        with pytest.raises(ClientError) as caught:
            functions.invoke(FunctionName=name, InvocationType=kind, Payload=b'"' + b"x" * (size - 2) + b'"')
        assert code_of(caught) == "RequestTooLargeException", kind


def test_functions_and_accepted_events_outlive_a_kill_and_processes_do_not(tmp_path):
    running = Dynaberg(tmp_path / "data")
    functions = running.client("lambda")
    name = create(
        functions,
        f"""
        import os, time

        def handler(event, context):
            open({str(tmp_path)!r} + "/" + event, "a").write(f"{{os.getpid()}} ")
            if event == "hang" and len(open({str(tmp_path)!r} + "/hang").read().split()) == 1:
                time.sleep(1000)
        """,
        Timeout=900,
    )
    functions.invoke(FunctionName=name, InvocationType="Event", Payload='"hang"')
    hung = int(eventually(lambda: (tmp_path / "hang").exists() and (tmp_path / "hang").read_text()))
    running.kill()
    eventually(lambda: not is_running(hung))

    again = Dynaberg(tmp_path / "data")
    try:
        # The event was accepted and not done: it is tried again.
        eventually(lambda: len((tmp_path / "hang").read_text().split()) == 2)
        assert invoke(again.client("lambda"), name, "after")[1] is None
        assert os.path.exists(tmp_path / "after")
    finally:
        again.stop()
