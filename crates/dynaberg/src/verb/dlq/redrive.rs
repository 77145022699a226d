//! `dynaberg dlq redrive` and `purge`: the running pipeline does it, as a table has one committer.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use pipeline::Selection;

use crate::cli::{ConsoleArgs, DlqPurgeArgs, DlqRedriveArgs, Format};
use crate::console::{DlqAnswer, DlqRequest};
use crate::failure::{Exit, Failure, Outcome};
use crate::output;
use crate::verb::wait::not_a_console;

/// As long as the console waits, and a little longer.
const TIME_MAX: Duration = Duration::from_secs(630);

pub async fn run(arguments: DlqRedriveArgs) -> Outcome {
    let pipeline = name(&arguments.pipeline);
    let request = DlqRequest::new(pipeline, false, arguments.selection.bounded()?);
    let answer = ask(&arguments.console, &request).await?;
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&answer),
        Format::Table => {
            let counts = answer.counts;
            output::line(format_args!(
                "redriven {} · skipped {} (newer version in the table) · remaining {} · held {}",
                counts.redriven, counts.skipped, counts.remaining, answer.held
            ))
        }
    }
}

pub async fn purge(arguments: DlqPurgeArgs) -> Outcome {
    let pipeline = name(&arguments.pipeline);
    let selection: Selection = arguments.selection.bounded()?;
    let confirmed = match arguments.confirm {
        Some(name) => name,
        None => ask_for_name(&pipeline)?,
    };
    if confirmed != pipeline {
        return Err(Failure::new(
            Exit::Usage,
            format!("`{confirmed}` is not the name of the pipeline: nothing was purged"),
        )
        .advise(format!("--confirm {pipeline}")));
    }
    let answer = ask(&arguments.console, &DlqRequest::new(pipeline, true, selection)).await?;
    match output::format_or_default(arguments.output) {
        Format::Json => output::json(&answer),
        Format::Table => output::line(format_args!("purged {} · held {}", answer.counts.purged, answer.held)),
    }
}

/// A pipeline is named by the stem of its file.
fn name(pipeline: &Path) -> String {
    pipeline.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn ask_for_name(pipeline: &str) -> Outcome<String> {
    let mut name = String::new();
    if std::io::stdin().is_terminal() {
        let mut out = std::io::stderr().lock();
        let asked = write!(out, "These records are then gone for good. The name of the pipeline, to go on: ");
        let read = asked.and_then(|()| out.flush()).and_then(|()| std::io::stdin().lock().read_line(&mut name));
        read.map_err(|error| Failure::caused_by(Exit::Other, &error))?;
        return Ok(name.trim().to_owned());
    }
    Err(Failure::new(Exit::Usage, "a purge asks for the name of the pipeline").advise(format!("--confirm {pipeline}")))
}

async fn ask(console: &ConsoleArgs, request: &DlqRequest) -> Outcome<DlqAnswer> {
    let url = format!("{}/dlq", console.console.trim_end_matches('/'));
    let client = reqwest::Client::builder().no_proxy().timeout(TIME_MAX).build();
    let client = client.map_err(|error| Failure::caused_by(Exit::Other, &error))?;
    let response = client.post(url).json(request).send().await.map_err(|error| not_a_console(console, &error))?;
    if response.status().is_success() {
        return response.json().await.map_err(|error| not_a_console(console, &error));
    }
    let refusal: serde_json::Value = response.json().await.map_err(|error| not_a_console(console, &error))?;
    let message = refusal["message"].as_str().unwrap_or_default();
    Err(Failure::new(Exit::Service, message).advise("dynaberg status"))
}
