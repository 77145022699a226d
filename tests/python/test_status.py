"""`dynaberg status` and `dynaberg wait`, of delivery streams: pipelines are in the tests of everything else."""

import pytest

from dynaberg import Dynaberg, eventually
from firehoses import iceberg, put, s3, warehouse


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    running = Dynaberg(tmp_path_factory.mktemp("status") / "data")
    running.client("s3").create_bucket(Bucket="failed")
    warehouse(running, "lake", {"orders": {"id": "string", "total": "long"}})
    yield running
    running.stop()


def stream(dev, name, table, **settings):
    client = dev.client("firehose")
    client.create_delivery_stream(
        DeliveryStreamName=name, IcebergDestinationConfiguration=iceberg("lake", (table, {}), **settings)
    )
    return client


def told(dev, name):
    (found,) = [it for it in dev.status()["delivery_streams"] if it["name"] == name]
    return found


def test_a_delivery_stream_is_listed_with_what_became_of_its_records(dev):
    client = stream(dev, "good", "orders")
    assert told(dev, "good")["state"] == "idle"
    put(client, "good", [{"id": "a", "total": 1}, {"id": "b", "total": 2}, {"total": 3}])
    dev.run("wait", "--delivery-stream", "good")
    found = told(dev, "good")
    counts = [found[name] for name in ("received", "delivered", "dropped", "failed", "buffered")]
    assert counts == [3, 2, 0, 1, 0] and found["state"] == "idle" and found["oldest_seconds"] is None
    assert dev.sql('SELECT count(*) AS n FROM "s3tablescatalog/lake".analytics.orders') == [{"n": 2}]
    shown = dev.run("status", "--output", "table").stdout
    assert "delivery stream" in shown and "good" in shown and "no pipelines" not in shown
    # Whoever is told that all is delivered finds the error object, too.
    assert dev.client("s3").list_objects_v2(Bucket="failed", Prefix="errors/")["KeyCount"] == 1
    client.delete_delivery_stream(DeliveryStreamName="good")


def test_waiting_for_a_delivery_stream_that_cannot_deliver_ends_with_its_name(dev):
    client = stream(dev, "bad", "never_made")
    put(client, "bad", [{"id": "a", "total": 1}])
    done = dev.run("wait", "--delivery-stream", "bad", "--timeout", "500ms", check=False)
    assert done.returncode == 1 and "bad" in done.stderr and "Try: dynaberg status" in done.stderr
    found = eventually(lambda: told(dev, "bad")["state"] == "hindered" and told(dev, "bad"))
    assert "never_made" in found["problem"] and found["buffered"] == 1 and found["oldest_seconds"] > 0
    assert found["problem"] in dev.run("status", "--output", "table").stdout
    client.delete_delivery_stream(DeliveryStreamName="bad")


def test_a_delivery_stream_to_objects_is_waited_for_too(dev):
    client = dev.client("firehose")
    dev.client("s3").create_bucket(Bucket="raw")
    client.create_delivery_stream(DeliveryStreamName="plain", S3DestinationConfiguration=s3("raw"))
    put(client, "plain", [b"ab", b"c"])
    dev.run("wait", "--delivery-stream", "plain")
    assert told(dev, "plain")["destination"] == "s3" and told(dev, "plain")["delivered"] == 2
    assert dev.client("s3").list_objects_v2(Bucket="raw")["KeyCount"] >= 1
    client.delete_delivery_stream(DeliveryStreamName="plain")


def test_a_delivery_stream_that_is_not_there_is_said(dev):
    done = dev.run("wait", "--delivery-stream", "nobody", check=False)
    assert done.returncode == 1 and "there is no delivery stream nobody" in done.stderr
