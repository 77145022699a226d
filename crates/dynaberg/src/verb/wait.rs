//! `dynaberg wait`: until everything written before the call is committed.

use std::time::Duration;

use provision::encode;
use serde_json::Value;

use crate::cli::{ConsoleArgs, WaitArgs};
use crate::console::WaitDocument;
use crate::failure::{Exit, Failure, Outcome};

pub async fn run(arguments: WaitArgs) -> Outcome {
    let timeout_ms = arguments.timeout.as_millis();
    let mut path = format!("wait?timeout_ms={timeout_ms}");
    if let Some(name) = &arguments.delivery_stream {
        path.push_str(&format!("&delivery_stream={}", encode(name)));
    }
    let answer = get(&arguments.console, &path, arguments.timeout).await?;
    let answer: WaitDocument = answer.json().await.map_err(|error| not_a_console(&arguments.console, &error))?;
    if answer.done {
        return Ok(());
    }
    let reasons = answer.status.reasons().join("; ");
    let message = format!("not committed after {:?}: {} {reasons}", arguments.timeout, answer.waiting.join(", "));
    Err(Failure::new(Exit::Findings, message).advise("dynaberg status"))
}

/// Asks the console of a running `dev` or `run`. `patience` is how long the answer may take by design.
pub async fn get(console: &ConsoleArgs, path: &str, patience: Duration) -> Outcome<reqwest::Response> {
    let url = format!("{}/{path}", console.console.trim_end_matches('/'));
    let client = reqwest::Client::builder().no_proxy().timeout(patience + Duration::from_secs(10)).build();
    let client = client.map_err(|error| Failure::caused_by(Exit::Other, &error))?;
    let response = client.get(url).send().await.map_err(|error| not_a_console(console, &error))?;
    match response.error_for_status_ref() {
        Ok(_) => Ok(response),
        Err(error) => {
            // A console says what is wrong; whatever else answers there does not.
            let answer: Value = response.json().await.unwrap_or_default();
            Err(match answer["message"].as_str() {
                Some(message) => Failure::new(Exit::Findings, message).advise("dynaberg status"),
                None => not_a_console(console, &error),
            })
        }
    }
}

pub fn not_a_console(console: &ConsoleArgs, error: &reqwest::Error) -> Failure {
    let message = format!("ask the console at {}: {}", console.console, crate::failure::with_causes(error));
    Failure::new(Exit::Service, message)
        .advise("start `dynaberg dev` or `dynaberg run`, or give its console with --console URL")
}
