//! `cargo xtask bench firehose`: from a PutRecordBatch to the snapshot that shows its records.

use std::process::Command;

use anyhow::Result;

use super::stack::{NEVER, Stack};
use crate::python;
use crate::workspace::{build_binary, root, run};

pub fn run_bench() -> Result<()> {
    let binary = build_binary("release")?;
    let stack = Stack::start(&binary, &std::env::temp_dir().join("dynaberg-bench"), &[], NEVER)?;
    stack.make_table()?;
    let mut puts = Command::new(python::interpreter()?);
    puts.arg(root().join("tests/bench/firehose.py"));
    run(stack.environment(&mut puts))
}
