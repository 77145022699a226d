"""DuckDB's CPU-seconds for a query over a table of the namespace analytics: the least of several runs in one warm process.

The table's data files are copied to this machine's disk first, so that only the query is measured.
"""

import sys
import tempfile
import time

import duckdb

from data_files import download


def main():
    name, sql, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        download(name, folder)
        connection = duckdb.connect()
        connection.execute("CREATE SCHEMA analytics")
        connection.execute(f"CREATE VIEW analytics.{name} AS SELECT * FROM '{folder}/*.parquet'")
        best = float("inf")
        for _ in range(repeats):
            started = time.process_time()
            connection.sql(sql).fetchall()
            best = min(best, time.process_time() - started)
    print(best)


if __name__ == "__main__":
    main()
