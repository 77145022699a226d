"""Tables over files in S3: made by SQL, by Glue and by awswrangler, read by SQL, under grants."""

import gzip
import io
import json

import boto3
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lakehouse
from test_athena import rows
from test_lake_formation import Person
from test_sql_writes import Sql

BUCKET = "outsidelake"
LAKE = f'"s3tablescatalog/{BUCKET}".analytics.transactions'
OPTIONS = {
    "ResultConfiguration": {"OutputLocation": "s3://outside-results/"},
    "QueryExecutionContext": {"Database": "outside"},
}


class Outside(Sql):
    options = OPTIONS


@pytest.fixture(scope="module")
def s3(dynaberg):
    lakehouse.transactions(dynaberg, BUCKET)
    client = dynaberg.client("s3")
    for bucket in ("outside-results", "outside-files"):
        client.create_bucket(Bucket=bucket)
    glue = dynaberg.client("glue")
    glue.create_database(DatabaseInput={"Name": "outside", "LocationUri": "s3://outside-files/warehouse/"})
    return client


@pytest.fixture
def athena(dynaberg, s3):
    return Outside(dynaberg.client("athena"))


@pytest.fixture
def put(s3):
    return lambda key, body: s3.put_object(Bucket="outside-files", Key=key, Body=body)


def listed(athena, query):
    """The rows of a listing, which has no header."""
    return rows(athena.athena, query, **OPTIONS)


def parquet(table):
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def test_delimited_text_is_read_as_hive_reads_it(athena, put):
    put("plain/1.csv", "id,name,price,day\n1,a,1.50,2026-11-22\n2,\\N,x,\n3,\"c,3\n")
    put("plain/2.csv.gz", gzip.compress(b"id,name,price,day\r\n4,d,2,2026-01-01,more\r\n"))
    put("plain/_hidden.csv", "9,z,9,2026-01-01\n")
    athena.run("""CREATE EXTERNAL TABLE IF NOT EXISTS plain (id int COMMENT 'who', name string, price decimal(12,2), day date)
        ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' STORED AS TEXTFILE
        LOCATION 's3://outside-files/plain/' TBLPROPERTIES ('skip.header.line.count' = '1')""")
    assert athena.rows("SELECT * FROM plain ORDER BY id") == [
        ["1", "a", "1.50", "2026-11-22"],
        ["2", None, None, None],
        ["3", '"c', "3.00", None],
        ["4", "d", "2.00", "2026-01-01"],
    ]
    assert athena.rows("SELECT count(*), max(id) FROM outside.plain WHERE price > 1") == [["3", "4"]]
    athena.run("""CREATE EXTERNAL TABLE quoted (name string, n int) ROW FORMAT SERDE
        'org.apache.hadoop.hive.serde2.OpenCSVSerde' WITH SERDEPROPERTIES ('separatorChar' = ';')
        LOCATION 's3://outside-files/quoted'""")
    assert athena.rows("SELECT * FROM quoted") == []
    put("quoted/a", '"a;b";1\n"say ""hi""";2\n')
    assert athena.rows("SELECT * FROM quoted ORDER BY n") == [["a;b", "1"], ['say "hi"', "2"]]
    assert athena.reason("CREATE EXTERNAL TABLE plain (a int) LOCATION 's3://outside-files/x/'").count("exists") == 1
    created = [row[0] for row in listed(athena, "SHOW CREATE TABLE plain")]
    assert "  `id` int COMMENT 'who'," in created and "  's3://outside-files/plain/'" in created


def test_lines_of_json_are_read(athena, put):
    put("json/a", '{"ID": 1, "tags": ["x"], "at": {"City": "Bern"}}\n{"id": "2", "more": 1}\n\n{"tags": "no"}')
    athena.run("""CREATE EXTERNAL TABLE lines (id bigint, tags array<string>, at struct<city:string>)
        ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://outside-files/json/'""")
    rows = athena.rows("SELECT id, tags, at.city FROM lines ORDER BY id")
    assert rows == [["1", "[x]", "Bern"], ["2", None, None], [None, None, None]]
    put("json/b", "no json\n")
    assert "s3://outside-files/json/b" in athena.reason("SELECT * FROM lines")


