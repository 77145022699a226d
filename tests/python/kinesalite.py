"""kinesalite as the endpoint under test: a Kinesis of the npm registry, in memory, bound to loopback."""

import contextlib
import os
import subprocess

import boto3
from botocore.config import Config

SERVER = """
const server = require('kinesalite')({createStreamMs: 20, deleteStreamMs: 20, updateStreamMs: 20, shardLimit: 500});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


def client(service, **options):
    settings = {
        "endpoint_url": os.environ["KINESALITE_ENDPOINT"],
        "region_name": "us-east-1",
        "aws_access_key_id": "dev",
        "aws_secret_access_key": "dev",
        "config": Config(retries={"max_attempts": 2}),
    }
    return boto3.client(service, **{**settings, **options})


@contextlib.contextmanager
def serving(folder):
    """Runs it from the folder that holds its `node_modules`, and gives its endpoint."""
    server = subprocess.Popen(["node", "-e", SERVER], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()
