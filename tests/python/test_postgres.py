"""psql, psycopg and SQLAlchemy, unmodified, over the PostgreSQL wire protocol."""

import datetime
import json
import shutil
import socket
import struct
import subprocess
import threading
from decimal import Decimal

import psycopg
import pytest
import sqlalchemy

from dynaberg import Dynaberg

BUCKET = "door"
TABLE = f"""
CREATE TABLE sales.orders (
    id bigint, note string, price decimal(12,2), weight double, paid boolean, day date, placed timestamp,
    place struct<city:string>, tags array<string>
) TBLPROPERTIES ('table_type' = 'ICEBERG')
"""
ROWS = """
INSERT INTO sales.orders VALUES
    (1, 'it''s', DECIMAL '1.50', 0.5, true, DATE '2026-01-01', TIMESTAMP '2026-01-01 10:00:00.500000',
     CAST(ROW('Oslo') AS ROW(city varchar)), ARRAY['a', 'b "c"', NULL]),
    (2, '', DECIMAL '-0.05', -2, false, DATE '1969-12-31', TIMESTAMP '1969-12-31 23:59:59.000001',
     CAST(ROW('Rome') AS ROW(city varchar)), ARRAY['d']),
    (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
"""
FIRST = (
    1, "it's", Decimal("1.50"), 0.5, True, datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1, 10, 0, 0, 500000),
    {"city": "Oslo"}, ["a", 'b "c"', None],
)
SECOND = (
    2, "", Decimal("-0.05"), -2.0, False, datetime.date(1969, 12, 31), datetime.datetime(1969, 12, 31, 23, 59, 59, 1),
    {"city": "Rome"}, ["d"],
)
THIRD = (3,) + (None,) * 8


@pytest.fixture(scope="module")
def door(dynaberg):
    """The lake that is asked, with a table in it."""
    s3tables = dynaberg.client("s3tables")
    arn = s3tables.create_table_bucket(name=BUCKET)["arn"]
    s3tables.create_namespace(tableBucketARN=arn, namespace=["sales"])
    with connect(dynaberg) as connection:
        connection.execute(TABLE)
        assert connection.execute(ROWS).rowcount == 3
    return dynaberg


def connect(dynaberg, user="dev", database=BUCKET, **options):
    host, port = dynaberg.postgres.rsplit("@", 1)[1].split(":")
    options = {"autocommit": True, **options}
    return psycopg.connect(host=host, port=port, user=user, dbname=database, **options)


def grant(dynaberg, user, resource, permissions):
    catalog = f"000000000000:s3tablescatalog/{BUCKET}"
    ((kind, of),) = resource.items()
    dynaberg.client("lakeformation").grant_permissions(
        Principal={"DataLakePrincipalIdentifier": f"arn:aws:iam::000000000000:user/{user}"},
        Resource={kind: {**of, **({"CatalogId": catalog} if "CatalogId" not in of and "TableCatalogId" not in of else {})}},
        Permissions=permissions,
    )


@pytest.mark.parametrize("binary", [False, True])
def test_every_type_comes_back_as_it_was_in_text_and_in_binary(door, binary):
    with connect(door) as connection, connection.cursor(binary=binary) as cursor:
        assert cursor.execute("SELECT * FROM sales.orders ORDER BY id").fetchall() == [FIRST, SECOND, THIRD]
        utc = datetime.timezone.utc
        moment = datetime.datetime(2026, 1, 1, tzinfo=utc)
        others = cursor.execute(
            "SELECT from_unixtime(1767225600), X'00ff', DATE '1970-01-01', ARRAY[1, NULL], DECIMAL '123456789012.000001',"
            " nan(), DECIMAL '0', CAST(7 AS integer), MAP(ARRAY['k'], ARRAY[1]), NULL, ARRAY[NULL]"
        ).fetchone()
        assert others[0].replace(tzinfo=utc) == moment
        assert others[1:5] == (b"\x00\xff", datetime.date(1970, 1, 1), [1, None], Decimal("123456789012.000001"))
        assert others[5] != others[5] and others[6:] == (Decimal(0), 7, {"k": 1}, None, [None])


@pytest.mark.parametrize("binary", [False, True])
def test_parameters_stay_values(door, binary):
    kind = "%b" if binary else "%t"
    values = [
        (1, "id"), ("it's", "note"), (Decimal("1.50"), "price"), (0.5, "weight"), (True, "paid"),
        (datetime.date(2026, 1, 1), "day"), (datetime.datetime(2026, 1, 1, 10, 0, 0, 500000), "placed"),
    ]
    with connect(door) as connection:
        for value, column in values:
            found = connection.execute(f"SELECT id FROM sales.orders WHERE {column} = {kind}", [value]).fetchall()
            assert found == [(1,)], column
        injected = "' OR 1 = 1 --"
        assert connection.execute(f"SELECT id FROM sales.orders WHERE note = {kind}", [injected]).fetchall() == []
        assert connection.execute(f"SELECT {kind}", [injected]).fetchone() == (injected,)
        assert connection.execute("SELECT id FROM sales.orders WHERE note = %s", [None]).fetchall() == []