def test_partitions_are_found_added_pruned_and_dropped(athena, put):
    for year, month, ids in ((2025, 12, [1, 2]), (2026, 1, [3]), (2026, 2, [4, 5])):
        table = pa.table({"ID": pa.array(ids, pa.int64()), "Extra": ids})
        put(f"parts/year={year}/month={month:02}/f.parquet", parquet(table))
    athena.run("""CREATE EXTERNAL TABLE parts (id bigint, missing string) PARTITIONED BY (year int, month string)
        STORED AS PARQUET LOCATION 's3://outside-files/parts/'""")
    assert athena.rows("SELECT * FROM parts") == []
    athena.run("MSCK REPAIR TABLE parts")
    partitions = [["year=2025/month=12"], ["year=2026/month=01"], ["year=2026/month=02"]]
    assert listed(athena, "SHOW PARTITIONS parts") == partitions
    assert athena.rows("SELECT * FROM parts WHERE year = 2026 ORDER BY id") == [
        ["3", None, "2026", "01"],
        ["4", None, "2026", "02"],
        ["5", None, "2026", "02"],
    ]
    whole = athena.run("SELECT sum(id) FROM parts")["Statistics"]["DataScannedInBytes"]
    some = athena.run("SELECT sum(id) FROM parts WHERE year = 2025 AND id > 0")["Statistics"]["DataScannedInBytes"]
    assert 0 < some < whole
    put("elsewhere/f.parquet", parquet(pa.table({"id": pa.array([9], pa.int32())})))
    athena.run("ALTER TABLE parts ADD PARTITION (year = 2027, month = '01') LOCATION 's3://outside-files/elsewhere/'")
    assert athena.rows("SELECT id FROM parts WHERE year > 2026") == [["9"]]
    assert "exists" in athena.reason("ALTER TABLE parts ADD PARTITION (year = 2027, month = '01')")
    athena.run("ALTER TABLE parts ADD IF NOT EXISTS PARTITION (year = 2027, month = '01')")
    assert "value for each" in athena.reason("ALTER TABLE parts ADD PARTITION (year = 2027)")
    athena.run("ALTER TABLE parts DROP PARTITION (year = 2027, month = '01')")
    assert athena.rows("SELECT count(*) FROM parts") == [["5"]]
    athena.run("INSERT INTO parts VALUES (6, 'x', 2028, '07'), (7, NULL, 2025, '12')")
    assert athena.rows("SELECT id, missing FROM parts WHERE year IN (2028, 2025) ORDER BY id") == [
        ["1", None],
        ["2", None],
        ["6", "x"],
        ["7", None],
    ]
    assert ["year=2028/month=07"] in listed(athena, "SHOW PARTITIONS parts")


