//! `dynaberg tap`: records of a pipeline's stream as they come, before and after its transform.

use pipeline::{Attribute, StartPosition, Tapped, Trial};
use serde_json::{Map, Value, json};

use super::interrupt::shutdown_on_signal;
use crate::aws::Aws;
use crate::cli::{Format, TapArgs, TapFrom};
use crate::config::PipelineFile;
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::verb::sql::parse_catalog;
use crate::wiring;

/// What stands for a value that the table does not hold as it is.
const HIDDEN: &str = "***";

pub async fn run(arguments: TapArgs) -> Outcome {
    let aws = Aws::from_environment(system::ambient()).await?;
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let file = PipelineFile::read(&arguments.pipeline)?;
    let start = match arguments.from {
        TapFrom::Latest => StartPosition::Latest,
        TapFrom::TrimHorizon => StartPosition::TrimHorizon,
    };
    let shutdown = shutdown_on_signal();
    let format = output::format_or_default(arguments.output);
    let mut left = arguments.limit;
    let mut tap = wiring::tap(file, catalog, &aws, start).await?;
    loop {
        let records = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            records = tap.next() => records?,
        };
        let Some(records) = records else { return Ok(()) };
        for record in &records {
            match format {
                Format::Json => output::line(document(record))?,
                Format::Table => show(record)?,
            }
            left = left.map(|left| left - 1);
            if left == Some(0) {
                return Ok(());
            }
        }
    }
}

fn document(record: &Tapped) -> Value {
    let before: Map<String, Value> = record.before.iter().map(|(name, value)| (name.clone(), shown(value))).collect();
    let after = match &record.after {
        Trial::Row(_) if is_removal(record) => json!({ "outcome": "deleted", "row": row(&record.after) }),
        Trial::Row(_) => json!({ "outcome": "row", "row": row(&record.after) }),
        Trial::Filtered => json!({ "outcome": "filtered" }),
        Trial::Rejected { code, reason } => json!({ "outcome": "rejected", "code": code, "reason": reason }),
    };
    json!({
        "position": record.position.to_string(),
        "operation": record.operation,
        "before": before,
        "after": after,
    })
}

fn show(record: &Tapped) -> Outcome {
    output::line(format_args!("{}  {}", record.operation, record.position))?;
    let before = record.before.iter().map(|(name, value)| match value {
        Attribute::Shown(value) => format!("{name}={value}"),
        Attribute::Hidden => format!("{name}={HIDDEN}"),
    });
    output::line(format_args!("  before  {}", before.collect::<Vec<_>>().join("  ")))?;
    match &record.after {
        Trial::Row(columns) => {
            let columns = columns.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
            let what = if is_removal(record) { "deletes" } else { "after" };
            output::line(format_args!("  {what:<7} {}", columns.collect::<Vec<_>>().join("  ")))
        }
        Trial::Filtered => output::line("  after   nothing: the filter holds it back"),
        Trial::Rejected { code, reason } => output::line(format_args!("  after   a dead letter: {code}  {reason}")),
    }
}

/// Its row holds the key only.
fn is_removal(record: &Tapped) -> bool {
    record.operation == "REMOVE"
}

fn shown(value: &Attribute) -> Value {
    match value {
        Attribute::Shown(value) => value.clone(),
        Attribute::Hidden => HIDDEN.into(),
    }
}

/// The columns that have a value, as text.
fn row(after: &Trial) -> Map<String, Value> {
    let Trial::Row(columns) = after else { return Map::new() };
    columns.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?.into()))).collect()
}
