//! `cargo xtask bench ingest`: `replay` on datasets A and B, each result checked before it counts.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use super::process::{Usage, wait};
use super::stack::{NEVER, Stack};
use crate::dataset::{self, Dataset, Expected};
use crate::workspace::{build_binary, cache_dir, root};

const EVENTS: u64 = 1_000_000;
const SEED: u64 = 7;

pub fn run() -> Result<()> {
    let binary = build_binary("release")?;
    println!(
        "| dataset, commit every | CPU/M | of it replay | peak MiB (replay, services) | bytes/event | commits | commit p50 / p99 | wall s |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for (kind, commit_every) in
        [(Dataset::A, 100_000), (Dataset::A, 10_000), (Dataset::B, 100_000), (Dataset::B, 10_000)]
    {
        let (file, expected) = dataset(kind)?;
        measure(&binary, kind, &file, &expected, commit_every)?;
    }
    Ok(())
}

/// Makes the dataset where the cache does not hold it yet.
pub fn dataset(kind: Dataset) -> Result<(PathBuf, Expected)> {
    let file = cache_dir()?.join(format!("dataset-{kind:?}-{EVENTS}-{SEED}-v1.jsonl"));
    let noted = file.with_extension("expected");
    if let Ok(text) = std::fs::read_to_string(&noted) {
        let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [rows, amount_cents, checksum] = numbers[..] else { bail!("{} is not ours", noted.display()) };
        return Ok((file, Expected { rows, amount_cents, checksum }));
    }
    eprintln!("writing dataset {kind:?}, {EVENTS} events, to {}", file.display());
    let expected = dataset::write(kind, EVENTS, SEED, &file)?;
    std::fs::write(&noted, format!("{} {} {}", expected.rows, expected.amount_cents, expected.checksum))?;
    Ok((file, expected))
}

fn measure(binary: &Path, kind: Dataset, file: &Path, expected: &Expected, commit_every: u64) -> Result<()> {
    let stack = Stack::start(binary, &std::env::temp_dir().join("dynaberg-bench"), &[], NEVER)?;
    stack.make_table()?;
    let before = stack.usage()?;
    let empty_bytes = stack.stored_bytes()?;

    let index = stack.data_dir.join("replay");
    let pipeline = root().join("examples/transactions/transactions.toml");
    let every = commit_every.to_string();
    let mut replay = stack.verb(&["replay"]);
    replay.arg(&pipeline).arg(file).args(["--commit-every", &every, "--output", "json", "--data-dir"]).arg(&index);
    let mut child = replay.stdout(Stdio::piped()).spawn().context("start replay")?;
    let printed = std::io::read_to_string(child.stdout.take().context("its output")?)?;
    let (status, used) = wait(&child)?;
    ensure!(status.success(), "replay: {status}\n{printed}");
    let summary: serde_json::Value = serde_json::from_str(&printed)?;
    let services = stack.usage()?;
    check(&stack, expected)?;
    report(kind, commit_every, used, before, services, stack.stored_bytes()? - empty_bytes, &summary);
    Ok(())
}

/// The table holds exactly the rows that the dataset leaves, every column of them.
pub fn check(stack: &Stack, expected: &Expected) -> Result<()> {
    let mut query = stack.verb(&["sql", "SELECT * FROM analytics.transactions", "--output", "csv"]);
    let mut child = query.stdout(Stdio::piped()).spawn().context("start dynaberg sql")?;
    let found = Expected::of_csv(BufReader::new(child.stdout.take().context("its output")?))?;
    ensure!(child.wait()?.success(), "dynaberg sql failed");
    ensure!(found == *expected, "the table is wrong: {found:?} is not {expected:?}");
    Ok(())
}

fn report(
    kind: Dataset,
    commit_every: u64,
    replay: Usage,
    before: Usage,
    services: Usage,
    bytes: u64,
    summary: &serde_json::Value,
) {
    let millions = EVENTS as f64 / 1e6;
    let mib = |usage: Usage| usage.peak_bytes >> 20;
    let services_cpu = services.cpu.saturating_sub(before.cpu);
    println!(
        "| {kind:?}, {commit_every} | {:.1} | {:.1} | {}, {} | {:.0} | {} | {} / {} ms | {:.1} |",
        (replay.cpu + services_cpu).as_secs_f64() / millions,
        replay.cpu.as_secs_f64() / millions,
        mib(replay),
        mib(services),
        bytes as f64 / EVENTS as f64,
        summary["commits"],
        summary["commit_p50_ms"],
        summary["commit_p99_ms"],
        summary["elapsed_ms"].as_f64().unwrap_or_default() / 1000.0,
    );
}
