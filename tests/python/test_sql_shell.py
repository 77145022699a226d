"""`dynaberg sql` as a tool: at a terminal, in a pipe, and within a memory limit."""

import json
import os
import pty
import re
import select
import signal
import subprocess

import pytest

from dynaberg import BINARY

ENDLESS = "SELECT count(*) AS n FROM generate_series(1, 1000000000000) t(x) WHERE x % 7 = 8"


class Terminal:
    """`dynaberg sql` on a terminal of its own."""

    def __init__(self, dynaberg, home, *options):
        self.ours, theirs = pty.openpty()
        environment = {**dynaberg.environment, "HOME": str(home), "TERM": "xterm"}
        self.process = subprocess.Popen(
            [BINARY, "sql", *options], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.seen = ""

    def expect(self, pattern):
        """Reads until the pattern is there, and gives what stood up to its end."""
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self.ours], [], [], 60)
            assert ready, f"no {pattern!r} in {self.seen!r}"
            read = os.read(self.ours, 4096).decode()
            self.seen += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read)
        text, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return text

    def type(self, text):
        os.write(self.ours, text.encode())

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


@pytest.fixture(scope="module")
def lake(dynaberg):
    dynaberg.client("s3tables").create_table_bucket(name="shell")
    return dynaberg


@pytest.fixture
def terminal(lake, tmp_path):
    opened = Terminal(lake, tmp_path)
    yield opened
    opened.close()


def test_a_statement_of_several_lines_ends_with_its_semicolon(terminal):
    terminal.expect("sql> ")
    terminal.type("SELECT 1 AS one,\r")
    terminal.expect("  -> ")
    terminal.type("';' AS two;\r")
    assert re.search(r"\| 1 +\| ; +\|", terminal.expect("1 rows"))
    terminal.expect("sql> ")
    terminal.type("SELECT nosuch(1);\r")
    terminal.expect("no function named nosuch")
    terminal.expect("sql> ")
    terminal.type(".help\r")
    terminal.expect("Ctrl-C")
    terminal.expect("sql> ")
    terminal.type(".quit\r")
    assert terminal.process.wait(timeout=60) == 0


def test_ctrl_c_ends_the_query_and_not_the_shell(terminal, tmp_path):
    terminal.expect("sql> ")
    terminal.type(f"{ENDLESS};\r")
    # The line is taken before the query begins.
    terminal.expect(r"x % 7 = 8;\r?\n")
    while (tmp_path / ".dynaberg_history").exists() is False:
        select.select([], [], [], 0.01)
    terminal.process.send_signal(signal.SIGINT)
    terminal.expect("cancelled")
    terminal.expect("sql> ")
    terminal.type("SELECT 41 + 1 AS answer;\r")
    terminal.expect(r"\| 42 ")
    terminal.expect("sql> ")
    # What was asked comes back with the arrow keys, also the next time.
    terminal.type("\x1b[A\x1b[A\r")
    terminal.expect(r"x % 7 = 8;\r?\n")
    lines = (tmp_path / ".dynaberg_history").read_text().splitlines()
    assert lines[:2] == [f"{ENDLESS};", "SELECT 41 + 1 AS answer;"]


def test_rows_come_as_lines_of_json(lake):
    query = "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS t (n, s) ORDER BY n"
    lines = lake.run("sql", query, "--output", "ndjson").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [{"n": 1, "s": "a"}, {"n": 2, "s": None}]
    assert lake.run("sql", f"SELECT * FROM ({query}) q WHERE n > 2", "--output", "ndjson").stdout == ""


def test_a_query_beyond_its_memory_names_the_limit_and_the_option(lake):
    # An aggregate of one group cannot spill.
    hungry = "SELECT array_agg(x) AS all FROM generate_series(1, 4000000) t(x)"
    failed = lake.run("sql", hungry, "--memory", "10MB", check=False)
    assert failed.returncode != 0
    assert "DYN208" in failed.stderr and "10.0 MB" in failed.stderr and "--memory" in failed.stderr
    sorts = "SELECT count(*) AS n FROM (SELECT x, row_number() OVER (ORDER BY x DESC) AS r FROM generate_series(1, 3000000) t(x)) WHERE r > 0"
    assert json.loads(lake.run("sql", sorts, "--memory", "60MB").stdout) == [{"n": 3000000}]


def test_grouping_by_more_texts_than_memory_holds_spills(lake):
    # 300,000 groups with 30 MB of text; each is there once, whatever part of it was written to disk.
    texts = "SELECT concat(lpad('', 80, 'x'), CAST(x AS varchar)) AS a, concat('b', CAST(x % 1000 AS varchar)) AS b FROM generate_series(1, 300000) t(x)"
    grouped = f"SELECT a, b, count(*) AS n FROM ({texts}) AS made GROUP BY a, b"
    first = json.loads(lake.run("sql", f"{grouped} ORDER BY a DESC, b LIMIT 2", "--memory", "32MB").stdout)
    assert [(row["a"][-5:], row["b"], row["n"]) for row in first] == [("99999", "b999", 1), ("99998", "b998", 1)]
    whole = f"SELECT count(*) AS groups, sum(n) AS n, count(DISTINCT b) AS bs FROM ({grouped}) AS g"
    assert json.loads(lake.run("sql", whole, "--memory", "32MB").stdout) == [{"groups": 300_000, "n": 300_000, "bs": 1000}]
