//! `dynaberg dlq show`: letters, one by one.

use serde::Serialize;
use serde_json::Value;

use crate::aws::Aws;
use crate::cli::{DlqShowArgs, Format};
use crate::config::PipelineFile;
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::verb::sql::parse_catalog;
use crate::wiring::HeldLetters;

#[derive(Serialize)]
struct Shown {
    code: String,
    reason: String,
    step: String,
    /// As DynamoDB writes it.
    key: Option<Value>,
    shard: String,
    sequence_number: String,
    rejected_at: String,
    commit_id: String,
    /// The table has a newer state of the item: a redrive lets the letter go.
    superseded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Value>,
}

pub async fn run(arguments: DlqShowArgs) -> Outcome {
    let aws = Aws::from_environment(system::ambient()).await?;
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let file = PipelineFile::read(&arguments.pipeline)?;
    let mut letters = HeldLetters::open(file, catalog.as_ref(), &aws).await?;
    let mut shown = Vec::new();
    for file in letters.held.files().to_vec() {
        if shown.len() >= arguments.limit || arguments.code.as_ref().is_some_and(|code| code != file.code()) {
            continue;
        }
        let read = letters.read(&file.path).await?;
        let held = (0..).zip(read).filter(|(line, _)| file.is_held(*line));
        for (line, letter) in held.take(arguments.limit - shown.len()) {
            let json = String::from_utf8_lossy(&letter.record.json);
            let record = || serde_json::from_str(&json).unwrap_or_else(|_| Value::String(json.clone().into_owned()));
            shown.push(Shown {
                key: letter.key(),
                shard: letter.record.position.shard.to_string(),
                sequence_number: letter.record.position.sequence_number.to_string(),
                rejected_at: letter.rejected_at.to_string(),
                superseded: file.is_superseded(line),
                record: arguments.record.then(record),
                code: letter.code,
                reason: letter.reason,
                step: letter.step,
                commit_id: letter.commit_id,
            });
        }
    }
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&shown),
        Format::Table => shown.iter().try_for_each(show),
    }
}

fn show(letter: &Shown) -> Outcome {
    let Shown { code, reason, step, shard, sequence_number, rejected_at, .. } = letter;
    let key = letter.key.as_ref().map_or("–".to_owned(), Value::to_string);
    let older = if letter.superseded { "   older than the row in the table" } else { "" };
    output::line(format_args!("{code}  key {key}  rejected {rejected_at} by {step}{older}"))?;
    output::line(format_args!("  {reason}"))?;
    output::line(format_args!("  {shard}/{sequence_number}"))?;
    letter.record.as_ref().map_or(Ok(()), |record| output::line(format_args!("  {record}")))
}
