//! A Python function in the path of the records.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{pipeline, replay, row, start};
use crate::bench::stack::Stack;
use crate::dataset::{self, Dataset};
use crate::workspace::root;

/// Events have 500 of them.
const RECORDS: u64 = 100_000;
const SEED: u64 = 9;

pub fn run(binary: &Path) -> Result<()> {
    let stack = start(binary)?;
    stack.make_table()?;
    create_function(&stack)?;
    let file = stack.data_dir.join("records.jsonl");
    let expected = dataset::write(Dataset::A, RECORDS, SEED, &file)?;
    let declared = pipeline(&stack, "lambda = \"pass\"")?;
    let before = stack.usage()?.cpu;
    let (used, summary) = replay(&stack, &declared, &file)?;
    let (services, family) = (stack.usage()?.cpu, stack.family_cpu()?);
    let found = row(&stack, "SELECT count(*), cast(sum(amount) * 100 AS bigint) FROM analytics.transactions")?;
    let wanted = [expected.rows, expected.amount_cents].map(|number| number.to_string());
    ensure!(found == wanted, "the table is wrong: {found:?} is not {wanted:?}");

    let seconds = summary["elapsed_ms"].as_f64().unwrap_or_default() / 1000.0;
    let [replay, services, function] =
        [used.cpu, services - before, family - services].map(|cpu| cpu.as_secs_f64() / RECORDS as f64 * 1e6);
    println!("| {RECORDS} records, 500 an event | records/s | CPU/M | of it replay | services | function |");
    println!("|---|--:|--:|--:|--:|--:|");
    println!(
        "| Python, hands them back | {:.0} | {:.0} | {replay:.0} | {services:.0} | {function:.0} |",
        RECORDS as f64 / seconds,
        replay + services + function,
    );
    Ok(())
}

fn create_function(stack: &Stack) -> Result<()> {
    let folder = root().join("tests/bench/processing/pass");
    let code = format!("S3Bucket=dynaberg-folder,S3Key={}", folder.display());
    let function =
        ["--function-name", "pass", "--runtime", "python3.13", "--handler", "app.handler", "--timeout", "60"];
    let role = ["--role", "arn:aws:iam::000000000000:role/bench"];
    let arguments = [&["lambda", "create-function"][..], &function, &role, &["--code", &code]].concat();
    stack.aws(&arguments)
}