def test_a_table_is_created_from_a_query_outside_of_the_lake(athena, s3):
    execution = athena.run(f"""CREATE TABLE copied WITH (format = 'PARQUET', external_location =
        's3://outside-files/copied/', partitioned_by = ARRAY['region']) AS
        SELECT transaction_id, amount, date, region FROM {LAKE}""")
    assert execution["SubstatementType"] == "CREATE_TABLE_AS_SELECT"
    expected = sum(row["amount"] for row in lakehouse.ROWS if row["region"] == "EU")
    assert athena.rows("SELECT sum(amount), count(*) FROM copied WHERE region = 'EU'") == [[str(expected), "20"]]
    bucket, key = execution["Statistics"]["DataManifestLocation"].removeprefix("s3://").split("/", 1)
    files = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
    assert len(files) == 3 and all("/copied/region=" in file for file in files)
    assert "not empty" in athena.reason(
        f"CREATE TABLE again WITH (external_location = 's3://outside-files/copied/') AS SELECT 1 AS a"
    )
    # Where nothing is said, in the database's own place.
    athena.run("CREATE TABLE placed AS SELECT 1 AS a, 'x' AS b")
    assert athena.rows("SELECT * FROM placed") == [["1", "x"]]
    assert s3.list_objects_v2(Bucket="outside-files", Prefix="warehouse/placed/")["KeyCount"] == 1
    for format, condition in (("JSON", ""), ("TEXTFILE", ", field_delimiter = '|'")):
        athena.run(
            f"CREATE TABLE as_{format} WITH (format = '{format}'{condition}) AS SELECT 1 AS a, 'x' AS b, DATE '2026-01-02' AS c"
        )
        assert athena.rows(f"SELECT * FROM as_{format}") == [["1", "x", "2026-01-02"]]
    assert athena.reason("CREATE TABLE half WITH (format = 'PARQUET') AS SELECT CAST('x' AS bigint) AS n")
    assert athena.reason("SELECT * FROM half").startswith("TABLE_NOT_FOUND")
    athena.run("DROP TABLE copied")
    assert "copied" in athena.reason("SELECT * FROM copied")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("CREATE EXTERNAL TABLE bad (a int) LOCATION 's3://nowhere/x/'", "no bucket nowhere"),
        ("CREATE EXTERNAL TABLE bad (a int) LOCATION '/etc/'", "not in S3"),
        ("CREATE EXTERNAL TABLE bad (a int) LOCATION 'https://example.com/x/'", "not in S3"),
        ("CREATE EXTERNAL TABLE bad (a int)", "LOCATION 's3://bucket/prefix/'"),
        ("CREATE EXTERNAL TABLE bad (a thing) LOCATION 's3://outside-files/x/'", "a type that Hive has"),
        ("CREATE EXTERNAL TABLE bad (a int) STORED AS ORC LOCATION 's3://outside-files/x/'", "ORC"),
        ("CREATE EXTERNAL TABLE bad (a int, A int) LOCATION 's3://outside-files/x/'", "twice"),
        ("UPDATE plainest SET a = 2", "no table bucket"),
        ("ALTER TABLE plainest ADD PARTITION (a = 1)", "value for each"),
        ("SHOW PARTITIONS plainest", "not partitioned"),
        ("INSERT INTO plainest VALUES ('x')", "column a is of type integer"),
        ('SELECT * FROM "plainest$files"', "no metadata tables"),
        (f"CREATE EXTERNAL TABLE {LAKE}2 (a int) LOCATION 's3://outside-files/x/'", "Iceberg tables and nothing else"),
    ],
)
def test_what_cannot_be_done_says_why(athena, statement, words):
    athena.run("CREATE EXTERNAL TABLE IF NOT EXISTS plainest (a int) LOCATION 's3://outside-files/plainest/'")
    assert words in athena.reason(statement)


def test_a_table_of_another_format_is_the_users_to_change(dynaberg, athena):
    storage = {
        "Columns": [{"Name": "a", "Type": "int"}],
        "Location": "s3://outside-files/orc/",
        "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.orc.OrcSerde"},
    }
    table = {"Name": "in_orc", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage}
    dynaberg.client("glue").create_table(DatabaseName="outside", TableInput=table)
    assert athena.reason("SELECT * FROM in_orc").startswith("NOT_SUPPORTED: read table")
    # It costs nobody else anything.
    others = "SELECT count(*) FROM information_schema.{} WHERE table_name = 'in_orc'"
    assert [athena.rows(others.format(name)) for name in ("tables", "columns")] == [[["1"]], [["0"]]]


def test_the_files_of_the_lake_are_no_external_table(dynaberg, athena):
    (bucket,) = {
        table["StorageDescriptor"]["Location"].removeprefix("s3://")
        for table in dynaberg.client("glue").get_tables(
            CatalogId=f"000000000000:s3tablescatalog/{BUCKET}", DatabaseName="analytics"
        )["TableList"]
    }
    assert "no bucket" in athena.reason(f"CREATE EXTERNAL TABLE stolen (a string) LOCATION 's3://{bucket}/data/'")


