//! The two calls of Data Firehose that a redrive makes.

use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Method, Request};
use lake::Transport;
use serde_json::{Value, json};

use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind, Result};

const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
const ATTEMPTS_MAX: u32 = 6;

/// Data Firehose at one endpoint.
#[derive(Clone)]
pub struct FirehoseClient {
    /// Signs for `firehose`.
    transport: Arc<dyn Transport>,
    /// `https://firehose.us-east-1.amazonaws.com`.
    endpoint: String,
    ambient: Ambient,
}

/// What a redrive has to know of a delivery stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryStream {
    pub name: String,
    /// The bucket of its error objects.
    pub bucket: String,
    /// What the keys of error objects begin with, up to the first expression.
    pub error_prefixes: Vec<String>,
}

impl DeliveryStream {
    /// From a `DeliveryStreamDescription`; `None` where its destination has no error objects that are known here.
    pub fn of(description: &Value) -> Option<Self> {
        let destination = &description["Destinations"][0];
        let iceberg = &destination["IcebergDestinationDescription"];
        let s3 = [
            &iceberg["S3DestinationDescription"],
            &destination["ExtendedS3DestinationDescription"],
            &destination["S3DestinationDescription"],
        ];
        let s3 = s3.into_iter().find(|s3| s3.is_object())?;
        let tables = iceberg["DestinationTableConfigurationList"].as_array().cloned().unwrap_or_default();
        let prefixes = tables.iter().filter_map(|table| table["S3ErrorOutputPrefix"].as_str());
        let prefixes = prefixes.chain([s3["ErrorOutputPrefix"].as_str().unwrap_or_default()]);
        let fixed = |prefix: &str| prefix.split("!{").next().unwrap_or_default().to_owned();
        let mut error_prefixes: Vec<String> = prefixes.map(fixed).collect();
        error_prefixes.sort();
        error_prefixes.dedup();
        let bucket = s3["BucketARN"].as_str()?.rsplit(':').next().unwrap_or_default().to_owned();
        Some(Self { name: description["DeliveryStreamName"].as_str()?.to_owned(), bucket, error_prefixes })
    }
}

impl FirehoseClient {
    pub fn new(transport: Arc<dyn Transport>, endpoint: impl Into<String>, ambient: Ambient) -> Self {
        Self { transport, endpoint: endpoint.into(), ambient }
    }

    /// `Misconfigured` where there is none of that name, or none that records can be put into.
    pub async fn describe(&self, name: &str) -> Result<DeliveryStream> {
        let answer = self.call("DescribeDeliveryStream", json!({ "DeliveryStreamName": name })).await?;
        let description = &answer["DeliveryStreamDescription"];
        let misconfigured = |why: &str| {
            Err(Error::new(ErrorKind::Misconfigured, format!("redrive records of delivery stream {name}: {why}")))
        };
        if description["DeliveryStreamType"] != "DirectPut" {
            return misconfigured("it takes its records from a stream. Try: put them into that");
        }
        match DeliveryStream::of(description) {
            Some(stream) => Ok(stream),
            None => misconfigured("its destination has no error objects that are known here"),
        }
    }

    /// Puts records, and tells of each whether it was taken.
    pub async fn put(&self, name: &str, records: &[Bytes]) -> Result<Vec<bool>> {
        let records: Vec<Value> = records.iter().map(|data| json!({ "Data": BASE64_STANDARD.encode(data) })).collect();
        let answer = self.call("PutRecordBatch", json!({ "DeliveryStreamName": name, "Records": records })).await?;
        let responses = answer["RequestResponses"].as_array().cloned().unwrap_or_default();
        if responses.len() != records.len() {
            let message = format!("put records into {name}: an answer that does not tell of each");
            return Err(Error::new(ErrorKind::Unexpected, message));
        }
        Ok(responses.iter().map(|response| response["RecordId"].is_string()).collect())
    }

    /// Makes a call, again where it may heal: nothing was taken over then.
    async fn call(&self, operation: &str, body: Value) -> Result<Value> {
        let mut backoff = Backoff::new(self.ambient.clone(), RETRY_FIRST, RETRY_MAX);
        loop {
            let failure = match self.call_once(operation, &body).await {
                Err(failure) if failure.kind() == ErrorKind::Transient => failure,
                outcome => return outcome,
            };
            if backoff.failures() + 1 >= ATTEMPTS_MAX {
                return Err(failure);
            }
            tokio::time::sleep(backoff.fail()).await;
        }
    }

    async fn call_once(&self, operation: &str, body: &Value) -> Result<Value> {
        let doing = format!("call {operation} of Firehose at {}", self.endpoint);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}/", self.endpoint))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Firehose_20150804.{operation}"))
            .body(Bytes::from(body.to_string()))
            .map_err(|error| Error::new(ErrorKind::Misconfigured, doing.clone()).with_source(error))?;
        let response = self.transport.send(request).await.map_err(|error| match error {
            lake::TransportError::NotSent(error) => Error::new(ErrorKind::Transient, doing.clone()).with_source(error),
            // The records may have been taken: a person decides whether to put them again.
            lake::TransportError::NoAnswer(error) => {
                Error::new(ErrorKind::Unexpected, doing.clone()).with_source(error)
            }
        })?;
        let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        if response.status().is_success() {
            return Ok(answer);
        }
        let code = answer["__type"].as_str().unwrap_or_default();
        let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or_default();
        let is_transient = response.status().is_server_error() || code.contains("Throttl");
        let kind = if is_transient { ErrorKind::Transient } else { ErrorKind::Misconfigured };
        Err(Error::new(kind, format!("{doing}: {code} {message}")))
    }
}
