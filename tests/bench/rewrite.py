"""What other engines take to read a table's data files and write their rows again: zstd 1, one thread, files on this
machine's disk, no row left out. The least of three runs each.
"""

import io
import os
import sys
import tempfile
import time

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from data_files import download

RUNS = 3


def by_pyarrow(paths):
    for path in paths:
        table = pq.read_table(path, use_threads=False)
        pq.write_table(table, io.BytesIO(), compression="zstd", compression_level=1)


def by_duckdb(paths):
    connection = duckdb.connect(config={"threads": 1})
    target = f"{os.path.dirname(paths[0])}/rewritten"
    options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
    connection.execute(f"COPY (SELECT * FROM read_parquet({paths})) TO '{target}' ({options})")


def cpu_seconds(rewrite, paths):
    started = time.process_time()
    rewrite(paths)
    return time.process_time() - started


def main():
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = download(sys.argv[1], folder)
        megabytes = sum(os.path.getsize(path) for path in paths) / 1e6
        for name, rewrite in {"pyarrow": by_pyarrow, "DuckDB": by_duckdb}.items():
            least = min(cpu_seconds(rewrite, paths) for _ in range(RUNS))
            print(f"{name}: {len(paths)} files, {megabytes:.1f} MB of Parquet again in {least:.2f} CPU-s")


if __name__ == "__main__":
    main()
