"""The lake looks after itself: the blog's maintenance script, real runs, the same rows; and a key index that is lost or wrong."""

import json
import pathlib
import re
import shutil
import urllib.request

import pytest

from dynaberg import Dynaberg, duckdb_connection, eventually, metadata_location, pyiceberg_catalog, rows_of
from test_mirror import WAREHOUSE, assert_equals_scan, create_table, pipeline_file

LAKE = WAREHOUSE.format("lake")
TABLE = {"tableBucketARN": LAKE, "namespace": "shop", "name": "orders"}
COMPACTION, EXPIRY, SWEEP = "icebergCompaction", "icebergSnapshotManagement", "icebergUnreferencedFileRemoval"
FAST = ["--maintenance-pause", "200ms", "--expiry-grace", "1s"]
ASLEEP = ["--maintenance-pause", "1h"]
BUCKETS, COMMITS, FILES_MIN = 20, 25, 450


@pytest.fixture
def start(tmp_path):
    """Starts `dev` with a pipeline from `orders` into `shop.orders`, as often as asked; the last one is stopped."""
    lives = []

    def start(options=FAST, partition=None, more=()):
        pipeline = pipeline_file(tmp_path, "orders", "shop.orders", "lake")
        if partition:
            pipeline.write_text(pipeline.read_text().replace("[delivery]", f'partition = ["{partition}"]\n[delivery]'))
        lives.append(Dynaberg(tmp_path / "data", [pipeline, *more], options))
        return lives[-1]

    yield start
    if lives[-1].process.poll() is None:
        lives[-1].stop()


def prepare(running):
    table = create_table(running, "orders", with_sort_key=False)
    running.client("s3").create_bucket(Bucket="letters")
    running.client("s3tables").create_table_bucket(name="lake")
    put(table, range(1))
    running.wait()
    return table


def put(table, numbers, note=""):
    with table.batch_writer() as batch:
        for number in numbers:
            batch.put_item(Item={"id": f"order-{number}", "n": number, "note": note})


def put_each(running, table, commits, items):
    """One commit after the other, each with new items, changes of a fifth of the last commit's, and a delete."""
    for number in range(commits):
        first = number * items * 4 // 5
        put(table, range(first, first + items), note=f"commit {number}")
        table.delete_item(Key={"id": f"order-{first}"})
        running.wait()


def configure(running, kind, status="enabled", **settings):
    value = {"status": status, **({"settings": {kind: settings}} if settings else {})}
    running.client("s3tables").put_table_maintenance_configuration(**TABLE, type=kind, value=value)


def job(running, kind):
    return running.client("s3tables").get_table_maintenance_job_status(**TABLE)["status"][kind]


def shown(running):
    return json.loads(running.run("tables", "show", "shop.orders", "--output", "json").stdout)


def snapshot_ids(running):
    """From the oldest to the head; the metadata lists them in no order."""
    snapshots = pyiceberg_catalog(running, LAKE).load_table("shop.orders").snapshots()
    return [snapshot.snapshot_id for snapshot in sorted(snapshots, key=lambda snapshot: snapshot.sequence_number)]


def read_all(running, ids):
    """The rows of snapshots, as PyIceberg and DuckDB see them, which have to agree."""
    table = pyiceberg_catalog(running, LAKE).load_table("shop.orders")
    duckdb, location = duckdb_connection(running), metadata_location(running, "shop.orders", LAKE)
    rows = {}
    for snapshot_id in ids:
        rows[snapshot_id] = rows_of(table.scan(snapshot_id=snapshot_id).to_arrow().to_pylist(), ("id",))
        relation = f"SELECT * FROM iceberg_scan('{location}', snapshot_from_id = {snapshot_id}::UBIGINT)"
        assert rows_of(duckdb.sql(relation).to_arrow_table().to_pylist(), ("id",)) == rows[snapshot_id]
    return rows


