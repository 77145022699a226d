//! The `DynamoDBStreams_20120810` service, served from the shard log.
//!
//! Every operation that looks at shards drains first, so that it sees each write acknowledged before it was called.

mod describe_stream;
mod get_records;
mod get_shard_iterator;
pub(crate) mod iterator;
pub(crate) mod label;
mod list_streams;

use std::sync::Arc;

use async_trait::async_trait;
use aws_wire::{AwsError, Caller, JsonService, JsonVersion};
use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::dynamodb::error::{unknown_operation, validation};
use crate::region::{DrainError, Region};
use crate::regions::Regions;
use crate::shard_log::stream::Stream;

pub(crate) struct DynamoDbStreams {
    regions: Arc<Regions>,
}

impl DynamoDbStreams {
    pub(crate) fn new(regions: Arc<Regions>) -> Self {
        Self { regions }
    }
}

#[async_trait]
impl JsonService for DynamoDbStreams {
    fn target_prefix(&self) -> &'static str {
        "DynamoDBStreams_20120810"
    }

    fn json_version(&self) -> JsonVersion {
        JsonVersion::V1_0
    }

    fn error_namespace(&self) -> Option<&'static str> {
        Some("com.amazonaws.dynamodb.v20120810")
    }

    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let region = self.regions.of(caller).await?;
        match operation {
            "ListStreams" => list_streams::call(&region, parse(&body)?).await,
            "DescribeStream" => describe_stream::call(&region, parse(&body)?).await,
            "GetShardIterator" => get_shard_iterator::call(&region, parse(&body)?).await,
            "GetRecords" => get_records::call(&region, parse(&body)?).await,
            _ => Err(unknown_operation(operation)),
        }
    }
}

/// Reads a request. AWS calls JSON that it cannot read a serialization, and a member it must have a validation problem.
fn parse<Request: DeserializeOwned>(body: &[u8]) -> Result<Request, AwsError> {
    serde_json::from_slice(body).map_err(|error| {
        let message = error.to_string();
        let message = message.rfind(" at line ").map_or(message.as_str(), |place| &message[..place]);
        if message.starts_with("missing field") {
            return validation(format!("1 validation error detected: {message}"));
        }
        let mut error = AwsError::bad_request("SerializationException", message);
        error.namespace = Some("com.amazon.coral.service");
        error
    })
}

/// The stream that an ARN of this region names.
fn find(region: &Region, arn: &str) -> Result<Arc<Stream>, AwsError> {
    let Some((table_name, label)) = parts_of(region, arn)? else { return Err(stream_not_found(arn)) };
    region.log.catalog().labelled(table_name, label).cloned().ok_or_else(|| stream_not_found(arn))
}

/// Table and label of a stream ARN; nothing where it is another region's or account's.
fn parts_of<'a>(region: &Region, arn: &'a str) -> Result<Option<(&'a str, &'a str)>, AwsError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "dynamodb", name, account, resource] = parts[..] else {
        return Err(validation(format!("Invalid StreamArn: {arn}")));
    };
    let Some((table_name, label)) =
        resource.strip_prefix("table/").and_then(|resource| resource.split_once("/stream/"))
    else {
        return Err(validation(format!("Invalid StreamArn: {arn}")));
    };
    Ok((name == region.name && account == region.account).then_some((table_name, label)))
}

/// A page size from 1 to `max`, which is also the default.
fn page_limit(limit: Option<i64>, max: usize) -> Result<usize, AwsError> {
    match limit {
        None => Ok(max),
        Some(limit) if limit < 1 => Err(limit_too_small(limit)),
        Some(limit) => match usize::try_from(limit) {
            Ok(limit) if limit <= max => Ok(limit),
            _ => Err(validation(format!(
                "One or more parameter values were invalid: Limit cannot be greater than the maximum: {max}"
            ))),
        },
    }
}

fn limit_too_small(limit: i64) -> AwsError {
    validation(format!(
        "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: \
         Member must have value greater than or equal to 1"
    ))
}

fn stream_not_found(arn: &str) -> AwsError {
    not_found(format!("Requested resource not found: Stream: {arn} not found"))
}

fn not_found(message: String) -> AwsError {
    AwsError::bad_request("ResourceNotFoundException", message)
}

fn trimmed() -> AwsError {
    AwsError::bad_request(
        "TrimmedDataAccessException",
        "The operation attempted to read past the oldest stream record in a shard",
    )
}

/// The caller may try again: nothing that was acknowledged is lost.
pub(crate) fn drain_error(error: DrainError) -> AwsError {
    internal_error(&error)
}

pub(crate) fn internal_error(error: &(dyn std::error::Error + 'static)) -> AwsError {
    tracing::error!(error, "local capture failed");
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    AwsError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
}
