"""Random queries give DuckDB's answers on the same rows. What differs on purpose is listed in docs/src/sql.md.

`SQL_QUERIES` sets how many (300), `SQL_SEED` which. A difference is reported with the seed and both texts of the query.
"""

import datetime
import json
import os
import random
from collections import Counter
from decimal import Decimal

import duckdb
import pyarrow
import pytest

from dynaberg import Dynaberg, pyiceberg_catalog
from test_mirror import WAREHOUSE

QUERIES = int(os.environ.get("SQL_QUERIES", "300"))
SEED = int(os.environ.get("SQL_SEED", "7"))
BATCH = 100

SALES = pyarrow.schema(
    [
        ("id", pyarrow.int64()),
        ("shop", pyarrow.string()),
        ("kind", pyarrow.string()),
        ("amount", pyarrow.decimal128(12, 2)),
        ("quantity", pyarrow.int32()),
        ("weight", pyarrow.float64()),
        ("day", pyarrow.date32()),
        ("moment", pyarrow.timestamp("us")),
        ("paid", pyarrow.bool_()),
        ("place", pyarrow.struct([("city", pyarrow.string()), ("zip", pyarrow.int32())])),
        ("tags", pyarrow.list_(pyarrow.string())),
        ("rate", pyarrow.decimal128(18, 6)),
    ]
)
SHOPS = pyarrow.schema([("shop", pyarrow.string()), ("city", pyarrow.string()), ("size", pyarrow.int32())])


def rows(chance):
    def maybe(value):
        return None if chance.random() < 0.1 else value

    start = datetime.date(2026, 1, 1)
    sales = [
        {
            "id": number,
            "shop": maybe(chance.choice("ABCDEF")),
            "kind": maybe(chance.choice(["pen", "ink", "Paper", "", "ünder"])),
            "amount": maybe(Decimal(chance.randint(-99999, 99999)) / 100),
            "quantity": maybe(chance.randint(-5, 20)),
            "weight": maybe(chance.randint(-400, 400) / 8),
            "day": maybe(start + datetime.timedelta(days=chance.randint(0, 400))),
            "moment": maybe(datetime.datetime(2026, 1, 1) + datetime.timedelta(seconds=chance.randint(0, 40_000_000))),
            "paid": maybe(chance.random() < 0.5),
            "place": maybe({"city": maybe(chance.choice(["Oslo", "Rome", "Bern"])), "zip": maybe(chance.randint(1, 99))}),
            "tags": maybe([chance.choice("xyz") for _ in range(chance.randint(0, 4))]),
            "rate": maybe(Decimal(chance.randint(-(10**9), 10**9)) / 10**6),
        }
        for number in range(2000)
    ]
    shops = [
        {"shop": shop, "city": maybe(chance.choice(["Oslo", "Rome"])), "size": maybe(chance.randint(1, 9))}
        for shop in "ABCDX"
    ]
    return sales, shops


class Pair(str):
    """A piece of SQL in Athena's words; `duck` is the same in DuckDB's."""

    def __new__(cls, ours, duck=None):
        piece = super().__new__(cls, ours)
        piece.duck = duck if duck is not None else getattr(ours, "duck", str(ours))
        return piece


def sql(template, *pieces):
    return Pair(template.format(*pieces), template.format(*(getattr(piece, "duck", piece) for piece in pieces)))


