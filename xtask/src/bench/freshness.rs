//! `cargo xtask bench freshness`: from an acknowledged write to the snapshot that shows it, by either stream.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::kinesis;
use super::stack::{NEVER, Stack};
use crate::python;
use crate::workspace::{build_binary, root, run};

const ITEMS_PER_SECOND: u32 = 500;
const SECONDS: u32 = 60;

pub fn run_bench() -> Result<()> {
    let binary = build_binary("release")?;
    measure(&binary, "dynamodb", root().join("examples/transactions/transactions.toml"))?;
    measure(&binary, "kinesis", kinesis::pipeline(&std::env::temp_dir())?)
}

fn measure(binary: &Path, stream: &str, pipeline: PathBuf) -> Result<()> {
    let stack = Stack::start(binary, &std::env::temp_dir().join("dynaberg-bench"), &[&pipeline], NEVER)?;
    let mut writer = Command::new(python::interpreter()?);
    writer.arg(root().join("tests/bench/freshness.py"));
    writer.args(["--rate", &ITEMS_PER_SECOND.to_string(), "--seconds", &SECONDS.to_string(), "--stream", stream]);
    run(stack.environment(&mut writer))?;
    let used = stack.usage()?;
    println!("{stream}: dynaberg dev {:.1} CPU-seconds, peak {} MiB", used.cpu.as_secs_f64(), used.peak_bytes >> 20);
    Ok(())
}
