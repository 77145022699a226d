"""Statements that change tables: by Athena's SQL, by the command line, under grants, and beside pipelines."""

import io
import json
from decimal import Decimal

import pyarrow.parquet as pq
import pytest

import lakehouse
from dynaberg import Dynaberg, pyiceberg_catalog
from test_athena import ended, rows, start
from test_lake_formation import Person
from test_mirror import assert_equals_scan, create_table, pipeline_file

BUCKET = "writelake"
ARN = f"arn:aws:s3tables:us-east-1:000000000000:bucket/{BUCKET}"
CATALOG = f"000000000000:s3tablescatalog/{BUCKET}"
OPTIONS = {
    "ResultConfiguration": {"OutputLocation": "s3://write-results/"},
    "QueryExecutionContext": {"Catalog": f"s3tablescatalog/{BUCKET}", "Database": "analytics"},
}


@pytest.fixture(scope="module")
def lake(dynaberg):
    lakehouse.transactions(dynaberg, BUCKET)
    dynaberg.client("s3").create_bucket(Bucket="write-results")
    target = {"CatalogId": CATALOG, "DatabaseName": "analytics"}
    dynaberg.client("glue").create_database(DatabaseInput={"Name": "writelink", "TargetDatabase": target})
    return pyiceberg_catalog(dynaberg, ARN)


@pytest.fixture
def athena(dynaberg, lake):
    return Sql(dynaberg.client("athena"))


class Sql:
    options = OPTIONS

    def __init__(self, athena):
        self.athena = athena

    def run(self, query, **options):
        """The query's execution."""
        execution = ended(self.athena, start(self.athena, query, **{**self.options, **options}))
        assert execution["Status"]["State"] == "SUCCEEDED", (query, execution["Status"])
        return execution

    def rows(self, query, **options):
        return rows(self.athena, query, **{**self.options, **options})[1:]

    def count(self, query):
        """How many rows a statement says that it wrote."""
        query_id = self.run(query)["QueryExecutionId"]
        return self.athena.get_query_results(QueryExecutionId=query_id)["UpdateCount"]

    def reason(self, query, **options):
        status = ended(self.athena, start(self.athena, query, **{**self.options, **options}))["Status"]
        assert status["State"] == "FAILED", query
        return status["StateChangeReason"]


def test_a_table_is_created_as_athena_writes_it(athena, lake):
    execution = athena.run("""CREATE TABLE IF NOT EXISTS analytics.orders (
            id bigint COMMENT 'who', name string, price decimal(12, 2), placed timestamp, tags array<string>,
            place struct<city: string, zip: int>, sizes map<string, double>)
        COMMENT 'what was sold'
        PARTITIONED BY (day(placed), bucket(4, id), name)
        TBLPROPERTIES ('table_type' = 'ICEBERG', 'format' = 'parquet', 'write_compression' = 'zstd')""")
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DDL", "CREATE_TABLE")
    table = lake.load_table("analytics.orders")
    names = [(field.name, str(field.field_type)) for field in table.schema().fields]
    assert names == [
        ("id", "long"),
        ("name", "string"),
        ("price", "decimal(12, 2)"),
        ("placed", "timestamp"),
        ("tags", "list<string>"),
        ("place", "struct<9: city: optional string, 10: zip: optional int>"),
        ("sizes", "map<string, double>"),
    ]
    assert table.schema().find_field("id").doc == "who" and table.properties["comment"] == "what was sold"
    assert table.properties["write.parquet.compression-codec"] == "zstd"
    transforms = [(field.name, str(field.transform)) for field in table.spec().fields]
    assert transforms == [("placed_day", "day"), ("id_bucket", "bucket[4]"), ("name", "identity")]
    athena.run("CREATE TABLE IF NOT EXISTS orders (id bigint)")
    assert "orders" in athena.reason("CREATE TABLE orders (id bigint)")


