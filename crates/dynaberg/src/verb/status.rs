//! `dynaberg status`: how the pipelines of a running `dev` or `run` fare.

use std::time::Duration;

use crate::cli::{Format, StatusArgs};
use crate::console::StatusDocument;
use crate::failure::{Exit, Failure, Outcome};
use crate::output;

use super::wait::{get, not_a_console};

pub async fn run(arguments: StatusArgs) -> Outcome {
    let answer = get(&arguments.console, "status", Duration::ZERO).await?;
    let document: StatusDocument = answer.json().await.map_err(|error| not_a_console(&arguments.console, &error))?;
    match output::format_or_default(arguments.output) {
        Format::Json => {
            let json = serde_json::to_string_pretty(&document);
            output::line(json.map_err(|error| Failure::caused_by(Exit::Other, &error))?)
        }
        Format::Table => output::line(document),
    }
}
