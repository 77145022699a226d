//! The few calls of Amazon SQS that a pipeline makes, signed and sent by ourselves: an SDK would cost a minute of every
//! build.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests-json.html>

use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use bytes::Bytes;
use http::{Method, Request};
use lake::Transport;
use serde_json::{Value, json};

use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind, Result};

const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
const ATTEMPTS_MAX: u32 = 6;

/// SQS at one endpoint.
#[derive(Clone)]
pub struct SqsClient {
    /// Signs for `sqs`.
    transport: Arc<dyn Transport>,
    /// `https://sqs.us-east-1.amazonaws.com`.
    endpoint: String,
    ambient: Ambient,
}

impl SqsClient {
    pub fn new(transport: Arc<dyn Transport>, endpoint: impl Into<String>, ambient: Ambient) -> Self {
        Self { transport, endpoint: endpoint.into(), ambient }
    }

    /// The URL of the queue `name`. `Misconfigured` where there is none.
    pub async fn queue_url(&self, name: &str) -> Result<String> {
        let answer = self.call("GetQueueUrl", json!({ "QueueName": name })).await?;
        let url = answer["QueueUrl"].as_str().map(str::to_owned);
        url.ok_or_else(|| Error::new(ErrorKind::Unexpected, format!("find queue {name}: an answer without a URL")))
    }

    /// Sends up to ten messages. What can heal is tried again, and later; then it is `Transient`.
    pub async fn send(&self, queue_url: &str, mut entries: Vec<Value>) -> Result<()> {
        let mut backoff = Backoff::new(self.ambient.clone(), RETRY_FIRST, RETRY_MAX);
        loop {
            let sent = self.call("SendMessageBatch", json!({ "QueueUrl": queue_url, "Entries": entries })).await;
            let failure = match sent {
                Ok(answer) => match failed(&answer) {
                    None => return Ok(()),
                    Some(failure) => {
                        let is_failed = |entry: &Value| failure.ids.contains(&entry["Id"]);
                        entries.retain(is_failed);
                        Error::new(failure.kind, format!("tell queue {queue_url}: {}", failure.reason))
                    }
                },
                Err(error) => error,
            };
            if failure.kind() != ErrorKind::Transient || backoff.failures() + 1 >= ATTEMPTS_MAX {
                return Err(failure);
            }
            tokio::time::sleep(backoff.fail()).await;
        }
    }

    async fn call(&self, operation: &str, body: Value) -> Result<Value> {
        let doing = format!("call {operation} of SQS at {}", self.endpoint);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", self.endpoint))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{operation}"))
            .body(Bytes::from(body.to_string()))
            .map_err(|error| Error::new(ErrorKind::Misconfigured, doing.clone()).with_source(error))?;
        let response = self
            .transport
            .send(request)
            .await
            .map_err(|error| Error::new(ErrorKind::Transient, doing.clone()).with_source(error.into_error()))?;
        let status = response.status();
        let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        let code = answer["__type"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default().to_owned();
        let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or_default();
        Err(Error::new(kind_of(&code, status.is_server_error()), format!("{doing}: {code} {message}")))
    }
}

fn kind_of(code: &str, is_server_error: bool) -> ErrorKind {
    match code {
        "RequestThrottled" | "ThrottlingException" | "KmsThrottled" | "ServiceUnavailable" | "InternalFailure" => {
            ErrorKind::Transient
        }
        _ if is_server_error => ErrorKind::Transient,
        _ => ErrorKind::Misconfigured,
    }
}

/// The entries of a batch that were not taken.
struct Failure {
    ids: Vec<Value>,
    kind: ErrorKind,
    reason: String,
}

fn failed(answer: &Value) -> Option<Failure> {
    let entries = answer["Failed"].as_array().filter(|entries| !entries.is_empty())?;
    let is_our_fault = |entry: &Value| entry["SenderFault"].as_bool().unwrap_or_default();
    let kind = if entries.iter().any(is_our_fault) { ErrorKind::Misconfigured } else { ErrorKind::Transient };
    let reason = format!("{} {}", entries[0]["Code"].as_str().unwrap_or_default(), entries[0]["Message"]);
    Some(Failure { ids: entries.iter().map(|entry| entry["Id"].clone()).collect(), kind, reason })
}