def test_glue_keeps_tables_as_they_were_put(dynaberg, athena, put):
    glue = dynaberg.client("glue")
    put("glued/k=a b/1.parquet", parquet(pa.table({"x": [1.5]})))
    serde = {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"}
    storage = {
        "Columns": [{"Name": "x", "Type": "double", "Comment": "a number"}],
        "Location": "s3://outside-files/glued/",
        "SerdeInfo": serde,
    }
    table = {
        "Name": "Glued",
        "TableType": "EXTERNAL_TABLE",
        "StorageDescriptor": storage,
        "PartitionKeys": [{"Name": "k", "Type": "string"}],
        "Parameters": {"classification": "parquet", "own": "ours"},
    }
    glue.create_table(DatabaseName="outside", TableInput=table)
    with pytest.raises(glue.exceptions.AlreadyExistsException):
        glue.create_table(DatabaseName="outside", TableInput=table)
    place = {"DatabaseName": "outside", "TableName": "glued"}
    glue.create_partition(
        **place,
        PartitionInput={"Values": ["a b"], "StorageDescriptor": {**storage, "Location": "s3://outside-files/glued/k=a b/"}},
    )
    created = glue.batch_create_partition(**place, PartitionInputList=[{"Values": ["a b"]}, {"Values": ["c"]}])
    assert [error["ErrorDetail"]["ErrorCode"] for error in created["Errors"]] == ["AlreadyExistsException"]
    assert athena.rows("SELECT * FROM glued") == [["1.5", "a b"]]
    found = glue.get_table(DatabaseName="outside", Name="glued")["Table"]
    assert found["Parameters"]["own"] == "ours" and found["StorageDescriptor"]["Columns"] == storage["Columns"]
    values = [partition["Values"] for partition in glue.get_partitions(**place)["Partitions"]]
    assert values == [["a b"], ["c"]]
    some = glue.get_partitions(**place, Expression="k > 'b'")["Partitions"]
    assert [partition["Values"] for partition in some] == [["c"]]
    assert glue.get_partition(**place, PartitionValues=["c"])["Partition"]["Values"] == ["c"]
    glue.update_table(DatabaseName="outside", TableInput={**table, "Parameters": {"own": "yours"}})
    assert glue.get_table(DatabaseName="outside", Name="Glued")["Table"]["Parameters"] == {"own": "yours"}
    glue.batch_delete_partition(**place, PartitionsToDelete=[{"Values": ["c"]}])
    assert len(glue.get_partitions(**place)["Partitions"]) == 1
    names = [entry["Name"] for entry in glue.get_tables(DatabaseName="outside", Expression="glu*")["TableList"]]
    assert names == ["glued"]
    glue.delete_table(DatabaseName="outside", Name="glued")
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_table(DatabaseName="outside", Name="glued")


def test_grants_decide_who_reads_a_table_and_its_files(dynaberg, athena, s3):
    athena.run("CREATE TABLE secret WITH (external_location = 's3://outside-files/secret/') AS SELECT 1 AS id, 'x' AS word")
    (entry,) = s3.list_objects_v2(Bucket="outside-files", Prefix="secret/")["Contents"]
    person = Person(dynaberg, "outsider")
    reader = Outside(person.client("athena"))
    # Everybody may, until that is taken back.
    assert reader.rows("SELECT * FROM secret") == [["1", "x"]]
    lake_formation = dynaberg.client("lakeformation")
    resource = {"Table": {"DatabaseName": "outside", "Name": "secret"}}
    everybody = {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}
    lake_formation.revoke_permissions(Principal=everybody, Resource=resource, Permissions=["ALL"])
    assert reader.reason("SELECT * FROM secret").startswith("TABLE_NOT_FOUND")
    assert person.status(person.client("s3").get_object, Bucket="outside-files", Key=entry["Key"]) == 403
    assert person.client("glue").get_tables(DatabaseName="outside", Expression="secret")["TableList"] == []
    columns = {"TableWithColumns": {"DatabaseName": "outside", "Name": "secret", "ColumnNames": ["id"]}}
    lake_formation.grant_permissions(Principal=person.principal, Resource=columns, Permissions=["SELECT"])
    assert reader.rows("SELECT * FROM secret") == [["1"]]
    assert "COLUMN_NOT_FOUND" in reader.reason("SELECT word FROM secret")
    assert person.status(person.client("s3").get_object, Bucket="outside-files", Key=entry["Key"]) == 403
    lake_formation.grant_permissions(Principal=person.principal, Resource=resource, Permissions=["SELECT"])
    assert person.status(person.client("s3").get_object, Bucket="outside-files", Key=entry["Key"]) == 200
    assert reader.reason("DROP TABLE secret").startswith("PERMISSION_DENIED")


def test_results_of_others_are_not_read_through_a_table(dynaberg, athena, s3):
    result = athena.run("SELECT 'hush' AS word")["ResultConfiguration"]["OutputLocation"]
    folder, name = result.rsplit("/", 1)
    person = Person(dynaberg, "peeper")
    peeper = Outside(person.client("athena"))
    peeper.run(f"CREATE EXTERNAL TABLE peep (line string) LOCATION '{folder}/'")
    assert "Access Denied" in peeper.reason("SELECT * FROM peep")
    athena.run("DROP TABLE peep")


@pytest.fixture
def wr(dynaberg, s3):
    wr = pytest.importorskip("awswrangler")
    for service in ("athena", "s3", "glue", "sts", "lakeformation"):
        setattr(wr.config, f"{service}_endpoint_url", dynaberg.endpoint)
    return wr


SESSION = boto3.Session("dev", "dev", region_name="us-east-1")


@pytest.mark.parametrize("approach", [{"ctas_approach": True}, {"ctas_approach": False, "unload_approach": True}])
def test_awswrangler_reads_through_files(wr, approach):
    frame = wr.athena.read_sql_query(
        f"SELECT transaction_id, amount, date, hour, region FROM {LAKE} WHERE region = 'EU' ORDER BY 1",
        database="outside",
        s3_output=f"s3://outside-results/{'ctas' if approach['ctas_approach'] else 'unload'}/",
        boto3_session=SESSION,
        **approach,
    )
    expected = [row for row in lakehouse.ROWS if row["region"] == "EU"]
    assert sorted(frame["transaction_id"]) == sorted(row["transaction_id"] for row in expected)
    assert sum(frame["amount"]) == sum(row["amount"] for row in expected)
    if approach["ctas_approach"]:
        empty = wr.athena.read_sql_query(
            f"SELECT transaction_id, amount FROM {LAKE} WHERE region = 'none'",
            database="outside",
            s3_output="s3://outside-results/empty/",
            boto3_session=SESSION,
        )
        assert list(empty.columns) == ["transaction_id", "amount"] and len(empty) == 0
        assert not [table for table in wr.catalog.get_tables(database="outside", boto3_session=SESSION) if "temp" in table["Name"]]


def test_awswrangler_writes_a_data_set_that_athena_queries(wr, athena):
    frame = pd.DataFrame({"id": [1, 2, 3], "name": ["a", None, "c"], "day": ["2026-01-01", "2026-01-02", "2026-01-02"]})
    options = {"path": "s3://outside-files/frames/", "dataset": True, "database": "outside", "table": "frames"}
    wr.s3.to_parquet(frame, **options, partition_cols=["day"], mode="overwrite", boto3_session=SESSION)
    assert athena.rows("SELECT id, name FROM frames WHERE day = '2026-01-02' ORDER BY id") == [["2", None], ["3", "c"]]
    more = pd.DataFrame({"id": [4], "name": ["d"], "day": ["2026-01-03"], "note": ["new"]})
    wr.s3.to_parquet(more, **options, partition_cols=["day"], mode="append", boto3_session=SESSION)
    assert athena.rows("SELECT id, note FROM frames ORDER BY id")[2:] == [["3", None], ["4", "new"]]
    wr.s3.to_parquet(frame, **options, partition_cols=["day"], mode="overwrite_partitions", boto3_session=SESSION)
    assert athena.rows("SELECT count(*) FROM frames") == [["4"]]
    read = wr.athena.read_sql_table("frames", "outside", ctas_approach=False, s3_output="s3://outside-results/t/", boto3_session=SESSION)
    assert sorted(read["id"]) == [1, 2, 3, 4]
    csv = {"path": "s3://outside-files/csvs/", "dataset": True, "database": "outside", "table": "csvs"}
    wr.s3.to_csv(frame, **csv, index=False, mode="overwrite", boto3_session=SESSION)
    assert athena.rows("SELECT id, name FROM csvs ORDER BY id") == [["1", "a"], ["2", ""], ["3", "c"]]
    assert wr.catalog.delete_table_if_exists(database="outside", table="frames", boto3_session=SESSION)
    assert json.dumps(wr.catalog.get_table_types("outside", "csvs", boto3_session=SESSION)) == (
        '{"id": "bigint", "name": "string", "day": "string"}'
    )
