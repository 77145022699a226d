//! `cargo xtask bench maintain`: what 1,000 commits do to a table, and what maintenance makes of it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::ingest::{check, dataset as dataset_file};
use super::process::{Usage, wait};
use super::query::cpu_seconds;
use super::stack::{NEVER, Stack};
use crate::dataset::{self, Dataset};
use crate::python;
use crate::workspace::{build_binary, output, root};

/// Of 1 M events that makes 1,000 commits.
const COMMIT_EVERY: &str = "1000";
/// Scans in one process, after the first.
const FURTHER_SCANS: usize = 8;
const SEED_OF_MORE: u64 = 8;

/// What it costs to read a table.
struct Reading {
    first: f64,
    further: f64,
    plan_ms: f64,
    files: u64,
    bytes_per_row: f64,
}

pub fn run_bench() -> Result<()> {
    let binary = build_binary("release")?;
    let (file, expected) = dataset_file(Dataset::B)?;
    println!("| table | scan CPU-s, first run | further run | plan, ms | data files | object bytes a live row |");
    println!("|---|--:|--:|--:|--:|--:|");

    let stack = start(&binary, NEVER)?;
    replay(&stack, &file, "1000000")?;
    show("written at once", &read(&stack)?);
    drop(stack);

    let stack = start(&binary, NEVER)?;
    replay(&stack, &file, "100000")?;
    let others = others(&stack)?;
    let large = maintain(&stack)?;
    check(&stack, &expected)?;
    show("10 commits, then maintained", &read(&stack)?);
    drop(stack);

    let stack = start(&binary, NEVER)?;
    let (alone, alone_wall) = replay(&stack, &file, COMMIT_EVERY)?;
    show("1,000 commits", &read(&stack)?);
    let small = maintain(&stack)?;
    check(&stack, &expected)?;
    show("1,000 commits, then maintained", &read(&stack)?);
    // Metadata of before is kept for some commits more.
    let more = std::env::temp_dir().join("dynaberg-bench-more.jsonl");
    dataset::write(Dataset::B, 25_000, SEED_OF_MORE, &more)?;
    replay(&stack, &more, COMMIT_EVERY)?;
    maintain(&stack)?;
    show("25 more commits, then maintained", &read(&stack)?);
    std::fs::remove_file(&more)?;
    drop(stack);

    let stack = start(&binary, "1s")?;
    let (beside, beside_wall) = replay(&stack, &file, COMMIT_EVERY)?;
    check(&stack, &expected)?;
    show("1,000 commits, maintained meanwhile", &read(&stack)?);
    drop(stack);

    let stack = start(&binary, NEVER)?;
    let inserts = std::env::temp_dir().join("dynaberg-bench-inserts.jsonl");
    let expected = dataset::write(Dataset::A, 2_000_000, SEED_OF_MORE, &inserts)?;
    replay(&stack, &inserts, "500000")?;
    std::fs::remove_file(&inserts)?;
    let copied = maintain(&stack)?;
    let nothing = maintain(&stack)?;
    check(&stack, &expected)?;
    drop(stack);

    println!();
    for done in [&large, &small, &copied, &nothing] {
        tell(done);
    }
    print!("the 10 files by other engines, one thread, deleted rows included\n{others}");
    println!(
        "ingest alone: {:.2} CPU-s, {:.1} s; beside maintenance every second: {:.2} CPU-s, {:.1} s",
        alone.cpu.as_secs_f64(),
        alone_wall.as_secs_f64(),
        beside.cpu.as_secs_f64(),
        beside_wall.as_secs_f64(),
    );
    Ok(())
}

/// What a `dynaberg maintain` did, and what it took.
fn tell((used, summary): &(Usage, Value)) {
    let compaction = &summary["compaction"];
    let megabytes = compaction["bytes_before"].as_f64().unwrap_or_default() / 1e6;
    println!(
        "`dynaberg maintain`: {} files → {}, {megabytes:.1} MB of Parquet in {:.2} CPU-s, peak {} MiB",
        compaction["files_before"],
        compaction["files_after"],
        used.cpu.as_secs_f64(),
        used.peak_bytes >> 20,
    );
}