def test_a_prepared_statement_is_asked_again_and_sees_what_was_written_meanwhile(door):
    with connect(door) as connection, connect(door) as other:
        other.execute("CREATE TABLE sales.growing (id bigint) TBLPROPERTIES ('table_type' = 'ICEBERG')")
        count = lambda: connection.execute(  # noqa: E731
            "SELECT count(*) FROM sales.growing WHERE id < %s", [10], prepare=True
        ).fetchone()[0]
        assert count() == 0
        other.execute("INSERT INTO sales.growing VALUES (1), (2)")
        assert count() == 2
        other.execute("DROP TABLE sales.growing")
        with pytest.raises(psycopg.errors.UndefinedTable):
            count()


def test_errors_have_a_code_a_place_and_a_way_out(door):
    cases = [
        ("SELEC 1", psycopg.errors.SyntaxError, None),
        ("SELECT price,\n  'ü', prise FROM sales.orders", psycopg.errors.UndefinedColumn, "prise"),
        ("SELECT * FROM sales.ordrs", psycopg.errors.UndefinedTable, None),
        ("SELECT nosuch(1)", psycopg.errors.UndefinedFunction, None),
        ("COPY sales.orders TO STDOUT", psycopg.errors.FeatureNotSupported, None),
        ("SELECT * FROM read_csv('/etc/passwd')", psycopg.errors.FeatureNotSupported, None),
        ("SET nonsense = 1", psycopg.errors.UndefinedObject, None),
        ("SET client_encoding = 'LATIN1'", psycopg.errors.InvalidParameterValue, None),
        ("UNLOAD (SELECT 1) TO 's3://b/p/' WITH (format = 'JSON')", psycopg.errors.FeatureNotSupported, None),
        ("SELECT 1 / (id - id) FROM sales.orders", psycopg.errors.DivisionByZero, None),
    ]
    with connect(door) as connection:
        for sql, kind, place in cases:
            with pytest.raises(kind) as failed:
                connection.execute(sql)
            diagnosis = failed.value.diag
            if place:
                assert int(diagnosis.statement_position) == sql.index(place) + 1
            assert kind in (psycopg.errors.SyntaxError, psycopg.errors.DivisionByZero) or (
                diagnosis.message_hint.startswith("Try: ")
            ), sql
            # The connection goes on.
            assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match=f'database "pond" does not exist(.|\n)*{BUCKET}'):
        connect(door, database="pond")


def test_a_transaction_is_a_frame_in_which_nothing_is_written(door):
    with connect(door, autocommit=False) as connection:
        assert connection.execute("SELECT count(*) FROM sales.orders").fetchone() == (3,)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        connection.rollback()
        with pytest.raises(psycopg.errors.ActiveSqlTransaction, match="autocommit"):
            connection.execute("INSERT INTO sales.orders (id) VALUES (9)")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            connection.execute("SELECT 1")
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM sales.orders").fetchone() == (3,)