def test_the_blogs_maintenance_script_makes_few_files_of_many_and_changes_no_row(start):
    running = start(partition=f"bucket({BUCKETS}, id)")
    table = prepare(running)
    configure(running, COMPACTION, "disabled")
    put_each(running, table, COMMITS, 5 * BUCKETS)
    before = shown(running)
    assert before["files"] >= FILES_MIN
    ids = snapshot_ids(running)
    ids = [*ids[:: len(ids) // 5], ids[-1]]
    rows = read_all(running, ids)
    assert job(running, COMPACTION)["status"] == "Disabled"

    # As the blog prints it, with an ARN of S3 Tables.
    s3tables = running.client("s3tables")
    s3tables.put_table_maintenance_configuration(
        **TABLE,
        type="icebergCompaction",
        value={"status": "enabled", "settings": {"icebergCompaction": {"targetFileSizeMB": 512}}},
    )
    s3tables.put_table_maintenance_configuration(
        **TABLE,
        type="icebergSnapshotManagement",
        value={
            "status": "enabled",
            "settings": {"icebergSnapshotManagement": {"minSnapshotsToKeep": 2, "maxSnapshotAgeHours": 168}},
        },
    )
    after = eventually(lambda: (now := shown(running)) and now["files"] <= BUCKETS and now, timeout=240)
    eventually(lambda: job(running, COMPACTION)["status"] == "Successful", timeout=240)
    assert job(running, COMPACTION)["lastRunTimestamp"]
    assert job(running, EXPIRY)["status"] == job(running, SWEEP)["status"] == "Successful"

    assert after["rows"] == before["rows"] and after["deletes"]["rows"] == 0
    head = snapshot_ids(running)[-1]
    assert head not in ids
    assert read_all(running, [*ids, head]) == {**rows, head: rows[ids[-1]]}
    assert_equals_scan(running, table, "shop.orders", "lake", ("id",))

    metrics = urllib.request.urlopen(f"{running.console}/metrics").read().decode()
    successful = r'dynaberg_maintenance_runs_total\{table="shop.orders",job="icebergCompaction",outcome="successful"\} [1-9]'
    assert re.search(successful, metrics), metrics
    (compacted,) = re.findall(r'dynaberg_compacted_files_total\{table="shop.orders"\} (\d+)', metrics)
    assert int(compacted) >= before["files"]


def test_expired_snapshots_leave_no_file_behind_and_ingest_goes_on(start, tmp_path):
    running = start(ASLEEP)
    table = prepare(running)
    put_each(running, table, 8, 20)
    expiry = ["--max-snapshot-age", "1s", "--min-snapshots", "2", "--grace", "0s"]

    files, ids = files_on_disk(tmp_path), snapshot_ids(running)
    planned = json.loads(running.run("maintain", "shop.orders", *expiry, "--plan", "--output", "json").stdout)
    assert planned["expiring_snapshots"] > 0
    assert (files_on_disk(tmp_path), snapshot_ids(running)) == (files, ids)

    done = json.loads(running.run("maintain", "shop.orders", *expiry, "--output", "json").stdout)
    assert done["expired_snapshots"] >= 6 and done["removed"]["files"] > 0
    assert done["compaction"]["files_after"] < done["compaction"]["files_before"]
    left = files_on_disk(tmp_path)
    assert left == named_files(running) and files - left
    kept = snapshot_ids(running)
    assert 2 <= len(kept) < len(ids)
    read_all(running, kept)

    put(table, range(100, 110))
    running.wait()
    assert_equals_scan(running, table, "shop.orders", "lake", ("id",))


def files_on_disk(tmp_path):
    """The data files, delete files, manifests and lists of all tables, by name."""
    paths = (path for ending in ("parquet", "avro") for path in (tmp_path / "data/warehouse").rglob(f"*.{ending}.o"))
    return {path.name.removesuffix(".o") for path in paths}


def named_files(running):
    """Those that a snapshot names, as PyIceberg reads the manifests."""
    table = pyiceberg_catalog(running, LAKE).load_table("shop.orders")
    paths = set()
    for snapshot in table.snapshots():
        paths.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            paths.add(manifest.manifest_path)
            paths.update(entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))
    return {pathlib.PurePosixPath(path).name for path in paths}


def test_a_job_that_cannot_be_done_says_why(start):
    running = start()
    table = prepare(running)
    configure(running, COMPACTION, strategy="sort")
    failed = eventually(lambda: (now := job(running, COMPACTION))["status"] == "Failed" and now, timeout=240)
    assert "no sort order" in failed["failureMessage"]
    configure(running, COMPACTION, strategy="binpack")
    eventually(lambda: job(running, COMPACTION)["status"] == "Successful", timeout=240)
    configure(running, COMPACTION, "disabled")
    assert job(running, COMPACTION)["status"] == "Disabled"
    assert_equals_scan(running, table, "shop.orders", "lake", ("id",))


@pytest.mark.parametrize("broken", ["deleted", "of an older day", "of another table"])
def test_a_key_index_that_is_lost_or_wrong_costs_a_rebuild_and_no_row(start, tmp_path, broken):
    other = tmp_path / "other.toml"
    other.write_text(pipeline_file(tmp_path, "orders", "shop.other", "lake").read_text())
    running = start(ASLEEP, more=[other])
    table = prepare(running)
    put_each(running, table, 3, 20)
    running.stop()
    index, older = tmp_path / "data/index/orders-mirror", tmp_path / "older"
    shutil.copytree(index, older)

    running = start(ASLEEP)
    table = running.resource("dynamodb").Table("orders")
    put(table, range(15, 40), note="a later day")
    table.delete_item(Key={"id": "order-16"})
    running.wait()
    running.run("maintain", "shop.orders")
    running.stop()
    shutil.rmtree(index)
    if broken == "of an older day":
        shutil.copytree(older, index)
    if broken == "of another table":
        shutil.copytree(tmp_path / "data/index/other", index)

    told = len((tmp_path / "dynaberg.log").read_text())
    running = start(ASLEEP)
    table = running.resource("dynamodb").Table("orders")
    put(table, range(12, 50), note="the day after")
    table.delete_item(Key={"id": "order-13"})
    running.wait()
    assert_equals_scan(running, table, "shop.orders", "lake", ("id",))
    said = (tmp_path / "dynaberg.log").read_text()[told:]
    assert "rebuilding the key index" in said and "rebuilt the key index" in said


def test_rows_that_compaction_moved_are_found_by_the_next_change_of_their_item(start, tmp_path):
    running = start(ASLEEP)
    table = prepare(running)
    put_each(running, table, 5, 20)
    done = json.loads(running.run("maintain", "shop.orders", "--output", "json").stdout)
    assert done["compaction"]["files_before"] > done["compaction"]["files_after"] >= 1
    put(table, range(10, 20), note="after the compaction")
    table.delete_item(Key={"id": "order-21"})
    running.wait()
    assert_equals_scan(running, table, "shop.orders", "lake", ("id",))
    assert "rebased the key index after a compaction" in (tmp_path / "dynaberg.log").read_text()


def test_a_rollback_behind_the_checkpoint_is_a_question_and_no_guess(start):
    running = start(ASLEEP)
    table = prepare(running)
    put_each(running, table, 3, 20)
    iceberg = pyiceberg_catalog(running, LAKE).load_table("shop.orders")
    *_, before, _ = snapshot_ids(running)
    iceberg.manage_snapshots().set_current_snapshot(snapshot_id=before).commit()

    put(table, range(200, 210))
    def question():
        asked = running.status()["pipelines"][0]["not_ready"] or ""
        return "rolled back" in asked and asked

    asked = eventually(question, timeout=240)
    assert "Try: make" in asked and "remove the table property dynaberg.checkpoint" in asked
    (pipeline,) = running.status()["pipelines"]
    assert pipeline["state"] == "waiting" and not pipeline["ready"]
    iceberg.refresh()
    assert iceberg.current_snapshot().snapshot_id == before

    # A person accepts it: the source is read again from where the head is.
    iceberg = pyiceberg_catalog(running, LAKE).load_table("shop.orders")
    iceberg.transaction().remove_properties("dynaberg.checkpoint").commit_transaction()
    running.wait()
    assert_equals_scan(running, table, "shop.orders", "lake", ("id",))
