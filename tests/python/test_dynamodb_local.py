import os
import pathlib
import subprocess
import sys

import pytest


@pytest.mark.skipif("DYNAMODB_LOCAL_DIR" not in os.environ, reason="DynamoDB Local is not on this machine")
def test_the_streams_tests_pass_against_dynamodb_local_too():
    program = pathlib.Path(__file__).with_name("dynamodb_local.py")
    done = subprocess.run(["unshare", "-rn", sys.executable, str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
