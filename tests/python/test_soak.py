"""Everything at once, for a while: writes, compaction, expiry, sweep, SQL, a foreign writer in the same table, and SIGKILL.

DYNABERG_SOAK_SECONDS says how long (45 unless given), DYNABERG_SOAK_KILL_SECONDS how long a life lasts on average (6),
DYNABERG_SEED the seed. `pytest -s` prints what happened.
"""

import collections
import os
import random
import re
import threading
import time
import traceback
from decimal import Decimal

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import EqualTo, StartsWith

from dynaberg import Dynaberg, Positions, duckdb_connection, metadata_location, pyiceberg_catalog, read_duckdb
from dynaberg import read_pyiceberg, rows_of, scan
from test_kill import stream_records
from test_mirror import WAREHOUSE, create_table, pipeline_file

SECONDS = float(os.environ.get("DYNABERG_SOAK_SECONDS", "45"))
KILL_SECONDS = float(os.environ.get("DYNABERG_SOAK_KILL_SECONDS", "6"))
SEED = int(os.environ.get("DYNABERG_SEED", "7"))

LAKE = WAREHOUSE.format("lake")
MIRROR, CHANGES = "audit.mirror", "audit.changes"
KEY = ("id", "at")
OPTIONS = ["--shard-rotation", "3s", "--maintenance-pause", "1s", "--expiry-grace", "10s"]
# What a query that is under way needs is kept for longer than any query takes here.
EXPIRY = ["--max-snapshot-age", "5s", "--min-snapshots", "3", "--grace", "10s"]
FOREIGN = "foreign-"
ITEMS = 400
# At the end, as each takes a while.
SNAPSHOTS_READ = 12
# Commits of a foreign writer while the source is quiet. With a commit every second it hardly ever wins.
FOREIGN_TRIES = 8


class Lives:
    """The one process, again and again, and what those who talk to it found while it was up."""

    def __init__(self, start):
        self.start = start
        self.running = start((0, 0))
        self.up = threading.Event()
        self.up.set()
        self.number = 0
        self.over = threading.Event()
        self.may_write = threading.Event()
        self.may_write.set()
        self.counts = collections.Counter()
        self.failures = []

    def kill(self):
        self.up.clear()
        self.number += 1
        self.running.kill()
        self.running = self.start(self.running.ports)
        self.up.set()

    def attempt(self, what, action):
        """Runs an action against the process. It may fail where the process was killed meanwhile, and only there."""
        self.up.wait()
        number = self.number
        try:
            result = action(self.running)
            self.counts[what] += 1
            return result
        except Exception:
            if self.number == number:
                self.failures.append(f"{what}, life {number}: {traceback.format_exc()}")
            else:
                self.counts[f"{what}, interrupted"] += 1
            return None

    def repeat(self, turn):
        """A thread that takes its turn until all is over."""

        def turns():
            try:
                while not self.over.is_set() and not self.failures:
                    turn()
            except Exception:
                self.failures.append(traceback.format_exc())

        thread = threading.Thread(target=turns, daemon=True)
        thread.start()
        return thread


class Ingest:
    """Writes to DynamoDB, each batch repeated until it is acknowledged. Versions of an item only grow."""

    def __init__(self, lives):
        self.lives = lives
        self.random = random.Random(SEED)
        self.version = 0
        self.client_of = None

    def turn(self):
        self.lives.may_write.wait()
        requests = [self._request(number) for number in self.random.sample(range(ITEMS), 25)]
        while not self.lives.over.is_set() and not self.lives.failures:
            if self.lives.attempt("batch of writes", lambda running: self._write(running, requests)):
                return

    def _request(self, number):
        self.version += 1
        key = {"id": {"S": f"item-{number}"}, "at": {"N": str(number)}}
        if self.random.random() < 0.2:
            return {"DeleteRequest": {"Key": key}}
        values = {"version": {"N": str(self.version)}, "amount": {"N": f"{self.random.randrange(10**8) / 100:.2f}"}}
        return {"PutRequest": {"Item": {**key, **values, "note": {"S": "x" * self.random.randrange(200)}}}}

    def _write(self, running, requests):
        if self.client_of is not running:
            self.client, self.client_of = running.client("dynamodb"), running
        answer = self.client.batch_write_item(RequestItems={"soaked": requests})
        assert not answer.get("UnprocessedItems")
        return True


