//! The mirror with a transform beside the plain one.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{pipeline, replay, row, start};
use crate::bench::ingest::dataset;
use crate::dataset::{Dataset, Expected};
use crate::workspace::root;

/// Runs of each, in turn. The least of each counts.
const RUNS: usize = 3;

/// All 22 attributes, one of them as a token, one masked, and a filter that lets every item of the dataset pass.
const TRANSFORM: &str = "
token_key = \"env:BENCH_TOKEN_KEY\"
sensitive = [\"customer_id\", \"merchant_id\"]
sql = '''
SELECT transaction_id, timestamp, token(customer_id) AS customer_id, date, hour, minute, transaction_type, amount, currency,
       merchant_category, payment_method, region, risk_score, status, processing_timestamp, device_type,
       authentication_method, mask(merchant_id, 4) AS merchant_id, velocity_check, amount_threshold, location_risk,
       pattern_match
FROM   changes
WHERE  status IS DISTINCT FROM 'TEST'
'''";

pub fn run(binary: &Path) -> Result<()> {
    println!("| 1 M events, commit every 100,000 | plain CPU/M | with transform | more |");
    println!("|---|--:|--:|--:|");
    for kind in [Dataset::A, Dataset::B] {
        let (file, expected) = dataset(kind)?;
        let (mut plain, mut transformed) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..RUNS {
            plain = plain.min(cpu_seconds(binary, &file, &expected, false)?);
            transformed = transformed.min(cpu_seconds(binary, &file, &expected, true)?);
        }
        println!("| {kind:?} | {plain:.2} | {transformed:.2} | {:+.1} % |", (transformed / plain - 1.0) * 100.0);
    }
    Ok(())
}

/// Of replay and services, for one replay into a fresh table that is then checked.
fn cpu_seconds(binary: &Path, file: &Path, expected: &Expected, is_transformed: bool) -> Result<f64> {
    let stack = start(binary)?;
    stack.make_table()?;
    let declared = match is_transformed {
        true => pipeline(&stack, TRANSFORM)?,
        false => root().join("examples/transactions/transactions.toml"),
    };
    let before = stack.usage()?;
    let (used, _) = replay(&stack, &declared, file)?;
    let services = stack.usage()?.cpu.saturating_sub(before.cpu);
    let customers = if is_transformed { "length(customer_id) = 64" } else { "length(customer_id) = 11" };
    let merchants = if is_transformed { "merchant_id LIKE '******____'" } else { "merchant_id LIKE 'MERCH_%'" };
    let found = row(
        &stack,
        &format!(
            "SELECT count(*), cast(sum(amount) * 100 AS bigint), sum(CASE WHEN {customers} AND {merchants} THEN 1 END) \
             FROM analytics.transactions"
        ),
    )?;
    let wanted = [expected.rows, expected.amount_cents, expected.rows].map(|number| number.to_string());
    ensure!(found == wanted, "the table is wrong: {found:?} is not {wanted:?}");
    Ok((used.cpu + services).as_secs_f64())
}
