//! `dynaberg doctor`: looks at a deployment in the style of the AWS sample, from outside and without changing anything.
//!
//! `look.rs` asks its services, `failures.rs` reads what was not delivered, `roles.rs` the rights of writers and `rows.rs`
//! the lake; `facts.rs` is what they found. `compare.rs` holds items
//! against rows and `judge.rs` names faults: both are pure. `moving.rs` says how to go over to Dynaberg.

mod compare;
mod facts;
mod failures;
mod judge;
mod look;
mod moving;
mod roles;
mod rows;

use serde_json::json;

use crate::aws::Aws;
use crate::cli::{DoctorArgs, Format};
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::system;
use facts::Facts;
use judge::Finding;

use super::sql::parse_catalog;

/// Ends with exit code 1 where faults were found.
pub async fn run(arguments: DoctorArgs) -> Outcome {
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let aws = Aws::from_environment(system::ambient()).await?;
    let services = aws.services().await?;
    let mut facts = look::look(&services, &arguments.source, arguments.table.as_deref()).await?;
    failures::look(&aws, &mut facts).await;
    roles::look(&services, &mut facts).await;
    match &arguments.table {
        Some(table) => rows::look(&aws, &services, catalog.as_ref(), table, arguments.sample, &mut facts).await?,
        None => facts.miss(
            &["W1", "W2", "W4", "W5", "W8", "W9", "W10", "W11", "W12", "W17", "W18"],
            "no table of the lake is named. Try: --table NAMESPACE.TABLE",
        ),
    }
    facts.miss(
        &["W20"],
        "a slip in the blog's text: a Kinesis stream keeps 24 to 8,760 hours, and W16 looks at how many",
    );

    let findings = judge::judge(&facts);
    let steps = moving::steps(&facts, arguments.table.as_deref());
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&json!({
            "source": arguments.source,
            "table": arguments.table,
            "findings": findings,
            "not_seen": facts.unseen,
            "moving": steps,
        }))?,
        Format::Table => show(&facts, &findings, &steps)?,
    }
    match findings.len() {
        0 => Ok(()),
        found => Err(Failure::new(Exit::Findings, format!("{found} faults found"))),
    }
}

fn show(facts: &Facts, findings: &[Finding], steps: &[moving::Step]) -> Outcome {
    for finding in findings {
        output::line(format_args!("✗ {}  {}", finding.fault, finding.what))?;
        output::line(format_args!("     seen  {}", finding.evidence))?;
        output::line(format_args!("     Try:  {}", finding.advice))?;
    }
    if findings.is_empty() {
        output::line("✓ none of the faults that can be seen")?;
    }
    for unseen in &facts.unseen {
        output::line(format_args!("– {}  not seen: {}", unseen.faults.join(", "), unseen.why))?;
    }
    output::line("\nto move to Dynaberg without loss:")?;
    for (number, step) in (1..).zip(steps) {
        output::line(format_args!("{number}. {}", step.what))?;
        if let Some(command) = &step.command {
            output::line(format_args!("     {command}"))?;
        }
    }
    Ok(())
}
