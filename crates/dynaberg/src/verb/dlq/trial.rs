//! `dynaberg dlq try`: what a redrive through the edited transform would do.

use serde::Serialize;

use crate::aws::Aws;
use crate::cli::{DlqTryArgs, Format};
use crate::config::PipelineFile;
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::verb::sql::parse_catalog;
use crate::wiring::HeldLetters;

#[derive(Serialize)]
struct Forecast {
    /// Letters that a redrive would take up.
    would_fix: u64,
    /// Of these: rows put into the table, and items deleted from it.
    upserts: u64,
    deletes: u64,
    /// Letters that it would let go: the table has a newer state of their item, or a later letter brings one.
    would_skip: u64,
    /// Letters that would stay.
    would_remain: u64,
    reasons: Vec<Reason>,
    /// Of the source's items, sampled; where the transform of the file and the one in force are both SQL.
    live: Option<Live>,
}

/// What the transform would make of items as they are now, beside the one in force.
#[derive(Serialize)]
struct Live {
    items: u64,
    would_change: u64,
    would_reject: u64,
    would_filter: u64,
}

#[derive(Serialize)]
struct Reason {
    code: String,
    reason: String,
    letters: u64,
}

pub async fn run(arguments: DlqTryArgs) -> Outcome {
    let aws = Aws::from_environment(system::ambient()).await?;
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let file = PipelineFile::read(&arguments.pipeline)?;
    let mut letters = HeldLetters::open(file, catalog.as_ref(), &aws).await?;
    let (preview, differences) = letters.preview(arguments.selection.selection()?, &aws).await?;
    let reasons = preview.reasons.into_iter().map(|(code, reason, letters)| Reason { code, reason, letters });
    let forecast = Forecast {
        would_fix: preview.counts.redriven,
        upserts: preview.upserts,
        deletes: preview.deletes,
        would_skip: preview.counts.skipped,
        would_remain: preview.counts.remaining,
        reasons: reasons.collect(),
        live: differences.map(|differences| Live {
            items: differences.items,
            would_change: differences.changed,
            would_reject: differences.rejected,
            would_filter: differences.filtered,
        }),
    };
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&forecast),
        Format::Table => show(&forecast),
    }
}

fn show(forecast: &Forecast) -> Outcome {
    let Forecast { would_fix, upserts, deletes, would_skip, would_remain, reasons, live } = forecast;
    let all = would_fix + would_skip + would_remain;
    output::line(format_args!(
        "would fix {would_fix} of {all} ({upserts} rows, {deletes} deletes) · skip {would_skip} that are older than \
         the table · leave {would_remain}"
    ))?;
    for Reason { code, reason, letters } in reasons {
        output::line(format_args!("  {letters} stay  {code}  {reason}"))?;
    }
    if let Some(Live { items, would_change, would_reject, would_filter }) = live {
        output::line(format_args!(
            "of {items} live items: changes {would_change} rows · rejects {would_reject} · filters {would_filter}"
        ))?;
    }
    Ok(())
}