fn start(binary: &Path, pause: &str) -> Result<Stack> {
    let stack = Stack::start(binary, &std::env::temp_dir().join("dynaberg-bench"), &[], pause)?;
    stack.make_table()?;
    Ok(stack)
}

/// What a replay used, and how long it took.
fn replay(stack: &Stack, file: &Path, commit_every: &str) -> Result<(Usage, Duration)> {
    let mut replay = stack.verb(&["replay"]);
    replay.arg(root().join("examples/transactions/transactions.toml")).arg(file);
    replay.args(["--commit-every", commit_every, "--output", "json", "--data-dir"]).arg(stack.data_dir.join("replay"));
    let (used, summary) = json_of(&mut replay)?;
    Ok((used, Duration::from_millis(summary["elapsed_ms"].as_f64().unwrap_or_default() as u64)))
}

fn maintain(stack: &Stack) -> Result<(Usage, Value)> {
    let mut maintain = stack.verb(&["maintain", "analytics.transactions", "--output", "json"]);
    maintain.args(["--min-snapshots", "1", "--max-snapshot-age", "1ms", "--grace", "1s"]);
    json_of(&mut maintain)
}

/// What others take to write the rows of the table's data files again.
fn others(stack: &Stack) -> Result<String> {
    let mut command = Command::new(python::interpreter()?);
    output(stack.environment(command.arg(root().join("tests/bench/rewrite.py")).arg("transactions")))
}

/// What a verb used, and the document that it printed.
fn json_of(verb: &mut Command) -> Result<(Usage, Value)> {
    let mut child = verb.stdout(Stdio::piped()).spawn().context("start a verb")?;
    let printed = std::io::read_to_string(child.stdout.take().context("its output")?)?;
    let (status, used) = wait(&child)?;
    ensure!(status.success(), "{status}\n{printed}");
    Ok((used, serde_json::from_str(&printed)?))
}

/// Every column of every row has to be looked at.
fn read(stack: &Stack) -> Result<Reading> {
    let table = describe(stack)?;
    let columns = table["columns"].as_array().context("no columns")?.iter();
    let columns = columns.filter_map(|column| Some(format!("max(\"{}\")", column["column"].as_str()?)));
    let scan = format!("SELECT {} FROM analytics.transactions", columns.collect::<Vec<_>>().join(", "));
    let nothing = "SELECT 1 AS one";
    let start = cpu_seconds(stack, nothing)?;
    let further = |sql: &str, once: f64| -> Result<f64> {
        let several = [sql; FURTHER_SCANS + 1].join(";");
        Ok((cpu_seconds(stack, &several)? - once) / FURTHER_SCANS as f64)
    };
    let first = cpu_seconds(stack, &scan)?;
    let explain = format!("EXPLAIN {scan}");
    let plan = further(&explain, cpu_seconds(stack, &explain)?)?;
    Ok(Reading {
        first: first - start,
        further: further(&scan, first)?,
        plan_ms: plan * 1e3,
        files: table["files"].as_u64().context("no file count")?,
        bytes_per_row: stack.object_bytes()? as f64 / table["rows"].as_f64().context("no row count")?,
    })
}

fn describe(stack: &Stack) -> Result<Value> {
    let mut show = stack.verb(&["tables", "show", "analytics.transactions", "--output", "json"]);
    let output = show.output().context("run dynaberg tables show")?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn show(name: &str, reading: &Reading) {
    let Reading { first, further, plan_ms, files, bytes_per_row } = reading;
    println!("| {name} | {first:.3} | {further:.3} | {plan_ms:.1} | {files} | {bytes_per_row:.0} |");
}
