"""DELETE, UPDATE and MERGE: by Athena's SQL, read back by everybody, under grants, and beside pipelines."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

import lakehouse
from dynaberg import Dynaberg, pyiceberg_catalog, read_duckdb
from test_lake_formation import Person
from test_mirror import create_table, pipeline_file
from test_sql_writes import Sql

BUCKET = "changelake"
ARN = f"arn:aws:s3tables:us-east-1:000000000000:bucket/{BUCKET}"
CATALOG = f"000000000000:s3tablescatalog/{BUCKET}"
OPTIONS = {
    "ResultConfiguration": {"OutputLocation": "s3://change-results/"},
    "QueryExecutionContext": {"Catalog": f"s3tablescatalog/{BUCKET}", "Database": "analytics"},
}


class Changes(Sql):
    options = OPTIONS


@pytest.fixture(scope="module")
def lake(dynaberg):
    lakehouse.transactions(dynaberg, BUCKET)
    dynaberg.client("s3").create_bucket(Bucket="change-results")
    return pyiceberg_catalog(dynaberg, ARN)


@pytest.fixture
def athena(dynaberg, lake):
    return Changes(dynaberg.client("athena"))


@pytest.fixture
def check(dynaberg, lake):
    """Tells whether everybody reads the same rows."""

    def check(table, rows):
        for read in (
            lake.load_table(f"analytics.{table}").scan().to_arrow().to_pylist(),
            read_duckdb(dynaberg, f"analytics.{table}", ARN),
        ):
            assert sorted((tuple(row.values()) for row in read), key=repr) == sorted(rows, key=repr)

    return check


def operations(lake, table):
    """What statements did, without the compactions that the service may have made meanwhile."""
    snapshots = lake.load_table(f"analytics.{table}").snapshots()
    done = [snapshot.summary.operation.value for snapshot in snapshots]
    return sorted(operation for operation in done if operation != "replace")


def test_rows_are_deleted(athena, lake, check):
    athena.run("CREATE TABLE gone (id bigint, name string)")
    athena.run("INSERT INTO gone VALUES (1, 'a'), (2, 'b'), (3, NULL), (4, 'd')")
    athena.run("INSERT INTO gone VALUES (5, 'e')")
    assert athena.count("DELETE FROM gone WHERE id = 2 OR name = 'e'") == 2
    check("gone", [(1, "a"), (3, None), (4, "d")])
    # NULL is no reason.
    assert athena.count("DELETE FROM gone WHERE name <> 'a'") == 1
    check("gone", [(1, "a"), (3, None)])
    assert athena.count("DELETE FROM gone WHERE false") == 0
    assert athena.count("DELETE FROM analytics.gone g WHERE g.id IN (SELECT max(id) FROM gone)") == 1
    check("gone", [(1, "a")])
    execution = athena.run("DELETE FROM gone")
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "DELETE")
    check("gone", [])
    assert operations(lake, "gone") == ["append", "append", "delete", "delete", "delete", "delete"]


def test_rows_are_updated_in_one_snapshot(athena, lake, check):
    athena.run("CREATE TABLE prices (id bigint, name string, price decimal(12,2), n int) PARTITIONED BY (name)")
    athena.run("INSERT INTO prices VALUES (1, 'a', 1.5, 1), (2, 'b', 2, 2), (3, 'b', NULL, 3)")
    assert athena.count("UPDATE prices SET price = price * 2, N = n + 10 WHERE name = 'b'") == 2
    check("prices", [(1, "a", 1.5, 1), (2, "b", 4, 12), (3, "b", None, 13)])
    # A row may go into another partition.
    assert athena.count("UPDATE prices AS p SET name = 'c', p.price = (SELECT max(price) FROM prices) WHERE id = 3") == 1
    check("prices", [(1, "a", 1.5, 1), (2, "b", 4, 12), (3, "c", 4, 13)])
    assert athena.count("UPDATE prices SET price = NULL") == 3
    check("prices", [(1, "a", None, 1), (2, "b", None, 12), (3, "c", None, 13)])
    assert operations(lake, "prices") == ["append", "overwrite", "overwrite", "overwrite"]


def test_a_merge_updates_deletes_and_inserts(athena, lake, check):
    athena.run("CREATE TABLE stock (id bigint, name string, n int)")
    athena.run("INSERT INTO stock VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30), (4, 'd', 40)")
    changes = "(VALUES (1, 'x', 5), (2, 'y', 0), (3, 'z', -1), (9, 'new', 7), (8, 'none', 0)) AS s (id, name, n)"
    count = athena.count(f"""MERGE INTO stock AS t USING {changes} ON t.id = s.id
        WHEN MATCHED AND s.n = 0 THEN DELETE
        WHEN MATCHED AND s.n > 0 THEN UPDATE SET n = t.n + s.n, name = s.name
        WHEN NOT MATCHED AND s.n > 0 THEN INSERT (id, n) VALUES (s.id, s.n)""")
    assert count == 3
    check("stock", [(1, "x", 15), (3, "c", 30), (4, "d", 40), (9, None, 7)])
    assert operations(lake, "stock") == ["append", "overwrite"]
    athena.run("CREATE TABLE arrivals AS SELECT * FROM (VALUES (4, 'w', 1), (5, 'v', 2)) AS a (id, name, n)")
    merge = """MERGE INTO stock USING arrivals ON stock.id = arrivals.id
        WHEN MATCHED THEN UPDATE SET n = arrivals.n WHEN NOT MATCHED THEN INSERT VALUES (arrivals.id, arrivals.name, 3)"""
    athena.run("CREATE TABLE counts (id bigint, name string, n bigint)")
    assert athena.count(merge.replace("stock", "counts")) == 2
    assert "column n is of type integer" in athena.reason(merge.replace("n = arrivals.n", "n = 'one'"))
    assert athena.count(merge) == 2
    check("stock", [(1, "x", 15), (3, "c", 30), (4, "d", 1), (9, None, 7), (5, "v", 3)])
    # Only new ones, and only old ones.
    new = "MERGE INTO stock t USING arrivals a ON t.id = a.id WHEN NOT MATCHED THEN INSERT VALUES (a.id, a.name, 0)"
    assert athena.count(new) == 0
    assert athena.count("MERGE INTO stock t USING arrivals a ON t.id = a.id WHEN MATCHED THEN DELETE") == 2
    assert athena.count(new) == 2


def test_a_row_that_two_rows_would_change_is_an_error(athena, check):
    athena.run("CREATE TABLE twice (id bigint, n int)")
    athena.run("INSERT INTO twice VALUES (1, 1)")
    merge = """MERGE INTO twice t USING (VALUES (1, 2), (1, 3)) AS s (id, n) ON t.id = s.id
        WHEN MATCHED AND s.n < {} THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.n)"""
    reason = athena.reason(merge.format(9))
    assert "One MERGE target table row matched more than one source row" in reason
    check("twice", [(1, 1)])
    # One of them does not apply.
    assert athena.count(merge.format(3)) == 1
    check("twice", [(1, 2)])


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM missing WHERE id = 1", "missing"),
        ("DELETE FROM fixed WHERE nothing = 1", "nothing"),
        ("DELETE FROM fixed WHERE id", "non-boolean"),
        ("UPDATE fixed SET nothing = 1", "no column nothing"),
        ("UPDATE fixed SET id = 1, id = 2", "assigned twice"),
        ("UPDATE fixed SET id = 'x'", "column id is of type bigint"),
        ("UPDATE fixed SET small = 3000000000", "3000000000"),
        ("UPDATE fixed SET place.city = 'x'", "parts of a column"),
        ("UPDATE fixed SET id = 1 FROM fixed f", "SET and WHERE only"),
        ("MERGE INTO fixed t USING fixed s ON t.id = s.id WHEN NOT MATCHED THEN DELETE", "NOT MATCHED"),
        ("MERGE INTO fixed t USING fixed s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (1, 2)", "1 columns"),
        ("DELETE FROM AwsDataCatalog.default.t", "t"),
        ("TRUNCATE TABLE fixed", "TRUNCATE"),
    ],
)
def test_what_cannot_be_changed_says_why(athena, statement, words):
    athena.run("CREATE TABLE IF NOT EXISTS fixed (id bigint, small int, place struct<city:string>)")
    if athena.rows("SELECT count(*) FROM fixed") == [["0"]]:
        athena.run("INSERT INTO fixed VALUES (7, 7, NULL)")
    assert words in athena.reason(statement)
    assert athena.rows("SELECT id, small FROM fixed") == [["7", "7"]]


def test_statements_that_run_at_once_all_count(athena, check):
    athena.run("CREATE TABLE counter (id bigint, n bigint)")
    athena.run("INSERT INTO counter VALUES (1, 0)")
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(athena.run, ["UPDATE counter SET n = n + 1"] * 3))
    check("counter", [(1, 3)])


def test_parameters_go_where_they_stand(athena, check):
    athena.run("CREATE TABLE bound (id bigint, name string)")
    athena.run("INSERT INTO bound VALUES (1, 'a'), (2, 'b')")
    athena.run("UPDATE bound SET name = ? WHERE id = ?", ExecutionParameters=["'it''s'", "2"])
    check("bound", [(1, "a"), (2, "it's")])


def test_changes_need_grants(dynaberg, athena):
    lake_formation = dynaberg.client("lakeformation")
    athena.run("CREATE TABLE vault (id bigint, secret string)")
    athena.run("INSERT INTO vault VALUES (1, 'x'), (2, 'y')")
    person = Person(dynaberg, "changer")
    changer = Changes(person.client("athena"))
    table = {"CatalogId": CATALOG, "DatabaseName": "analytics"}

    def grant(resource, *permissions):
        lake_formation.grant_permissions(Principal=person.principal, Resource=resource, Permissions=list(permissions))

    delete, update = "DELETE FROM vault WHERE id = 1", "UPDATE vault SET id = 5"
    merge = "MERGE INTO vault t USING (VALUES 1) AS s (id) ON t.id = s.id WHEN {}"
    inserting = merge.format("NOT MATCHED THEN INSERT VALUES (9, 'z')").replace("VALUES 1)", "VALUES (9))")
    for statement in (delete, update, inserting, delete.replace("vault", "nothing")):
        assert changer.reason(statement).startswith("PERMISSION_DENIED")
    grant({"Table": {**table, "Name": "vault"}}, "DELETE")
    # Without SELECT there is nothing to see; with some of it, not all.
    assert changer.reason(delete).startswith("TABLE_NOT_FOUND")
    grant({"TableWithColumns": {**table, "Name": "vault", "ColumnNames": ["id"]}}, "SELECT")
    assert "not all can be seen" in changer.reason(delete)
    assert athena.rows("SELECT count(*) FROM vault") == [["2"]]
    grant({"Table": {**table, "Name": "vault"}}, "SELECT")
    changer.run(delete)
    assert changer.reason(update).startswith("PERMISSION_DENIED")
    assert changer.reason(inserting).startswith("PERMISSION_DENIED")
    grant({"Table": {**table, "Name": "vault"}}, "INSERT")
    changer.run(update)
    changer.run(inserting)
    assert sorted(athena.rows("SELECT id, secret FROM vault")) == [["5", "y"], ["9", "z"]]
    lines = (dynaberg.data_dir / "analytics" / "audit.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines if "user/changer" in line]
    wrote = [entry["wrote"]["action"] for entry in entries if "wrote" in entry]
    assert wrote == ["DELETE", "DELETE INSERT", "INSERT"]
    assert all([read["table"] for read in entry["tables"]] == ["vault"] for entry in entries if "wrote" in entry)


def test_a_pipelines_table_is_changed_by_its_pipeline_alone(tmp_path):
    running = Dynaberg(tmp_path / "data", [pipeline_file(tmp_path, "owned", "audit.owned", "lake")])
    try:
        running.client("s3").create_bucket(Bucket="letters")
        running.client("s3").create_bucket(Bucket="change-results")
        running.client("s3tables").create_table_bucket(name="lake")
        create_table(running, "owned", with_sort_key=False).put_item(Item={"id": "a", "amount": 1})
        running.wait()
        context = {"Catalog": "s3tablescatalog/lake", "Database": "audit"}
        athena = Changes(running.client("athena"))
        for statement in (
            "DELETE FROM owned",
            "UPDATE owned SET id = 'b'",
            "MERGE INTO owned t USING (SELECT 'a' AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE",
        ):
            assert "which pipeline owned-mirror writes" in athena.reason(statement, QueryExecutionContext=context), statement
        assert running.sql("SELECT id FROM audit.owned") == [{"id": "a"}]
    finally:
        running.kill()
