"""AWS's DynamoDB Local as the endpoint under test.

It binds the wildcard address, so it and its clients run in a network namespace of their own: this file, run as a
program inside one, starts it and then pytest.
"""

import os
import pathlib
import socket
import subprocess
import sys

import boto3
from botocore.config import Config

PORT = 8000


def client(service, **options):
    settings = {
        "endpoint_url": os.environ["DYNAMODB_LOCAL_ENDPOINT"],
        "region_name": "us-east-1",
        "aws_access_key_id": "dev",
        "aws_secret_access_key": "dev",
        "config": Config(retries={"max_attempts": 2}),
    }
    return boto3.client(service, **{**settings, **options})


def start(folder):
    java = ["java", "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar"]
    server = subprocess.Popen(
        [*java, "-inMemory", "-sharedDb", "-port", str(PORT), "-disableTelemetry"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
            return server
        except ConnectionRefusedError:
            continue
    raise SystemExit("DynamoDB Local did not start")


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = start(os.environ["DYNAMODB_LOCAL_DIR"])
    environment = {**os.environ, "DYNAMODB_LOCAL_ENDPOINT": f"http://127.0.0.1:{PORT}"}
    tests = pathlib.Path(__file__).parent / "test_dynamodb_streams.py"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)], env=environment
        )
    finally:
        server.kill()
        server.wait()
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
