import os
import pathlib
import subprocess
import sys

import pytest

import kinesalite


@pytest.mark.skipif("KINESALITE_DIR" not in os.environ, reason="kinesalite is not on this machine")
def test_the_kinesis_tests_pass_against_kinesalite_too():
    tests = pathlib.Path(__file__).with_name("test_kinesis.py")
    with kinesalite.serving(os.environ["KINESALITE_DIR"]) as endpoint:
        environment = {**os.environ, "KINESALITE_ENDPOINT": endpoint}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
