"""A full disk: puts are refused so that SDKs try again, and what was acknowledged is delivered once there is room."""

import pathlib

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from dynaberg import Dynaberg, read_pyiceberg
from firehoses import iceberg, settled, warehouse
from test_disk_full import SMALL_DISK, has_namespaces
from test_firehose_iceberg import COLUMNS

PUTS_MAX = 1_000


@pytest.mark.skipif(not has_namespaces(), reason="no small file system without user namespaces")
def test_nothing_acknowledged_is_lost_when_the_disk_is_full(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    running = Dynaberg(disk / "data", within=["unshare", "-rm", "sh", "-c", SMALL_DISK, str(disk)])
    try:
        arn = warehouse(running, "small", {"kept": COLUMNS})
        running.client("s3").create_bucket(Bucket="failed")
        # Nothing is delivered, and so no room is made, before the buffer is full.
        hints = {"SizeInMBs": 128, "IntervalInSeconds": 20}
        running.client("firehose").create_delivery_stream(
            DeliveryStreamName="small",
            IcebergDestinationConfiguration=iceberg("small", ("kept", {}), BufferingHints=hints),
        )
        acknowledged, refusal = fill(running.client("firehose", config=Config(retries={"max_attempts": 0})))
        if isinstance(refusal, ClientError):
            assert refusal.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert refusal.response["Error"]["Code"] == "ServiceUnavailableException"
        else:
            assert {entry["ErrorCode"] for entry in refusal} == {"ServiceUnavailableException"}
        assert running.process.poll() is None
        assert acknowledged

        # As the process itself sees the disk.
        pathlib.Path(f"/proc/{running.process.pid}/root{disk}/ballast").unlink()
        settled(running, "small", len(acknowledged))
        rows = read_pyiceberg(running, "analytics.kept", arn)
        assert sorted(row["n"] for row in rows) == acknowledged
    finally:
        running.stop()


def fill(client):
    """Puts two records at a time until they are refused; gives the numbers of those that were not."""
    acknowledged = []
    for first in range(0, PUTS_MAX, 2):
        records = [f'{{"id":"{number}","n":{number},"note":"{"x" * 200_000}"}}' for number in (first, first + 1)]
        try:
            answer = client.put_record_batch(
                DeliveryStreamName="small", Records=[{"Data": record.encode()} for record in records]
            )
        except ClientError as refusal:
            return acknowledged, refusal
        if answer["FailedPutCount"]:
            assert answer["FailedPutCount"] == 2
            return acknowledged, answer["RequestResponses"]
        acknowledged += [first, first + 1]
    raise AssertionError("the disk did not fill")