def test_rows_are_inserted_and_read_by_everybody(athena, lake):
    athena.run("CREATE TABLE sales (id bigint, name string, price decimal(12,2), hour int, day date)")
    insert = "INSERT INTO sales VALUES (1, 'a', 1.50, 7, DATE '2026-11-22'), (2, NULL, 2, NULL, NULL)"
    assert athena.count(insert) == 2
    assert athena.count("INSERT INTO sales (name, id) SELECT region, hour FROM transactions WHERE hour < 3") == 9
    assert athena.count("INSERT INTO sales SELECT * FROM sales WHERE false") == 0
    assert athena.rows("SELECT * FROM sales WHERE hour = 7") == [["1", "a", "1.50", "7", "2026-11-22"]]
    assert athena.rows("SELECT count(*), count(name), count(price) FROM sales") == [["11", "10", "2"]]
    scanned = lake.load_table("analytics.sales").scan().to_arrow().to_pylist()
    assert len(scanned) == 11 and sum(row["price"] or 0 for row in scanned) == Decimal("3.50")
    snapshots = lake.load_table("analytics.sales").snapshots()
    assert [str(snapshot.summary.operation.value) for snapshot in snapshots] == ["append", "append"]


def test_a_table_is_created_from_a_query(athena, lake):
    execution = athena.run("""CREATE TABLE AwsDataCatalog."writelink"."by_region"
        WITH (format = 'PARQUET', table_type = 'ICEBERG', is_external = false, partitioning = ARRAY['region']) AS
        SELECT region, count(*) AS n, sum(amount) AS "Total", max(current_timestamp) AS at, 1 AS one
        FROM transactions GROUP BY 1""")
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DDL", "CREATE_TABLE_AS_SELECT")
    found = sorted(lake.load_table("analytics.by_region").scan().to_arrow().to_pylist(), key=lambda row: row["region"])
    assert [(row["region"], row["n"]) for row in found] == [("APAC", 20), ("EU", 20), ("US", 20)]
    assert sum(row["total"] for row in found) == sum(row["amount"] for row in lakehouse.ROWS)
    athena.run("CREATE TABLE shape AS SELECT id, name FROM (VALUES (1, 'x')) AS t (id, name) WITH NO DATA")
    assert athena.rows("SELECT * FROM shape") == []
    # What fails on the way leaves no table.
    assert athena.reason("CREATE TABLE half AS SELECT CAST(region AS bigint) AS n FROM transactions")
    assert athena.reason("SELECT * FROM half").startswith("TABLE_NOT_FOUND")
    assert "has no type" in athena.reason("CREATE TABLE nothing AS SELECT NULL AS a")


def test_columns_are_added_renamed_widened_and_dropped(athena, lake):
    athena.run("CREATE TABLE shapes (a int, b string)")
    athena.run("INSERT INTO shapes VALUES (1, 'x')")
    athena.run("ALTER TABLE shapes ADD COLUMNS (c double, d struct<e:string>)")
    athena.run("ALTER TABLE shapes CHANGE COLUMN a wide bigint")
    athena.run("ALTER TABLE shapes DROP COLUMN b")
    assert athena.rows("SELECT wide, c, d FROM shapes") == [["1", None, None]]
    athena.run("ALTER TABLE shapes SET TBLPROPERTIES ('vacuum_max_snapshot_age_seconds' = '60')")
    assert lake.load_table("analytics.shapes").properties["vacuum_max_snapshot_age_seconds"] == "60"
    athena.run("DROP TABLE shapes")
    athena.run("DROP TABLE IF EXISTS shapes")
    assert "shapes" in athena.reason("DROP TABLE shapes")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE TABLE t (a tinyint)", "a type that Iceberg has"),
        ("CREATE TABLE t (a int) LOCATION 's3://x/'", "S3 Tables chooses the location"),
        ("CREATE TABLE t (a int) PARTITIONED BY (b)", "no column b"),
        ("CREATE TABLE t (a int) PARTITIONED BY (week(a))", "no way to partition"),
        ("CREATE TABLE t (a int) TBLPROPERTIES ('table_type' = 'HIVE')", "only Iceberg tables"),
        ("CREATE TABLE t (a int) TBLPROPERTIES ('colour' = 'red')", "no property"),
        ("CREATE TABLE nowhere.t (a int)", "no database named nowhere"),
        ("INSERT INTO nothing VALUES (1)", "nothing"),
        ("INSERT INTO strict VALUES (1)", "2 columns are to be filled"),
        ("INSERT INTO strict VALUES ('1', 'a')", "column n is of type integer"),
        ("INSERT INTO strict VALUES (3000000000, 'a')", "3000000000"),
        ("INSERT INTO strict (n, m) VALUES (1, 'a')", "no column m"),
        ("ALTER TABLE strict CHANGE COLUMN text text int", "text"),
        ("ALTER TABLE strict RENAME TO other", "ADD COLUMNS"),
        ("INSERT INTO AwsDataCatalog.default.t VALUES (1)", "no table named default.t"),
        ("MSCK REPAIR TABLE strict", "Iceberg tables and nothing else"),
    ],
)
def test_what_cannot_be_done_says_why(athena, statement, words):
    athena.run("CREATE TABLE IF NOT EXISTS strict (n int, text string)")
    assert words in athena.reason(statement)
    assert athena.rows("SELECT count(*) FROM strict") == [["0"]]


