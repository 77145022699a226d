//! `cargo xtask bench processing`: what a transform, a function, a queue and held letters cost.

mod function;
mod letters;
mod queue;
mod transform;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::process::{Usage, wait};
use super::stack::{NEVER, Stack};
use crate::workspace::{build_binary, root};

pub fn run(part: Option<&str>) -> Result<()> {
    let binary = build_binary("release")?;
    let is_wanted = |name: &str| part.is_none_or(|part| part == name);
    if is_wanted("transform") {
        transform::run(&binary)?;
    }
    if is_wanted("function") {
        function::run(&binary)?;
    }
    if is_wanted("queue") {
        queue::run(&binary)?;
    }
    if is_wanted("letters") {
        letters::run(&binary)?;
    }
    Ok(())
}

/// A stack of its own, so that no other benchmark's data folder is in the way.
fn start(binary: &Path) -> Result<Stack> {
    Stack::start(binary, &std::env::temp_dir().join("dynaberg-bench-processing"), &[], NEVER)
}

/// The example's pipeline with this `[transform]`, as a file in the stack's data folder.
fn pipeline(stack: &Stack, transform: &str) -> Result<PathBuf> {
    let plain = std::fs::read_to_string(root().join("examples/transactions/transactions.toml"))?;
    let path = stack.data_dir.join("transactions.toml");
    std::fs::write(&path, format!("{plain}\n[transform]\n{transform}\n"))?;
    Ok(path)
}

/// Replays a file into the table; gives what the process used and its summary.
fn replay(stack: &Stack, pipeline: &Path, file: &Path) -> Result<(Usage, Value)> {
    let mut command = stack.verb(&["replay"]);
    command.env("BENCH_TOKEN_KEY", "0123456789abcdef0123456789abcdef");
    command.arg(pipeline).arg(file).args(["--commit-every", "100000", "--output", "json", "--data-dir"]);
    let mut child = command.arg(stack.data_dir.join("replay")).stdout(Stdio::piped()).spawn().context("replay")?;
    let printed = std::io::read_to_string(child.stdout.take().context("its output")?)?;
    let (status, used) = wait(&child)?;
    ensure!(status.success(), "replay: {status}\n{printed}");
    Ok((used, serde_json::from_str(&printed)?))
}

/// What a query answers: the cells of its only row.
fn row(stack: &Stack, sql: &str) -> Result<Vec<String>> {
    let printed = crate::workspace::output(&mut stack.verb(&["sql", sql, "--output", "csv"]))?;
    let row = printed.lines().nth(1).context("the query gave no row")?;
    Ok(row.split(',').map(str::to_owned).collect())
}
