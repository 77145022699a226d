//! `cargo xtask bench freshness`: from an acknowledged write to the snapshot that shows it.

use std::process::Command;

use anyhow::Result;

use super::stack::{NEVER, Stack};
use crate::python;
use crate::workspace::{build_binary, root, run};

const ITEMS_PER_SECOND: u32 = 500;
const SECONDS: u32 = 60;

pub fn run_bench() -> Result<()> {
    let binary = build_binary("release")?;
    let pipeline = root().join("examples/transactions/transactions.toml");
    let stack = Stack::start(&binary, &std::env::temp_dir().join("dynaberg-bench"), &[&pipeline], NEVER)?;
    let mut writer = Command::new(python::interpreter()?);
    writer.arg(root().join("tests/bench/freshness.py"));
    writer.args(["--rate", &ITEMS_PER_SECOND.to_string(), "--seconds", &SECONDS.to_string()]);
    run(stack.environment(&mut writer))?;
    let used = stack.usage()?;
    println!("dynaberg dev: {:.1} CPU-seconds, peak {} MiB", used.cpu.as_secs_f64(), used.peak_bytes >> 20);
    Ok(())
}