def test_writers_need_grants(dynaberg, athena):
    lake_formation = dynaberg.client("lakeformation")
    athena.run("CREATE TABLE guarded (n bigint)")
    person = Person(dynaberg, "scribe")
    scribe = Sql(person.client("athena"))

    def grant(resource, *permissions):
        lake_formation.grant_permissions(Principal=person.principal, Resource=resource, Permissions=list(permissions))

    statements = {
        "INSERT": "INSERT INTO guarded VALUES (1)",
        "ALTER": "ALTER TABLE guarded ADD COLUMNS (m int)",
        "DROP": "DROP TABLE guarded",
        "CREATE_TABLE": "CREATE TABLE own AS SELECT 1 AS n",
    }
    for statement in statements.values():
        assert scribe.reason(statement).startswith("PERMISSION_DENIED")
    # It is denied before it is looked up: what is there cannot be felt.
    denied = scribe.reason("INSERT INTO guarded VALUES (1)").replace("guarded", "T")
    assert denied == scribe.reason("INSERT INTO missing VALUES (1)").replace("missing", "T")
    table = {"Table": {"CatalogId": CATALOG, "DatabaseName": "analytics", "Name": "guarded"}}
    grant(table, "INSERT")
    scribe.run(statements["INSERT"])
    assert scribe.reason(statements["ALTER"]).startswith("PERMISSION_DENIED")
    # Whoever may write need not be able to read.
    assert scribe.reason("INSERT INTO guarded SELECT n FROM guarded").startswith("TABLE_NOT_FOUND")
    grant(table, "ALTER", "DROP")
    scribe.run(statements["ALTER"])
    assert athena.rows("SELECT n, m FROM guarded") == [["1", None]]
    scribe.run(statements["DROP"])
    grant({"Database": {"CatalogId": CATALOG, "Name": "analytics"}}, "CREATE_TABLE")
    assert scribe.reason("CREATE TABLE analytics.own2 AS SELECT amount FROM transactions").startswith("TABLE_NOT_FOUND")
    lines = (dynaberg.data_dir / "analytics" / "audit.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines if "user/scribe" in line]
    wrote = [entry["wrote"]["action"] for entry in entries if "wrote" in entry]
    assert wrote == ["INSERT", "ALTER", "DROP"]
    assert sum(entry["decision"] == "refused" for entry in entries) == len(entries) - 3


def test_prepared_statements_are_kept_run_and_forgotten(athena):
    query = "SELECT count(*) FROM transactions WHERE region = ? AND hour < ?"
    athena.run(f"PREPARE per_region FROM {query}")
    kept = athena.athena.get_prepared_statement(StatementName="per_region", WorkGroup="primary")
    assert kept["PreparedStatement"]["QueryStatement"] == query
    expected = [[str(sum(row["region"] == "EU" and row["hour"] < 12 for row in lakehouse.ROWS))]]
    assert athena.rows("EXECUTE per_region USING 'EU', 12") == expected
    assert athena.rows("EXECUTE per_region", ExecutionParameters=["'EU'", "12"]) == expected
    assert "Incorrect number of parameters" in athena.reason("EXECUTE per_region USING 'EU'")
    athena.run("DEALLOCATE PREPARE per_region")
    assert athena.reason("EXECUTE per_region USING 'EU', 12").startswith("NOT_FOUND")
    athena.run("CREATE TABLE prepared_rows (n bigint, t string)")
    athena.run("PREPARE filling FROM INSERT INTO prepared_rows VALUES (?, ?)")
    athena.run("EXECUTE filling USING 7, 'it''s'")
    assert athena.rows("SELECT * FROM prepared_rows") == [["7", "it's"]]
    athena.run("DEALLOCATE PREPARE filling")


def test_the_command_line_writes_too(dynaberg, athena):
    arguments = ("--catalog", ARN, "--output", "json")
    dynaberg.run("sql", "CREATE TABLE analytics.typed (n bigint)", *arguments)
    said = dynaberg.run("sql", "INSERT INTO analytics.typed SELECT * FROM UNNEST(sequence(1, 5))", *arguments)
    assert json.loads(said.stdout) == [{"rows": 5}]
    assert athena.rows("SELECT sum(n) FROM typed") == [["15"]]
    refused = dynaberg.run("sql", "INSERT INTO analytics.typed VALUES ('x')", *arguments, check=False)
    assert refused.returncode != 0 and "bigint" in refused.stderr


def test_a_query_is_unloaded_into_files_of_its_owner(dynaberg, athena):
    s3 = dynaberg.client("s3")
    query = "UNLOAD (SELECT transaction_id, amount, date FROM transactions WHERE region = 'EU') TO '{}' WITH ({})"
    execution = athena.run(query.format("s3://write-results/unloaded/", "format = 'PARQUET', compression = 'SNAPPY'"))
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "UNLOAD")
    bucket, key = execution["Statistics"]["DataManifestLocation"].removeprefix("s3://").split("/", 1)
    (location,) = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
    bucket, key = location.removeprefix("s3://").split("/", 1)
    table = pq.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    expected = [row for row in lakehouse.ROWS if row["region"] == "EU"]
    assert sorted(table["transaction_id"].to_pylist()) == sorted(row["transaction_id"] for row in expected)
    assert sum(table["amount"].to_pylist()) == sum(row["amount"] for row in expected)
    stranger = Person(dynaberg, "stranger")
    assert stranger.status(stranger.client("s3").get_object, Bucket=bucket, Key=key) == 403
    reason = athena.reason(query.format("s3://write-results/unloaded/", "format = 'PARQUET'"))
    assert reason.startswith("HIVE_PATH_ALREADY_EXISTS")
    athena.run(query.format("s3://write-results/lines/", "format = 'JSON'"))
    (entry,) = s3.list_objects_v2(Bucket="write-results", Prefix="lines/")["Contents"]
    lines = s3.get_object(Bucket="write-results", Key=entry["Key"])["Body"].read().splitlines()
    assert {json.loads(line)["transaction_id"] for line in lines} == {row["transaction_id"] for row in expected}
    partitioned = query.replace("amount, date", "amount, hour").format(
        "s3://write-results/by-hour/", "format = 'TEXTFILE', field_delimiter = ',', partitioned_by = ARRAY['hour']"
    )
    execution = athena.run(partitioned)
    keys = {entry["Key"] for entry in s3.list_objects_v2(Bucket="write-results", Prefix="by-hour/")["Contents"]}
    assert {key.split("/")[1] for key in keys} == {f"hour={row['hour']}" for row in expected}
    (key,) = [key for key in keys if f"hour={expected[0]['hour']}/" in key]
    lines = s3.get_object(Bucket="write-results", Key=key)["Body"].read().decode().splitlines()
    assert f"{expected[0]['transaction_id']},0.00" in lines
    assert stranger.status(stranger.client("s3").get_object, Bucket="write-results", Key=key) == 403
    wrong = partitioned.replace("by-hour", "x").replace("['hour']", "['amount']")
    assert "the last ones of the query" in athena.reason(wrong)
    assert "ORC" in athena.reason(query.format("s3://write-results/x/", "format = 'ORC'"))
    assert "no bucket" in athena.reason(query.format("s3://nowhere/x/", "format = 'JSON'"))


