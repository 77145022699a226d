//! `dynaberg dlq`: records that could not become rows, looked at and brought back.

mod firehose;
mod list;
mod redrive;
mod show;
mod trial;

use std::time::Duration;

use jiff::Timestamp;
use pipeline::Selection;

use crate::cli::{DlqArgs, DlqVerb, SelectionArgs};
use crate::config::parse_duration;
use crate::failure::{Exit, Failure, Outcome};
use crate::system;

pub async fn run(arguments: DlqArgs) -> Outcome {
    match arguments.verb {
        DlqVerb::List(arguments) => list::run(arguments).await,
        DlqVerb::Show(arguments) => show::run(arguments).await,
        DlqVerb::Try(arguments) => trial::run(arguments).await,
        DlqVerb::Redrive(arguments) => redrive::run(arguments).await,
        DlqVerb::Purge(arguments) => redrive::purge(arguments).await,
        DlqVerb::Firehose(arguments) => firehose::run(arguments).await,
    }
}

impl SelectionArgs {
    fn selection(&self) -> Outcome<Selection> {
        Ok(Selection {
            code: self.code.clone(),
            since: self.since.as_deref().map(moment).transpose()?,
            until: self.until.as_deref().map(moment).transpose()?,
            limit: self.limit,
        })
    }

    /// All the letters of a pipeline at once are never meant by accident.
    fn bounded(&self) -> Outcome<Selection> {
        if self.code.is_none() && self.since.is_none() && self.until.is_none() {
            return Err(Failure::new(Exit::Usage, "say which letters are meant")
                .advise("--code CODE, --since TIME or --until TIME; dynaberg dlq list shows what there is"));
        }
        self.selection()
    }
}

/// A moment, or how long ago it was.
fn moment(text: &str) -> Outcome<Timestamp> {
    if let Ok(timestamp) = text.parse() {
        return Ok(timestamp);
    }
    let ago: Duration = parse_duration(text).map_err(|_| {
        Failure::new(Exit::Usage, format!("`{text}` is no moment"))
            .advise("2026-11-22T09:00:00Z, or 30m for half an hour ago")
    })?;
    let moment = system::ambient().now() - ago;
    Timestamp::try_from(moment).map_err(|error| Failure::caused_by(Exit::Usage, &error))
}