def test_a_query_is_ended_by_another_connection_and_by_its_time(door):
    endless = "SELECT count(*) FROM generate_series(1, 1000000000000) t(x) WHERE x % 7 = 8"
    with connect(door) as connection:
        timer = threading.Timer(0.5, connection.cancel)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
            connection.execute(endless)
        timer.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.execute("SET statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled, match="0.2 s(.|\n)*SET statement_timeout"):
            connection.execute(endless)


def test_grants_hold_row_by_row_and_column_by_column(door):
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect(door, user="petra")
    grant(door, "petra", {"Table": {"DatabaseName": "sales", "Name": "orders"}}, ["DESCRIBE"])
    lakeformation = door.client("lakeformation")
    lakeformation.create_data_cells_filter(
        TableData={
            "TableCatalogId": f"000000000000:s3tablescatalog/{BUCKET}", "DatabaseName": "sales", "TableName": "orders",
            "Name": "paid", "RowFilter": {"FilterExpression": "paid = true"}, "ColumnNames": ["id", "note"],
        }
    )
    of_filter = {
        "TableCatalogId": f"000000000000:s3tablescatalog/{BUCKET}", "DatabaseName": "sales", "TableName": "orders",
        "Name": "paid",
    }
    grant(door, "petra", {"DataCellsFilter": of_filter}, ["SELECT"])
    with connect(door, user="petra") as connection:
        assert connection.execute("SELECT * FROM sales.orders").fetchall() == [(1, "it's")]
        assert connection.execute("SELECT id FROM orders WHERE id = %s", [2]).fetchall() == []
        for hidden in ["SELECT price FROM sales.orders", "SELECT id FROM sales.orders WHERE price > 1"]:
            with pytest.raises(psycopg.errors.UndefinedColumn) as failed:
                connection.execute(hidden)
            assert "weight" not in str(failed.value)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO sales.orders (id) VALUES (9)")
        columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'sales.orders'::regclass ORDER BY attnum"
        assert connection.execute(columns).fetchall() == [("id",), ("note",)]
        lakeformation.revoke_permissions(
            Principal={"DataLakePrincipalIdentifier": "arn:aws:iam::000000000000:user/petra"},
            Resource={"DataCellsFilter": of_filter},
            Permissions=["SELECT"],
        )
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM sales.orders")
    log = (door.data_dir / "analytics/audit.jsonl").read_text().splitlines()
    mine = [entry for entry in map(json.loads, log) if entry["principal"].endswith("user/petra")]
    read = [entry for entry in mine if entry["action"] == "QUERY" and entry["decision"] == "allowed" and entry["rows"]]
    assert read[0]["tables"][0]["columns"] == ["id", "note"] and read[0]["rows"] == 1
    assert any(entry["action"] == "QUERY" and entry["decision"] == "refused" for entry in mine)


def test_psql_shows_what_there_is(door):
    psql = shutil.which("psql")
    if psql is None:
        pytest.skip("this machine has no psql")

    def run(*commands):
        host, port = door.postgres.rsplit("@", 1)[1].split(":")
        options = [argument for command in commands for argument in ("-c", command)]
        done = subprocess.run(
            [psql, "-X", "-h", host, "-p", port, "-U", "dev", "-d", BUCKET, *options], capture_output=True, text=True
        )
        assert done.returncode == 0 and "ERROR" not in done.stderr, done.stderr
        return done.stdout

    assert " sales  | orders | table | dev" in run("\\dt")
    described = run("\\d orders")
    assert 'Table "sales.orders"' in described
    for line in [" price  | numeric(12,2) ", " tags   | text[] ", " placed | timestamp without time zone "]:
        assert line in described
    assert f" {BUCKET} " in run("\\l") and " sales " in run("\\dn") and " dev " in run("\\du")
    everything = ["\\d", "\\d+ orders", "\\dt+", "\\dn+", "\\l+", "\\dv", "\\di", "\\df", "\\dp", "\\dT", "\\dx", "\\db", "\\ds", "\\dm"]
    run(*everything)
    assert run("SELECT id, place FROM orders WHERE id = 1; SELECT 2").split("\n")[2] == '  1 | {"city":"Oslo"}'


def test_sqlalchemy_reflects_and_queries(door):
    url = door.postgres.replace("postgresql://", "postgresql+psycopg://")
    engine = sqlalchemy.create_engine(f"{url}/{BUCKET}", isolation_level="AUTOCOMMIT")
    inspector = sqlalchemy.inspect(engine)
    assert "sales" in inspector.get_schema_names()
    assert "orders" in inspector.get_table_names(schema="sales")
    columns = {column["name"]: str(column["type"]) for column in inspector.get_columns("orders", schema="sales")}
    assert columns["price"] == "NUMERIC(12, 2)" and columns["id"] == "BIGINT" and columns["day"] == "DATE"
    orders = sqlalchemy.Table("orders", sqlalchemy.MetaData(), schema="sales", autoload_with=engine)
    query = sqlalchemy.select(orders.c.id, orders.c.price).where(orders.c.price > Decimal("0")).order_by(orders.c.id)
    with engine.connect() as connection:
        assert connection.execute(query).all() == [(1, Decimal("1.50"))]
        assert connection.execute(sqlalchemy.text("SELECT count(*) FROM sales.orders WHERE id >= :n"), {"n": 2}).scalar() == 2
    engine.dispose()


def test_strict_authentication_asks_for_the_secret(tmp_path):
    within = ["env", "DYNABERG_KEYS=ana:secret"]
    running = Dynaberg(tmp_path / "data", options=["--auth", "strict"], within=within)
    try:
        with connect(running, user="ana", database="awsdatacatalog", password="secret") as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("ana",)
        for user, password in [("ana", "wrong"), ("ana", ""), ("dev", "dev")]:
            with pytest.raises(psycopg.OperationalError, match="authentication failed|password"):
                connect(running, user=user, password=password)
    finally:
        running.stop()


def test_what_is_no_protocol_ends_its_connection_and_no_other(door):
    host, port = door.postgres.rsplit("@", 1)[1].split(":")
    with connect(door) as connection:
        for garbage in [b"GET / HTTP/1.1\r\n\r\n", struct.pack("!ii", 2**31 - 1, 196608), struct.pack("!ii", 8, 131072)]:
            with socket.create_connection((host, int(port)), timeout=10) as client:
                client.sendall(garbage)
                client.shutdown(socket.SHUT_WR)
                while client.recv(4096):
                    pass
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_big_result_comes_in_portions(door):
    with connect(door) as connection, connection.cursor() as cursor:
        rows = cursor.stream("SELECT x FROM UNNEST(sequence(1, 10000)) t(x) ORDER BY x")
        assert [value for (value,) in rows] == list(range(1, 10001))
