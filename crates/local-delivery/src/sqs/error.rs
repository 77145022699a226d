//! What goes wrong, in SQS's words.
//!
//! Each code has two spellings: that of the JSON protocol's model, and that of the query protocol, which SDKs still
//! report (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html>).

use aws_wire::AwsError;
use http::StatusCode;

use crate::store::StoreFailure;

/// A refusal for the caller to read, or a failure of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Refused(AwsError),
    #[error("read or write the store of the queues")]
    Store(#[from] rusqlite::Error),
    #[error("a document in the store of the queues cannot be read")]
    Document(#[from] serde_json::Error),
    #[error("the store of the queues")]
    Failed(#[from] StoreFailure),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl From<AwsError> for Error {
    fn from(error: AwsError) -> Self {
        Self::Refused(error)
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal,
            failure => {
                use std::error::Error as _;
                let source = failure.source().map(ToString::to_string);
                tracing::error!(error = %failure, ?source, "a request failed");
                let message = "The request failed because of an internal error.";
                AwsError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", message)
            }
        }
    }
}

/// An error with both of its codes.
fn refused(code: &'static str, query_code: &'static str, message: impl Into<String>) -> Error {
    Error::Refused(AwsError { query_code: Some(query_code), ..AwsError::bad_request(code, message) })
}

pub(crate) fn invalid_parameter(message: impl Into<String>) -> Error {
    refused("InvalidParameterValueException", "InvalidParameterValue", message)
}

/// `Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.`
pub(crate) fn invalid_value(parameter: &str, value: impl std::fmt::Display, reason: &str) -> Error {
    invalid_parameter(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
}

pub(crate) fn missing_parameter(name: &str) -> Error {
    let message = format!("The request must contain the parameter {name}.");
    refused("MissingRequiredParameterException", "MissingParameter", message)
}

pub(crate) fn invalid_attribute_name(message: impl Into<String>) -> Error {
    refused("InvalidAttributeName", "InvalidAttributeName", message)
}

pub(crate) fn unknown_attribute(name: &str) -> Error {
    invalid_attribute_name(format!("Unknown Attribute {name}."))
}

pub(crate) fn invalid_attribute_value(name: &str, reason: &str) -> Error {
    let reason = if reason.is_empty() { String::new() } else { format!(" Reason: {reason}") };
    let message = format!("Invalid value for the parameter {name}.{reason}");
    refused("InvalidAttributeValue", "InvalidAttributeValue", message)
}

pub(crate) fn queue_does_not_exist() -> Error {
    let code = "AWS.SimpleQueueService.NonExistentQueue";
    refused("QueueDoesNotExist", code, "The specified queue does not exist.")
}

pub(crate) fn queue_name_exists(attribute: &str) -> Error {
    let message = format!("A queue already exists with the same name and a different value for attribute {attribute}");
    refused("QueueNameExists", "QueueAlreadyExists", message)
}

pub(crate) fn purge_in_progress(queue: &str) -> Error {
    let message = format!("Only one PurgeQueue operation on {queue} is allowed every 60 seconds.");
    refused("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress", message)
}

pub(crate) fn invalid_address(address: &str) -> Error {
    let message = format!("The address {address} is not valid for this endpoint.");
    refused("InvalidAddress", "InvalidAddress", message)
}

pub(crate) fn access_denied(resource: &str) -> Error {
    let message = format!("Access to the resource {resource} is denied.");
    let denied = AwsError::new(StatusCode::FORBIDDEN, "AccessDeniedException", message);
    Error::Refused(AwsError { query_code: Some("AccessDenied"), ..denied })
}

pub(crate) fn receipt_handle_is_invalid(handle: &str) -> Error {
    let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
    refused("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", message)
}

pub(crate) fn message_not_inflight(handle: &str) -> Error {
    let message = format!(
        "Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for \
         visibility timeout change."
    );
    refused("MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight", message)
}

pub(crate) fn over_limit() -> Error {
    let message = "The specified action violates a limit: too many messages of the queue are in flight.";
    refused("OverLimit", "OverLimit", message)
}

pub(crate) fn invalid_message_contents() -> Error {
    let message = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | \
                   #xE000 to #xFFFD | #x10000 to #x10FFFF";
    refused("InvalidMessageContents", "InvalidMessageContents", message)
}

pub(crate) fn empty_batch() -> Error {
    let message = "There should be at least one entry in the request.";
    refused("EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", message)
}

pub(crate) fn too_many_entries(entries: usize, entries_max: usize) -> Error {
    let message = format!("Maximum number of entries per request are {entries_max}. You have sent {entries}.");
    let query_code = "AWS.SimpleQueueService.TooManyEntriesInBatchRequest";
    refused("TooManyEntriesInBatchRequest", query_code, message)
}

pub(crate) fn invalid_batch_entry_id() -> Error {
    let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
                   It can be at most 80 letters long.";
    refused("InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId", message)
}

pub(crate) fn batch_entry_ids_not_distinct(id: &str) -> Error {
    let query_code = "AWS.SimpleQueueService.BatchEntryIdsNotDistinct";
    refused("BatchEntryIdsNotDistinct", query_code, format!("Id {id} repeated."))
}

pub(crate) fn batch_too_long(bytes: usize, bytes_max: usize) -> Error {
    let message = format!("Batch requests cannot be longer than {bytes_max} bytes. You have sent {bytes} bytes.");
    refused("BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", message)
}

pub(crate) fn resource_not_found(message: impl Into<String>) -> Error {
    let not_found = AwsError::new(StatusCode::NOT_FOUND, "ResourceNotFoundException", message);
    Error::Refused(AwsError { query_code: Some("ResourceNotFoundException"), ..not_found })
}

pub(crate) fn unsupported(message: impl Into<String>) -> Error {
    refused("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", message)
}

pub(crate) fn unknown_operation(operation: &str) -> Error {
    let message = format!("{operation} is not an operation of SQS that this endpoint serves");
    let query_code = Some("InvalidAction");
    Error::Refused(AwsError { query_code, ..AwsError::bad_request("UnknownOperationException", message) })
}

pub(crate) fn unreadable(error: &serde_json::Error) -> Error {
    let message = format!("The body does not fit the operation: {error}");
    let query_code = Some("InvalidParameterValue");
    Error::Refused(AwsError { query_code, ..AwsError::bad_request("SerializationException", message) })
}
