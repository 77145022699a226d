//! `cargo xtask bench query`: the two analytics queries on 1 M and 10 M rows, beside DuckDB on the same files.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::ingest::dataset;
use super::process::wait;
use super::stack::{NEVER, Stack};
use crate::dataset::Dataset;
use crate::python;
use crate::workspace::{build_binary, output, root, run};

/// Runs of a query in one process.
const RUNS: usize = 8;
/// Processes, of which the one that used least counts.
const PROCESSES: usize = 3;

pub fn run_bench() -> Result<()> {
    let binary = build_binary("release")?;
    println!("| table | query | dynaberg CPU-s, first run | further run | DuckDB CPU-s | ratio of further runs |");
    println!("|---|---|--:|--:|--:|--:|");
    // A has no deletes; in B a third of the events replaced or removed a row.
    for kind in [Dataset::A, Dataset::B] {
        let (file, _) = dataset(kind)?;
        let stack = Stack::start(&binary, &std::env::temp_dir().join("dynaberg-bench"), &[], NEVER)?;
        stack.make_table()?;
        let pipeline = root().join("examples/transactions/transactions.toml");
        let mut replay = stack.verb(&["replay"]);
        replay.arg(pipeline).arg(&file).args(["--commit-every", "100000", "--data-dir"]);
        run(replay.arg(stack.data_dir.join("replay")).stdout(Stdio::null()))?;
        compare(&stack, &format!("{kind:?}"), "transactions")?;
        if kind == Dataset::A {
            let columns = "SELECT t.* FROM analytics.transactions t CROSS JOIN UNNEST(sequence(1, 10)) AS s(n)";
            run(stack.verb(&["sql", &format!("CREATE TABLE analytics.ten_fold AS {columns}")]).stdout(Stdio::null()))?;
            compare(&stack, "A ten times, 10 M rows", "ten_fold")?;
        }
    }
    Ok(())
}

/// Both queries on `table` of the namespace analytics, a line of the result each.
fn compare(stack: &Stack, label: &str, table: &str) -> Result<()> {
    let start = cpu_seconds(stack, "SELECT 1 AS one")?;
    for name in ["hourly", "risk"] {
        let sql = sql(name, table)?;
        let once = cpu_seconds(stack, &sql)?;
        let further = (cpu_seconds(stack, &[sql.as_str(); RUNS].join(";"))? - once) / (RUNS - 1) as f64;
        let theirs = duckdb(stack, table, &sql)?;
        let ratio = further / theirs;
        println!("| {label} | {name} | {:.3} | {further:.3} | {theirs:.3} | {ratio:.2} |", once - start);
    }
    Ok(())
}

/// A query of the examples, over all days: the dataset's dates are not today's.
fn sql(name: &str, table: &str) -> Result<String> {
    let sql = std::fs::read_to_string(root().join(format!("examples/transactions/{name}.sql")))?;
    Ok(sql
        .replace("WHERE date = CURRENT_DATE", "WHERE date > DATE '2000-01-01'")
        .replace("CURRENT_DATE - INTERVAL '7' DAY", "DATE '2000-01-01'")
        .replace("FROM transactions", &format!("FROM analytics.{table}")))
}

/// The least CPU time of several whole processes.
pub(super) fn cpu_seconds(stack: &Stack, sql: &str) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..PROCESSES {
        let mut query = stack.verb(&["sql", sql, "--output", "csv"]);
        let child = query.stdout(Stdio::null()).spawn().context("start dynaberg sql")?;
        let (status, used) = wait(&child)?;
        anyhow::ensure!(status.success(), "dynaberg sql: {status}");
        best = best.min(used.cpu.as_secs_f64());
    }
    Ok(best)
}

/// DuckDB's CPU time for the query in a process that is warm, on the same Parquet files.
fn duckdb(stack: &Stack, table: &str, sql: &str) -> Result<f64> {
    let mut command = Command::new(python::interpreter()?);
    command.arg(root().join("tests/bench/duckdb_query.py")).args([table, sql, &RUNS.to_string()]);
    Ok(output(stack.environment(&mut command))?.trim().parse()?)
}
