//! `cargo xtask bench analysts`: from a query to its rows, and what 16 heavy queries at once leave of memory and ingest.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::ingest::dataset;
use super::stack::{NEVER, Stack};
use crate::dataset::Dataset;
use crate::python;
use crate::workspace::{build_binary, root, run};

/// What the 16 queries may hold together.
const MEMORY: &str = "256MB";
/// Two million groups of three long keys: more than [`MEMORY`] for one query alone.
const LARGE: &str = "
    CREATE TABLE analytics.large AS
    SELECT concat('TXN_', to_hex(CAST(CAST(n * 7919 AS varchar) AS varbinary))) AS transaction_id,
           concat('MERCHANT_', CAST(n % 10007 AS varchar)) AS merchant_id, concat('CUSTOMER_', CAST(n % 99991 AS varchar)) AS customer_id,
           n % 5000 AS amount, 'APPROVED' AS status
    FROM generate_series(1, 2000000) AS s(n)";

pub fn run_bench() -> Result<()> {
    let binary = build_binary("release")?;
    let data_dir = std::env::temp_dir().join("dynaberg-bench");
    let pipeline = root().join("examples/transactions/transactions.toml");

    let stack = Stack::start(&binary, &data_dir, &[], NEVER)?;
    stack.make_table()?;
    let (file, _) = dataset(Dataset::A)?;
    let mut replay = stack.verb(&["replay"]);
    replay.arg(&pipeline).arg(&file).args(["--commit-every", "100000", "--data-dir"]);
    run(replay.arg(stack.data_dir.join("replay")).stdout(Stdio::null()))?;
    ask(&stack, &["latency", "--postgres", &stack.postgres])?;
    drop(stack);

    let stack = Stack::start_with(&binary, &data_dir, &[&pipeline], &["--memory", MEMORY])?;
    let mut write = Command::new(python::interpreter()?);
    write.arg(root().join("examples/transactions/write.py")).args(["--items", "100"]);
    run(stack.environment(&mut write).stdout(Stdio::null()))?;
    run(stack.verb(&["sql", LARGE]).stdout(Stdio::null()))?;
    let before = stack.usage()?;
    ask(&stack, &["crowd"])?;
    run(stack.verb(&["wait"]).stdout(Stdio::null()))?;
    let after = stack.usage()?;
    println!(
        "--memory {MEMORY}; peak before the queries {} MiB, at the end {} MiB",
        before.peak_bytes >> 20,
        after.peak_bytes >> 20
    );
    Ok(())
}

fn ask(stack: &Stack, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(python::interpreter()?);
    command.arg(root().join("tests/bench/analysts.py")).args(arguments);
    run(stack.environment(&mut command))
}
