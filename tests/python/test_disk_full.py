"""A full disk: writes are refused, what was acknowledged stays, and all goes on by itself when there is room again."""

import pathlib
import subprocess

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from dynaberg import Dynaberg
from test_mirror import assert_equals_scan, create_table, pipeline_file

ITEMS_MAX = 10_000

# A small file system of its own, with something on it that can be deleted to make room.
SMALL_DISK = """
mount -t tmpfs -o size=48m tmpfs "$0" && head -c 20M /dev/zero > "$0/ballast" && exec "$@"
"""


def has_namespaces():
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not has_namespaces(), reason="no small file system without user namespaces")
def test_nothing_acknowledged_is_lost_when_the_disk_is_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    within = ["unshare", "-rm", "sh", "-c", SMALL_DISK, str(disk)]
    pipeline = pipeline_file(tmp_path, "small", "analytics.small", "disk")
    running = Dynaberg(disk / "data", [pipeline], within=within)
    try:
        table = create_table(running, "small", with_sort_key=True)
        running.client("s3").create_bucket(Bucket="letters")
        running.client("s3tables").create_table_bucket(name="disk")
        no_retries = running.resource("dynamodb", config=Config(retries={"max_attempts": 0})).Table("small")
        acknowledged, refusal = fill(no_retries)
        assert refusal.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert refusal.response["Error"]["Code"] == "InternalServerError"
        assert running.process.poll() is None

        for number in acknowledged:
            assert "Item" in table.get_item(Key=key(number), ConsistentRead=True), number

        # As the process itself sees the disk.
        pathlib.Path(f"/proc/{running.process.pid}/root{disk}/ballast").unlink()
        table.put_item(Item={**key(ITEMS_MAX), "note": "there is room again"})
        running.wait("60s")
        assert_equals_scan(running, table, "analytics.small", "disk", ("id", "at"))
        seen = {row["at"] for row in running.sql("SELECT at FROM analytics.small")}
        assert seen >= {*acknowledged, ITEMS_MAX}
    finally:
        running.stop()


def fill(table):
    """Puts items until one is refused."""
    acknowledged = []
    for number in range(ITEMS_MAX):
        try:
            table.put_item(Item={**key(number), "note": f"{number:05}" * 4_000})
        except ClientError as refusal:
            return acknowledged, refusal
        acknowledged.append(number)
    raise AssertionError("the disk did not fill")


def key(number):
    return {"id": f"item-{number}", "at": number}
