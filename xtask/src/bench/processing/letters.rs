//! A million held letters, grouped by `dynaberg dlq list`.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{pipeline, replay, start};
use crate::bench::ingest::dataset;
use crate::bench::process::{stopwatch, wait};
use crate::dataset::Dataset;

const RUNS: usize = 3;

/// No record passes: those of even minutes have no number as their status, the others divide by zero.
const TRANSFORM: &str = "sql = '''
SELECT transaction_id, timestamp,
       cast(CASE WHEN minute % 2 = 0 THEN cast(status AS int) ELSE 100 / (hour - hour) END AS int) AS hour
FROM   changes
'''";

pub fn run(binary: &Path) -> Result<()> {
    let stack = start(binary)?;
    stack.make_table()?;
    let (file, _) = dataset(Dataset::A)?;
    let declared = pipeline(&stack, TRANSFORM)?;
    let (used, summary) = replay(&stack, &declared, &file)?;
    let rejected = summary["rejected"].as_u64().context("no count")?;
    println!("| letters | made: CPU/M | grouped: wall s | CPU-s | peak MiB |");
    println!("|--:|--:|--:|--:|--:|");
    let (mut wall, mut cpu, mut peak) = (f64::INFINITY, f64::INFINITY, 0);
    for _ in 0..RUNS {
        let started = stopwatch();
        let mut list = stack.verb(&["dlq", "list"]);
        let mut child = list.arg(&declared).args(["--output", "json"]).stdout(Stdio::piped()).spawn()?;
        let groups: Vec<Value> = serde_json::from_reader(child.stdout.take().context("its output")?)?;
        let (status, listing) = wait(&child)?;
        ensure!(status.success(), "dynaberg dlq list: {status}");
        let held: u64 = groups.iter().filter_map(|group| group["held"].as_u64()).sum();
        ensure!(held == rejected && groups.len() == 2, "{rejected} were rejected, not {groups:?}");
        wall = wall.min(started.elapsed().as_secs_f64());
        cpu = cpu.min(listing.cpu.as_secs_f64());
        peak = peak.max(listing.peak_bytes >> 20);
    }
    println!("| {rejected} | {:.1} | {wall:.2} | {cpu:.2} | {peak} |", used.cpu.as_secs_f64());
    Ok(())
}