def test_a_table_is_optimized_and_vacuumed(dynaberg, athena, lake):
    athena.run("""CREATE TABLE worn (id bigint, part string) PARTITIONED BY (part)
        TBLPROPERTIES ('vacuum_max_snapshot_age_seconds' = '1', 'vacuum_min_snapshots_to_keep' = '1')""")
    # The service would do the same, some time.
    s3tables = dynaberg.client("s3tables")
    for kind in ("icebergCompaction", "icebergSnapshotManagement"):
        s3tables.put_table_maintenance_configuration(
            tableBucketARN=ARN, namespace="analytics", name="worn", type=kind, value={"status": "disabled"}
        )
    for number in range(8):
        athena.run(f"INSERT INTO worn VALUES ({number}, 'a'), ({number + 100}, 'b')")
    athena.run("DELETE FROM worn WHERE id IN (1, 101)")

    def files(part):
        listed = lake.load_table("analytics.worn").inspect.files().to_pylist()
        return sum(file["content"] == 0 and file["partition"]["part"] == part for file in listed)

    assert (files("a"), files("b")) == (8, 8)
    athena.run("OPTIMIZE worn REWRITE DATA USING BIN_PACK WHERE part = 'a'")
    assert files("a") <= 2 and files("b") == 8
    athena.run("OPTIMIZE analytics.worn REWRITE DATA USING BIN_PACK")
    assert (files("a"), files("b")) == (1, 1)
    expected = sorted([n for n in range(8) if n != 1] + [n + 100 for n in range(8) if n != 1])
    assert sorted(lake.load_table("analytics.worn").scan().to_arrow()["id"].to_pylist()) == expected
    snapshots = len(lake.load_table("analytics.worn").snapshots())
    athena.run("ALTER TABLE worn SET TBLPROPERTIES ('vacuum_max_snapshot_age_seconds' = '0')")
    athena.run("VACUUM worn")
    assert 1 == len(lake.load_table("analytics.worn").snapshots()) < snapshots
    assert athena.rows("SELECT count(*) FROM worn") == [["14"]]
    assert "BIN_PACK" in athena.reason("OPTIMIZE worn")
    mechanic = Person(dynaberg, "mechanic")
    for statement in ("VACUUM worn", "OPTIMIZE worn REWRITE DATA USING BIN_PACK"):
        assert Sql(mechanic.client("athena")).reason(statement).startswith("PERMISSION_DENIED")


