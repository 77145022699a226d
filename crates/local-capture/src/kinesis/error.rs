//! Errors of Kinesis, and what a request that cannot be read is told.

use aws_wire::AwsError;
use http::StatusCode;

use crate::region::Region;

/// Reads a request. A member that is not served is refused, never passed over.
pub(super) fn parse<'a, Request: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<Request, AwsError> {
    serde_json::from_slice(body).map_err(|error| refuse(&error))
}

fn refuse(error: &serde_json::Error) -> AwsError {
    let text = error.to_string();
    let message = text.rfind(" at line ").map_or(text.as_str(), |place| &text[..place]);
    let member = || message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("missing field") {
        return null_member(member());
    }
    if message.starts_with("unknown field") {
        return invalid_argument(format!("{} is not served here", member()));
    }
    AwsError::bad_request("SerializationException", message)
}

pub(super) fn null_member(member: &str) -> AwsError {
    let mut name: String = member.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    validation(format!("Value null at '{name}' failed to satisfy constraint: Member must not be null"))
}

/// One constraint of the service's model that a request does not meet.
pub(super) fn validation(message: impl AsRef<str>) -> AwsError {
    AwsError::bad_request("ValidationException", format!("1 validation error detected: {}", message.as_ref()))
}

/// Checks a number against its bounds in the service's model.
pub(super) fn within(member: &str, value: i64, min: i64, max: i64) -> Result<i64, AwsError> {
    let fails = |constraint: String| {
        Err(validation(format!(
            "Value '{value}' at '{member}' failed to satisfy constraint: Member must have {constraint}"
        )))
    };
    match value {
        _ if value < min => fails(format!("value greater than or equal to {min}")),
        _ if value > max => fails(format!("value less than or equal to {max}")),
        _ => Ok(value),
    }
}

/// Checks a name: 1 to 128 letters, digits, `_`, `.` and `-`.
pub(super) fn check_name(member: &str, name: &str) -> Result<(), AwsError> {
    if name.is_empty() || name.len() > 128 {
        let bound = if name.is_empty() { "greater than or equal to 1" } else { "less than or equal to 128" };
        let message =
            format!("Value '{name}' at '{member}' failed to satisfy constraint: Member must have length {bound}");
        return Err(validation(message));
    }
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if !name.bytes().all(is_allowed) {
        return Err(validation(format!(
            "Value '{name}' at '{member}' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
        )));
    }
    Ok(())
}

pub(super) fn invalid_argument(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidArgumentException", message)
}

pub(super) fn resource_in_use(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ResourceInUseException", message)
}

pub(super) fn limit_exceeded(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("LimitExceededException", message)
}

pub(super) fn not_found(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("ResourceNotFoundException", message)
}

pub(super) fn stream_not_found(region: &Region, name: &str) -> AwsError {
    not_found(format!("Stream {name} under account {} not found.", region.account))
}

pub(super) fn shard_not_found(region: &Region, stream: &str, shard: &str) -> AwsError {
    not_found(format!("Could not find shard {shard} in stream {stream} under account {}.", region.account))
}

pub(super) fn throttled(region: &Region, stream: &str, shard: &str) -> AwsError {
    AwsError::bad_request("ProvisionedThroughputExceededException", rate_exceeded(region, stream, shard))
}

pub(super) fn rate_exceeded(region: &Region, stream: &str, shard: &str) -> String {
    format!("Rate exceeded for shard {shard} in stream {stream} under account {}.", region.account)
}

pub(super) fn unknown_operation(operation: &str) -> AwsError {
    let message = format!("The operation {operation} is not known or not served here");
    AwsError::bad_request("UnknownOperationException", message)
}

/// The caller may try again: nothing that was acknowledged is lost.
pub(crate) fn internal_failure(error: &(dyn std::error::Error + 'static)) -> AwsError {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&cause.to_string());
        source = cause.source();
    }
    tracing::error!(error = message, "Kinesis failed");
    AwsError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", message)
}
