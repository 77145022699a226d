"""Runs a Lambda handler: takes events from the Runtime API and gives back what the handler returns.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback
from decimal import Decimal

API = "/2018-06-01/runtime"


class Context:
    """What a handler gets as its second argument."""

    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        client_context = headers.get("Lambda-Runtime-Client-Context")
        self.client_context = json.loads(client_context) if client_context else None
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


class RuntimeApi:
    def __init__(self):
        self.connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

    def next_event(self):
        return self._request("GET", "invocation/next", None, {})

    def respond(self, request_id, body):
        self._request("POST", f"invocation/{request_id}/response", body, {"Content-Type": "application/json"})

    def fail(self, path, error):
        headers = {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": error["errorType"]}
        self._request("POST", path, json.dumps(error).encode(), headers)

    def _request(self, method, path, body, headers):
        self.connection.request(method, f"{API}/{path}", body, headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status >= 300 and response.status != 413:
            raise SystemExit(f"the Runtime API answered {response.status} to {path}")
        return response.headers, content


class RequestIdFormatter(logging.Formatter):
    """A log line as Lambda's own runtime writes it: level, time, request id, message, between tabs."""

    converter = time.gmtime
    request_id = ""

    def format(self, record):
        record.aws_request_id = self.request_id
        return super().format(record)


class HandlerError(Exception):
    """The handler cannot be had. `kind` is what Lambda calls that."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def load_handler(name):
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        raise HandlerError("Runtime.MalformedHandlerName", f"Bad handler '{name}': not enough values to unpack")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise HandlerError("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error}"
        raise HandlerError("Runtime.UserCodeSyntaxError", message) from error
    if not hasattr(module, function_name):
        message = f"Handler '{function_name}' missing on module '{module_name}'"
        raise HandlerError("Runtime.HandlerNotFound", message)
    return getattr(module, function_name)


def to_json(value):
    """What `json` has no form for. Decimals are numbers, as boto3 gives them for those of DynamoDB."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def described(error, request_id):
    """An error as the caller of the function sees it. It is logged, too."""
    kind = error.kind if isinstance(error, HandlerError) else type(error).__name__
    frames = [] if isinstance(error, HandlerError) else traceback.extract_tb(error.__traceback__)
    stack = traceback.format_list([frame for frame in frames if frame.filename != __file__])
    told = {"errorMessage": str(error), "errorType": kind, "requestId": request_id, "stackTrace": stack}
    lines = ["Traceback (most recent call last):\n", *stack] if stack else []
    print(f"[ERROR] {kind}: {error}\n{''.join(lines)}", flush=True)
    return told


def run():
    root = os.environ["LAMBDA_TASK_ROOT"]
    sys.path[0] = root
    formatter = RequestIdFormatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s")
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = None
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(formatter)
    logging.getLogger().addHandler(output)

    api = RuntimeApi()
    try:
        handler = load_handler(os.environ["_HANDLER"])
    except Exception as error:
        api.fail("init/error", described(error, ""))
        raise SystemExit(1) from None
    while True:
        headers, event = api.next_event()
        context = Context(headers)
        request_id = formatter.request_id = context.aws_request_id
        os.environ["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
        try:
            result = handler(json.loads(event), context)
        except Exception as error:
            answer, failure = None, described(error, request_id)
        else:
            try:
                answer, failure = json.dumps(result, default=to_json).encode(), None
            except Exception as error:
                message = f"Unable to marshal response: {error}"
                answer, failure = None, described(HandlerError("Runtime.MarshalError", message), request_id)
        sys.stdout.flush()
        sys.stderr.flush()
        if failure:
            api.fail(f"invocation/{request_id}/error", failure)
        else:
            api.respond(request_id, answer)


run()
