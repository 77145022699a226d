"""The real binary, started and stopped as a user would, and the readers that check its tables."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("DYNABERG_BIN", str(ROOT / "target/debug/dynaberg"))
REGION = "us-east-1"


class Dynaberg:
    """`dynaberg dev` on free ports; `within` is a command that runs it, as `env` would."""

    def __init__(self, data_dir, pipelines=(), options=(), ports=(0, 0), within=()):
        self.data_dir = pathlib.Path(data_dir)
        command = [*within, BINARY, "dev", *map(str, pipelines), "--data-dir", str(data_dir)]
        command += ["--port", str(ports[0]), "--console-port", str(ports[1]), "--postgres-port", "0", *options]
        self.log = open(pathlib.Path(data_dir).parent / "dynaberg.log", "ab")
        # Lambda functions run on the first python3 of the PATH: ours, which has boto3.
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment
        )
        self.endpoint = self._printed("AWS endpoint")
        self.console = self._printed("Console")
        self.postgres = self._printed("PostgreSQL")

    def _printed(self, label):
        for line in self.process.stdout:
            if found := re.match(rf"\s*{label}\s+(\S+)", line):
                return found.group(1)
        raise AssertionError(f"dynaberg dev ended without printing `{label}`: see {self.log.name}")

    @property
    def ports(self):
        return tuple(int(url.rsplit(":", 1)[1]) for url in (self.endpoint, self.console))

    @property
    def environment(self):
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "dev",
            "AWS_SECRET_ACCESS_KEY": "dev",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "DYNABERG_CONSOLE": self.console,
        }

    def client(self, service, **options):
        return boto3.client(service, **self._boto(options))

    def resource(self, service, **options):
        return boto3.resource(service, **self._boto(options))

    def _boto(self, options):
        return {
            "endpoint_url": self.endpoint,
            "region_name": REGION,
            "aws_access_key_id": "dev",
            "aws_secret_access_key": "dev",
            "config": Config(retries={"max_attempts": 2}),
            **options,
        }

    def run(self, *arguments, check=True, timeout=120):
        """Runs another verb of the binary against this one."""
        done = subprocess.run(
            [BINARY, *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout
        )
        if check and done.returncode != 0:
            raise AssertionError(f"dynaberg {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def wait(self, timeout="60s"):
        """Until everything written so far is committed."""
        self.run("wait", "--timeout", timeout, timeout=600)

    def sql(self, query):
        return json.loads(self.run("sql", query, "--output", "json").stdout)

    def status(self):
        return json.loads(self.run("status", "--output", "json").stdout)

    def kill(self):
        """SIGKILL, as a machine that loses power would stop it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


def eventually(probe, timeout=60):
    """What `probe` gives, once that is something: it looks at work in the background."""
    deadline = time.monotonic() + timeout
    while not (found := probe()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)
    return found


def scan(table):
    """Every item of a DynamoDB table (boto3 resource)."""
    page = table.scan(ConsistentRead=True)
    items = page["Items"]
    while "LastEvaluatedKey" in page:
        page = table.scan(ConsistentRead=True, ExclusiveStartKey=page["LastEvaluatedKey"])
        items += page["Items"]
    return items


def normal(value):
    """One form for a value, whether it comes from DynamoDB, PyIceberg or DuckDB."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, Decimal)):
        return Decimal(value)
    if isinstance(value, dict):
        return {key: normal(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (set, frozenset)):
        return sorted(normal(inner) for inner in value)
    if isinstance(value, (list, tuple)):
        return [normal(inner) for inner in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if type(value).__name__ == "Binary":
        return bytes(value)
    return value


def rows_of(records, key):
    """Rows by key, without nulls: an absent attribute and a null column are the same."""
    rows = {}
    for record in records:
        row = {name.lower(): normal(value) for name, value in record.items() if normal(value) is not None}
        identity = tuple(row[name] for name in key)
        assert identity not in rows, f"two rows for {identity}"
        rows[identity] = row
    return rows


def pyiceberg_catalog(dynaberg, warehouse):
    from pyiceberg.catalog import load_catalog

    return load_catalog(
        "lake",
        **{
            "type": "rest",
            "uri": f"{dynaberg.endpoint}/iceberg",
            "warehouse": warehouse,
            "rest.sigv4-enabled": "true",
            "rest.signing-name": "s3tables",
            "rest.signing-region": REGION,
            "client.access-key-id": "dev",
            "client.secret-access-key": "dev",
            "client.region": REGION,
            "s3.endpoint": dynaberg.endpoint,
            "s3.access-key-id": "dev",
            "s3.secret-access-key": "dev",
            "s3.region": REGION,
        },
    )


def read_pyiceberg(dynaberg, table, warehouse):
    return pyiceberg_catalog(dynaberg, warehouse).load_table(table).scan().to_arrow().to_pylist()


def duckdb_connection(dynaberg):
    import duckdb

    site_packages = pathlib.Path(duckdb.__file__).parents[1]
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    for extension in ("avro", "httpfs", "iceberg"):
        (path,) = (site_packages / f"duckdb_extension_{extension}").glob(f"extensions/*/{extension}.duckdb_extension")
        connection.execute(f"LOAD '{path}'")
    host = dynaberg.endpoint.removeprefix("http://")
    connection.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID 'dev', SECRET 'dev', REGION '{REGION}', ENDPOINT '{host}', "
        "URL_STYLE 'path', USE_SSL false)"
    )
    return connection


def metadata_location(dynaberg, table, warehouse):
    namespace, name = table.split(".")
    found = dynaberg.client("s3tables").get_table_metadata_location(
        tableBucketARN=warehouse, namespace=namespace, name=name
    )
    return found["metadataLocation"]


def read_duckdb(dynaberg, table, warehouse):
    location = metadata_location(dynaberg, table, warehouse)
    relation = duckdb_connection(dynaberg).sql(f"SELECT * FROM iceberg_scan('{location}')")
    return relation.to_arrow_table().to_pylist()


class Positions:
    """How far a table was seen to be: positions and epochs never go back, from commit to commit and from look to look."""

    def __init__(self):
        self.furthest, self.epoch = {}, 0
        self.newest = 0

    def check(self, dynaberg, table, warehouse):
        from pyiceberg.table import StaticTable

        properties = {"s3.endpoint": dynaberg.endpoint, "s3.access-key-id": "dev", "s3.secret-access-key": "dev"}
        location = metadata_location(dynaberg, table, warehouse)
        metadata = StaticTable.from_metadata(location, {**properties, "s3.region": REGION}).metadata
        for snapshot in sorted(metadata.snapshots, key=lambda snapshot: snapshot.sequence_number):
            if snapshot.sequence_number > self.newest:
                self.newest = snapshot.sequence_number
                self._take(snapshot.summary.additional_properties)
        assert self.furthest, "no commit has a checkpoint"

    def _take(self, summary):
        """Snapshots of other writers have neither epoch nor checkpoint."""
        epoch = int(summary.get("dynaberg.epoch", self.epoch))
        assert epoch >= self.epoch, f"epoch {epoch} after {self.epoch}"
        self.epoch = epoch
        checkpoint = summary.get("dynaberg.checkpoint", "")
        if not checkpoint.startswith("{"):
            return
        for shard, position in json.loads(checkpoint)["shards"].items():
            number = float("inf") if position == "END" else -1 if position == "" else int(position)
            assert number >= self.furthest.get(shard, -1), f"{shard} went back"
            self.furthest[shard] = number