class Queries:
    """Makes queries out of chance. Every query says its order, or is compared without one."""

    def __init__(self, chance):
        self.chance = chance

    def one_of(self, *makers):
        return self.chance.choice(makers)()

    def integer(self, depth=1):
        pick, n = self.chance.choice, self.chance.randint(1, 9)
        if depth == 0:
            return Pair(pick(["id", "quantity", "length(kind)", "year(day)", "month(day)"]))
        of = lambda: self.integer(depth - 1)  # noqa: E731
        return self.one_of(
            lambda: of(),
            lambda: sql("({} + {})", of(), of()),
            lambda: sql("({} * {})", of(), n),
            lambda: sql("({} % {})", of(), n),
            lambda: sql("abs({})", of()),
            lambda: sql("coalesce({}, {})", of(), n),
            lambda: sql("nullif({}, {})", of(), n),
            lambda: self.truncated(of(), n),
            lambda: Pair(f"date_diff('day', day, DATE '2026-0{n}-15')"),
            lambda: sql("CASE WHEN {} THEN {} ELSE {} END", self.condition(0), of(), n),
            lambda: Pair("day_of_week(day)", "isodow(day)"),
            lambda: Pair("day_of_year(day)", "dayofyear(day)"),
            lambda: Pair("strpos(kind, 'n')"),
            lambda: Pair("place.zip"),
            lambda: Pair("cardinality(tags)", "len(tags)"),
            lambda: Pair("hour(moment)"),
        )

    def truncated(self, of, n):
        # DuckDB's `/` is not integral.
        return Pair(f"({of} / {n})", f"CAST(trunc(CAST({of.duck} AS decimal(18,0)) / {n}) AS bigint)")

    def decimal(self):
        n = self.chance.randint(1, 99)
        return self.one_of(
            lambda: Pair("amount"),
            lambda: Pair(f"amount * {n}"),
            lambda: Pair(f"amount + {n}.25"),
            lambda: Pair("abs(amount)"),
            lambda: Pair("amount * quantity"),
            lambda: Pair(f"coalesce(amount, {n}.50)"),
            lambda: Pair("CAST(quantity AS decimal(12,2)) - amount"),
            lambda: Pair("round(amount, 1)"),
            lambda: Pair("rate"),
            lambda: Pair("rate + amount"),
            lambda: Pair("rate - quantity"),
            # DuckDB's `greatest` passes over NULL.
            lambda: Pair("greatest(rate, amount)", "CASE WHEN rate IS NOT NULL AND amount IS NOT NULL THEN greatest(rate, amount) END"),
            lambda: Pair("CASE shop WHEN 'A' THEN amount WHEN 'B' THEN rate ELSE 0 END"),
            lambda: sql("CASE WHEN {} THEN amount END", self.condition(0)),
        )

    def text(self):
        n = self.chance.randint(1, 3)
        return self.one_of(
            lambda: Pair("kind"),
            lambda: Pair("upper(kind)"),
            lambda: Pair("lower(shop)"),
            lambda: Pair("shop || '-' || kind"),
            lambda: Pair("concat(shop, kind)", "(shop || kind)"),
            lambda: Pair(f"substr(kind, {n})"),
            lambda: Pair(f"substr(kind, {n}, 2)"),
            lambda: Pair("replace(kind, 'n', 'mm')"),
            lambda: Pair("reverse(kind)"),
            lambda: Pair("regexp_replace(kind, '[aeiou]', '*')", "regexp_replace(kind, '[aeiou]', '*', 'g')"),
            lambda: Pair("lpad(shop, 3, '_')"),
            lambda: Pair("date_format(moment, '%Y-%m-%d %H:%i')", "strftime(moment, '%Y-%m-%d %H:%M')"),
            lambda: Pair("CAST(quantity AS varchar)"),
            lambda: Pair("CAST(amount AS varchar)"),
            lambda: Pair("if(paid, 'yes', 'no')", "CASE WHEN paid THEN 'yes' ELSE 'no' END"),
            lambda: Pair("split_part(kind, 'n', 1)"),
            lambda: Pair("place.city"),
            lambda: Pair("element_at(tags, 2)", "list_extract(tags, 2)"),
            lambda: Pair("array_join(tags, '+')", "array_to_string(tags, '+')"),
            lambda: Pair("array_join(array_distinct(array_sort(tags)), '')", "array_to_string(list_sort(list_distinct(tags)), '')"),
            lambda: Pair("coalesce(place.city, shop, kind)"),
            lambda: Pair("element_at(split(kind, 'n'), 1)", "list_extract(string_split(kind, 'n'), 1)"),
        )

    def date(self):
        n, unit = self.chance.randint(1, 20), self.chance.choice(["month", "year", "week", "quarter"])
        return self.one_of(
            lambda: Pair("day"),
            lambda: Pair(f"date_trunc('{unit}', day)", f"CAST(date_trunc('{unit}', day) AS date)"),
            lambda: Pair(f"date_add('day', {n}, day)", f"CAST(day + INTERVAL {n} DAY AS date)"),
            lambda: Pair(f"date_add('month', {n}, day)", f"CAST(day + INTERVAL {n} MONTH AS date)"),
            lambda: Pair(f"day - INTERVAL '{n}' DAY", f"CAST(day - INTERVAL {n} DAY AS date)"),
            lambda: Pair("CAST(moment AS date)"),
            lambda: Pair("last_day_of_month(day)", "last_day(day)"),
        )

    def condition(self, depth=1):
        n = self.chance.randint(0, 12)
        if depth == 0:
            return self.one_of(
                lambda: Pair(f"quantity > {n}"),
                lambda: Pair(f"amount <= {n * 50}.5"),
                lambda: Pair(f"shop IN ('A', '{self.chance.choice('BCD')}')"),
                lambda: Pair("kind LIKE 'p%'"),
                lambda: Pair("kind IS NULL"),
                lambda: Pair("paid"),
                lambda: Pair(f"day >= DATE '2026-{n % 12 + 1:02}-10'"),
                lambda: Pair(f"moment < TIMESTAMP '2026-{n % 12 + 1:02}-03 12:00:00'"),
                lambda: Pair(f"id BETWEEN {n * 10} AND {n * 150}"),
                lambda: Pair("shop IS DISTINCT FROM 'C'"),
                lambda: Pair("regexp_like(kind, '[a-i]n')", "regexp_matches(kind, '[a-i]n')"),
                lambda: Pair(f"weight > {n}.5"),
                lambda: Pair("quantity NOT IN (1, 2, 3)"),
                lambda: Pair("contains(tags, 'x')", "list_contains(tags, 'x')"),
                lambda: Pair(f"place.zip < {n * 8}"),
                lambda: Pair(f"rate BETWEEN -{n}.5 AND {n * 40}.000001"),
                lambda: Pair(f"moment BETWEEN TIMESTAMP '2026-02-{n + 1:02} 00:00:00' AND TIMESTAMP '2026-09-01 10:00:00.000001'"),
                lambda: Pair("CAST(day AS timestamp) < moment"),
                lambda: Pair("nullif(kind, '') IS NOT NULL"),
            )
        left, right = self.condition(depth - 1), self.condition(depth - 1)
        return self.one_of(
            lambda: left,
            lambda: sql("({} AND {})", left, right),
            lambda: sql("({} OR {})", left, right),
            lambda: sql("NOT ({})", left),
        )

    def some(self):
        # Over no rows at all DataFusion gives no grand total: docs/src/sql.md.
        return sql("({} OR id = 0)", self.condition())

    def value(self):
        return self.one_of(self.integer, self.decimal, self.text, self.date, self.condition)

    def aggregate(self):
        return self.one_of(
            lambda: Pair("count(*)"),
            lambda: sql("count({})", self.value()),
            lambda: sql("count(DISTINCT {})", self.value()),
            lambda: sql("sum({})", self.integer()),
            lambda: sql("sum({})", self.decimal()),
            lambda: sql("min({})", self.value()),
            lambda: sql("max({})", self.one_of(self.integer, self.decimal, self.text, self.date)),
            lambda: Pair("avg(quantity)"),
            lambda: Pair("avg(weight)"),
            lambda: self.counted(self.condition()),
            lambda: sql("sum(amount) FILTER (WHERE {})", self.condition()),
            lambda: sql("bool_or({})", self.condition(0)),
            lambda: sql("bool_and({})", self.condition(0)),
            lambda: Pair("max_by(id, id)"),
            lambda: Pair("min_by(shop, id) FILTER (WHERE shop IS NOT NULL)", "arg_min(shop, id)"),
            lambda: Pair("cardinality(array_agg(id))", "len(array_agg(id))"),
            lambda: Pair("var_pop(quantity)"),
            lambda: Pair("stddev(weight)"),
            lambda: Pair("array_join(array_agg(id ORDER BY id DESC), ',')", "array_to_string(array_agg(id ORDER BY id DESC), ',')"),
        )

    def counted(self, of):
        # DuckDB's `count_if` of nothing but NULL is NULL.
        return Pair(f"count_if({of})", f"count(*) FILTER (WHERE {of.duck})")

    def window(self):
        partition = self.chance.choice(["PARTITION BY shop", "PARTITION BY kind, paid", ""])
        function = self.one_of(
            lambda: Pair("row_number()"),
            lambda: Pair("rank()"),
            lambda: Pair("sum(quantity)"),
            lambda: Pair("sum(amount)"),
            lambda: Pair("count(kind)"),
            lambda: Pair(f"lag(amount, {self.chance.randint(1, 3)})"),
            lambda: Pair("lead(day)"),
            lambda: Pair("first_value(kind)"),
            lambda: Pair("max(day)"),
            lambda: Pair("ntile(4)"),
        )
        frame = self.chance.choice(["", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW"])
        frame = frame if function.split("(")[0] in ("sum", "count", "max", "first_value") else ""
        order = self.chance.choice(["id", "amount, id", "day DESC, id", "shop DESC, id"])
        return sql("{} OVER (" + f"{partition} ORDER BY {order}{frame})", function)

    def query(self):
        return self.one_of(
            self.rows, self.groups, self.groups, self.windows, self.join, self.nested, self.sets, self.grouping_sets, self.steps
        )

    def rows(self):
        values = [self.value() for _ in range(self.chance.randint(1, 4))]
        listed = sql(", ".join("{} AS c%d" % index for index in range(len(values))), *values)
        order = self.chance.choice(["amount DESC, id", "day, id DESC", "kind DESC, id", "id"])
        return sql("SELECT id, {} FROM sales WHERE {} ORDER BY " + f"{order} LIMIT 50", listed, self.condition())

    def groups(self):
        keys = [self.one_of(self.integer, self.text, self.date) for _ in range(self.chance.randint(1, 2))]
        values = [self.aggregate() for _ in range(self.chance.randint(1, 3))]
        listed = sql(", ".join("{} AS k%d" % index for index in range(len(keys))), *keys)
        computed = sql(", ".join("{} AS c%d" % index for index in range(len(values))), *values)
        by = ", ".join(str(index + 1) for index in range(len(keys)))
        having = self.chance.choice(["", " HAVING count(*) > 3", " HAVING sum(quantity) > 0"])
        if self.chance.random() < 0.15:
            by = f"ROLLUP ({by})" if len(keys) > 1 else by
        if "ROLLUP" in by:
            return sql("SELECT k0, k1, count(*) AS n FROM (SELECT {} FROM sales WHERE {}) AS g GROUP BY ROLLUP (k0, k1)", listed, self.some())
        return sql("SELECT {}, {} FROM sales WHERE {} GROUP BY " + by + having, listed, computed, self.condition())

    def windows(self):
        return sql("SELECT id, {} AS w, {} AS v FROM sales WHERE {}", self.window(), self.window(), self.condition())

    def grouping_sets(self):
        sets = self.chance.choice(
            ["GROUPING SETS ((shop, kind), (shop), ())", "CUBE (shop, kind)", "GROUPING SETS ((kind), (shop, kind))"]
        )
        return sql(
            "SELECT shop, kind, grouping(shop) AS g, {} AS v, {} AS w FROM sales WHERE {} GROUP BY " + sets,
            self.aggregate(), self.aggregate(), self.some(),
        )

    def steps(self):
        return sql(
            "WITH a AS (SELECT *, {} AS made FROM sales WHERE {}), b AS (SELECT shop, made, count(*) AS n, max(rate) AS top "
            "FROM a GROUP BY shop, made), c AS (SELECT b.*, rank() OVER (PARTITION BY shop ORDER BY n DESC, top DESC) AS place "
            "FROM b) SELECT c.shop, made, n, top, place, city FROM c JOIN shops AS p ON p.shop = c.shop WHERE place <= 5",
            self.one_of(self.integer, self.text, self.date), self.condition(),
        )

    def join(self):
        kind = self.chance.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        value = self.chance.choice(["count(*)", "sum(s.amount)", "max(s.day)", "count(DISTINCT s.kind)", "min(s.id)"])
        key = self.chance.choice(["city", "p.shop", "size", "s.shop"])
        return sql(
            f"SELECT {key} AS k, {value} AS v FROM (SELECT * FROM sales WHERE {{}}) AS s {kind} shops AS p "
            f"ON s.shop = p.shop GROUP BY {key}",
            self.condition(),
        )

    def nested(self):
        return self.one_of(
            lambda: sql("SELECT id FROM sales WHERE amount > (SELECT avg(weight) FROM sales WHERE {}) AND {}", self.condition(), self.condition()),
            lambda: sql("SELECT count(*) AS n FROM sales WHERE shop NOT IN (SELECT shop FROM shops WHERE size > 3) AND {}", self.condition()),
            lambda: sql("SELECT id FROM sales AS s WHERE EXISTS (SELECT 1 FROM shops AS p WHERE p.shop = s.shop AND p.size > 4) AND {}", self.condition()),
            lambda: sql("WITH g AS (SELECT shop, sum(amount) AS total FROM sales WHERE {} GROUP BY shop) SELECT g.shop, total, city FROM g LEFT JOIN shops AS p ON p.shop = g.shop", self.condition()),
            lambda: sql("SELECT id, amount FROM (SELECT id, amount, row_number() OVER (PARTITION BY shop ORDER BY amount DESC, id) AS n FROM sales WHERE {}) AS r WHERE n <= 2", self.condition()),
            lambda: Pair(
                "SELECT id, part, n FROM sales CROSS JOIN UNNEST(split(kind, 'n')) WITH ORDINALITY AS t(part, n) WHERE id < 60",
                "SELECT id, unnest(string_split(kind, 'n')) AS part, unnest(range(1, len(string_split(kind, 'n')) + 1)) AS n FROM sales WHERE id < 60",
            ),
        )

    def sets(self):
        value = self.one_of(lambda: "shop", lambda: "kind", lambda: "quantity", lambda: "day")
        kind = self.chance.choice(["UNION", "UNION ALL", "EXCEPT", "INTERSECT"])
        side = f"SELECT {value} FROM sales WHERE {{}}"
        return sql(f"{side} {kind} {side}", self.condition(), self.condition())


def answers(running, queries, folder):
    """The rows of each query; one process answers them all."""
    file = folder / "queries.sql"
    file.write_text(";\n".join(queries))
    text = running.run("sql", "--file", str(file), "--output", "json", timeout=600).stdout
    decoder, at, found = json.JSONDecoder(parse_float=Decimal), 0, []
    while at < len(text.rstrip()):
        document, at = decoder.raw_decode(text, at)
        found.append(document)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def same_form(value, of):
    """A value of a column that DuckDB has as `of`."""
    if isinstance(value, bool) or value is None:
        return value
    if of == "DOUBLE":
        # A little off the middle between two roundings.
        return f"{float(value) * (1 + 1e-11):.8g}"
    if of in ("BIGINT", "INTEGER", "HUGEINT") or of.startswith("DECIMAL"):
        return Decimal(str(value)).normalize()
    return value.isoformat() if hasattr(value, "isoformat") else value


@pytest.fixture
def lake(tmp_path):
    running = Dynaberg(tmp_path / "data")
    try:
        s3tables = running.client("s3tables")
        arn = s3tables.create_table_bucket(name="lake")["arn"]
        s3tables.create_namespace(tableBucketARN=arn, namespace=["shop"])
        catalog, duck = pyiceberg_catalog(running, WAREHOUSE.format("lake")), duckdb.connect()
        for name, schema, records in zip(("sales", "shops"), (SALES, SHOPS), rows(random.Random(SEED))):
            table = pyarrow.Table.from_pylist(records, schema=schema)
            created = catalog.create_table(f"shop.{name}", schema)
            for start in range(0, len(table), 700):
                created.append(table.slice(start, 700))
            duck.register(f"{name}_rows", table)
            duck.execute(f"CREATE TABLE {name} AS SELECT * FROM {name}_rows")
        yield running, duck
    finally:
        running.stop()


def test_random_queries_are_answered_as_duckdb_does(lake, tmp_path):
    running, duck = lake
    queries = Queries(random.Random(SEED))
    made = [queries.query() for _ in range(QUERIES)]
    wrong = []
    for start in range(0, QUERIES, BATCH):
        batch = made[start : start + BATCH]
        for query, ours in zip(batch, answers(running, batch, tmp_path), strict=True):
            cursor = duck.execute(query.duck)
            columns = [(column[0], str(column[1])) for column in cursor.description]
            theirs = [tuple(map(same_form, row, [of for _, of in columns])) for row in cursor.fetchall()]
            ours = [tuple(same_form(row.get(name), of) for name, of in columns) for row in ours]
            is_same = ours == theirs if "LIMIT" in query else Counter(ours) == Counter(theirs)
            if not is_same:
                differing = list((Counter(ours) - Counter(theirs)).items())[:3], list((Counter(theirs) - Counter(ours)).items())[:3]
                wrong.append(f"{query}\n{query.duck}\nours, theirs: {differing}")
    assert not wrong, f"seed {SEED}: {len(wrong)} of {QUERIES} differ\n\n" + "\n\n".join(wrong[:20])