class Foreigner:
    """PyIceberg, which appends, overwrites and deletes rows of its own in the mirror."""

    def __init__(self, lives):
        self.lives = lives
        self.random = random.Random(SEED + 1)
        self.rows = {}
        self.version = 0

    def turn(self):
        self.lives.over.wait(1)
        after = self.rows.copy()
        self.version += 1
        key = f"{FOREIGN}{self.random.randrange(12)}"
        row = {"id": key, "at": Decimal(0), "version": Decimal(self.version), "note": "not from a stream"}
        if key not in self.rows:
            after[key] = row
            what, action = "foreign append", lambda table: table.append(arrow(table, row))
        elif self.random.random() < 0.5:
            after[key] = row
            what = "foreign overwrite"
            action = lambda table: table.overwrite(arrow(table, row), overwrite_filter=EqualTo("id", key))  # noqa: E731
        else:
            del after[key]
            what, action = "foreign delete", lambda table: table.delete(EqualTo("id", key))
        if self._try(what, action) == "landed":
            self.rows = after
            return
        # It may have landed all the same, wholly or not at all.
        found = None
        while found is None and not self.lives.failures:
            found = self.lives.attempt("foreign look", self.look)
        if found is not None and found != self.rows:
            assert found == after, (what, found, self.rows, after)
            self.rows = after

    def _try(self, what, action):
        """Every other time the source is quiet meanwhile, so that there is a race to win."""
        is_quiet = self.random.random() < 0.5
        if is_quiet:
            self.lives.may_write.clear()
        try:
            for _ in range(FOREIGN_TRIES if is_quiet else 1):
                outcome = self.lives.attempt(what, lambda running: self._commit(running, action, what))
                if outcome != "refused":
                    break
            return outcome
        finally:
            self.lives.may_write.set()

    def _commit(self, running, action, what):
        table = pyiceberg_catalog(running, LAKE).load_table(MIRROR)
        try:
            action(table)
            self.lives.counts[f"{what}, landed"] += 1
            return "landed"
        except (CommitFailedException, ValidationException):
            self.lives.counts[f"{what}, lost a race"] += 1
            return "refused"

    @staticmethod
    def look(running):
        table = pyiceberg_catalog(running, LAKE).load_table(MIRROR)
        rows = rows_of(table.scan(row_filter=StartsWith("id", FOREIGN)).to_arrow().to_pylist(), ("id",))
        return {key: row for (key,), row in rows.items()}


def arrow(table, row):
    return pa.Table.from_pylist([row], schema=table.schema().as_arrow())


class Readers:
    """What every reader may rely on, at every moment."""

    def __init__(self, lives):
        self.lives = lives
        self.seen = {}
        self.history = {}
        self.positions = {target: Positions() for target in (MIRROR, CHANGES)}

    def sql(self):
        for query in (
            f"SELECT id, at, count(*) AS n FROM {MIRROR} GROUP BY id, at HAVING count(*) > 1",
            f"SELECT _position, count(*) AS n FROM {CHANGES} GROUP BY _position HAVING count(*) > 1",
        ):
            doubles = self.lives.attempt("sql", lambda running: running.sql(query))
            assert not doubles, doubles

    def duckdb(self):
        def doubles(running):
            location = metadata_location(running, MIRROR, LAKE)
            relation = f"SELECT id FROM iceberg_scan('{location}') GROUP BY id, \"at\" HAVING count(*) > 1"
            return duckdb_connection(running).sql(relation).fetchall()

        found = self.lives.attempt("duckdb", doubles)
        assert not found, found

    def pyiceberg(self):
        def read(running):
            table = pyiceberg_catalog(running, LAKE).load_table(MIRROR)
            return table.current_snapshot().snapshot_id, table.scan().to_arrow().to_pylist()

        found = self.lives.attempt("pyiceberg", read)
        if found is not None:
            snapshot_id, rows = found
            self.history[snapshot_id] = rows_of(rows, KEY)
            self.versions_grow(self.history[snapshot_id])
        for target, positions in self.positions.items():
            self.lives.attempt("positions", lambda running: positions.check(running, target, LAKE))

    def versions_grow(self, rows):
        """Of no key an older version is seen than before, with or without a delete in between."""
        for identity, row in rows.items():
            assert row["version"] >= self.seen.get(identity, 0), (identity, row, self.seen[identity])
            self.seen[identity] = row["version"]