def test_a_table_whose_query_is_stopped_is_not_there(athena, lake):
    endless = "SELECT count(*) AS n FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b"
    query_id = start(athena.athena, f"CREATE TABLE stopped AS {endless}", **OPTIONS)
    while not athena.rows("SELECT table_name FROM information_schema.tables WHERE table_name = 'stopped'"):
        assert athena.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]["State"] in (
            "QUEUED",
            "RUNNING",
        )
    athena.athena.stop_query_execution(QueryExecutionId=query_id)
    while athena.rows("SELECT table_name FROM information_schema.tables WHERE table_name = 'stopped'"):
        pass


def test_a_table_that_a_pipeline_writes_is_changed_by_nobody_else(tmp_path):
    running = Dynaberg(tmp_path / "data", [pipeline_file(tmp_path, "owned", "audit.owned", "lake")])
    try:
        running.client("s3").create_bucket(Bucket="letters")
        running.client("s3").create_bucket(Bucket="write-results")
        running.client("s3tables").create_table_bucket(name="lake")
        create_table(running, "owned", with_sort_key=False).put_item(Item={"id": "a", "amount": 1})
        running.wait()
        context = {"Catalog": "s3tablescatalog/lake", "Database": "audit"}
        athena = Sql(running.client("athena"))
        for statement in (
            "INSERT INTO owned (id) VALUES ('b')",
            "ALTER TABLE owned ADD COLUMNS (more int)",
            "DROP TABLE owned",
        ):
            assert "pipeline" in athena.reason(statement, QueryExecutionContext=context), statement
        assert running.sql("SELECT id FROM audit.owned") == [{"id": "a"}]
    finally:
        running.kill()


def test_a_table_is_optimized_and_vacuumed_beside_the_pipeline_that_writes_it(tmp_path):
    running = Dynaberg(tmp_path / "data", [pipeline_file(tmp_path, "worn", "sales.worn", "wornlake")])
    try:
        warehouse = running.client("s3tables").create_table_bucket(name="wornlake")["arn"]
        running.client("s3tables").create_namespace(tableBucketARN=warehouse, namespace=["sales"])
        for bucket in ("letters", "write-results"):
            running.client("s3").create_bucket(Bucket=bucket)
        table = create_table(running, "worn", with_sort_key=False)

        def put(version):
            for number in range(10):
                table.put_item(Item={"id": str((number + version) % 12), "version": version})
                running.wait()

        athena = Sql(running.client("athena"))
        athena.options = {
            **OPTIONS,
            "QueryExecutionContext": {"Catalog": "s3tablescatalog/wornlake", "Database": "sales"},
        }
        for version in range(2):
            put(version)
            before = {row[0] for row in athena.rows('SELECT file_path FROM "worn$files"')}
            athena.run("OPTIMIZE worn REWRITE DATA USING BIN_PACK")
            after = {row[0] for row in athena.rows('SELECT file_path FROM "worn$files"')}
            assert len(after) < len(before) and not after & before
            athena.run("VACUUM worn")
            assert_equals_scan(running, table, "sales.worn", "wornlake", ["id"])
        # What the pipeline knew of rows by the places that they have left holds for the new ones.
        put(2)
        assert_equals_scan(running, table, "sales.worn", "wornlake", ["id"])
    finally:
        running.stop()