def maintain(lives):
    """Expiry and a sweep from outside, beside the rounds of the process itself, which compact."""
    for target in (MIRROR, CHANGES):
        if lives.over.is_set():
            return

        def run(running):
            done = running.run("maintain", target, *EXPIRY, "--output", "json", check=False)
            if "which others keep changing" in done.stderr:
                lives.counts["maintain, lost a race"] += 1
                return
            assert done.returncode == 0, done.stderr
            for name, pattern in {"snapshots expired": "expired_snapshots", "files removed": '"files"'}.items():
                lives.counts[name] += int(re.search(rf'{pattern}"?: (\d+)', done.stdout[done.stdout.index("expired_") - 1 :])[1])

        lives.attempt("maintain", run)


def test_invariants_hold_while_everything_happens_at_once(tmp_path):
    pipelines = [
        pipeline_file(tmp_path, "soaked", MIRROR, "lake"),
        pipeline_file(tmp_path, "soaked", CHANGES, "lake", mode="changelog"),
    ]
    lives = Lives(lambda ports: Dynaberg(tmp_path / "data", pipelines, OPTIONS, ports))
    table = create_table(lives.running, "soaked", with_sort_key=True)
    table.put_item(Item={"id": "first", "at": 1, "version": 0, "amount": Decimal("1.25"), "note": "decides the types"})
    lives.running.client("s3").create_bucket(Bucket="letters")
    lives.running.client("s3tables").create_table_bucket(name="lake")
    lives.running.wait()

    foreigner, readers = Foreigner(lives), Readers(lives)
    turns = [Ingest(lives).turn, foreigner.turn, readers.sql, readers.duckdb, readers.pyiceberg]
    threads = [lives.repeat(turn) for turn in [*turns, lambda: maintain(lives)]]
    rng, end = random.Random(SEED), time.monotonic() + SECONDS
    while time.monotonic() < end and not lives.failures:
        lives.over.wait(min(KILL_SECONDS * rng.uniform(0.3, 1.7), max(0, end - time.monotonic())))
        lives.kill()
    lives.over.set()
    for thread in threads:
        thread.join()
    try:
        tell(lives, tmp_path)
        assert not lives.failures, "\n".join(lives.failures)
        if SECONDS >= 300:
            for what in ("append", "overwrite", "delete"):
                assert lives.counts[f"foreign {what}, landed"], f"no foreign {what} landed"
        lives.running.wait("120s")
        check_end(lives.running, foreigner, readers)
    finally:
        lives.running.stop()


def tell(lives, tmp_path):
    log = (tmp_path / "dynaberg.log").read_text()
    for text in ("rebuilding the key index", "rebased the key index", "compacted", "expired snapshots", '"WARN"', '"ERROR"'):
        lives.counts[f"log: {text}"] = log.count(text)
    print(f"\n{lives.number} kills in {SECONDS:.0f} s")
    for what, count in sorted(lives.counts.items()):
        print(f"{count:8} {what}")


def check_end(running, foreigner, readers):
    source = running.resource("dynamodb").Table("soaked")
    expected = rows_of(scan(source), KEY)
    expected |= rows_of(foreigner.rows.values(), KEY)
    assert rows_of(read_pyiceberg(running, MIRROR, LAKE), KEY) == expected
    assert rows_of(read_duckdb(running, MIRROR, LAKE), KEY) == expected
    assert running.sql(f"SELECT count(*) AS n FROM {MIRROR}") == [{"n": len(expected)}]

    changes = read_pyiceberg(running, CHANGES, LAKE)
    positions = {row["_position"]: row["_op"] for row in changes}
    assert len(positions) == len(changes), "a stream record is in the changelog twice"
    assert positions == stream_records(running, source)

    catalog = pyiceberg_catalog(running, LAKE)
    for target in (MIRROR, CHANGES):
        readers.positions[target].check(running, target, LAKE)
        files_are_all_there(catalog.load_table(target))
    table = catalog.load_table(MIRROR)
    newest = sorted(table.snapshots(), key=lambda snapshot: -snapshot.sequence_number)
    for snapshot in newest[:SNAPSHOTS_READ]:
        rows = rows_of(table.scan(snapshot_id=snapshot.snapshot_id).to_arrow().to_pylist(), KEY)
        assert rows == readers.history.get(snapshot.snapshot_id, rows), "a snapshot is not what it was"


def files_are_all_there(table):
    """Every file of a snapshot that is kept exists, as long as its manifest says."""
    sizes = {}
    for snapshot in table.snapshots():
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in sizes:
                sizes[manifest.manifest_path] = manifest.manifest_length
                for entry in manifest.fetch_manifest_entry(table.io):
                    sizes[entry.data_file.file_path] = entry.data_file.file_size_in_bytes
    for path, size in sizes.items():
        assert len(table.io.new_input(path)) == size, path
