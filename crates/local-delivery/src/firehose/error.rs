//! What goes wrong, in Firehose's words.

use aws_wire::AwsError;
use http::StatusCode;

use crate::store::StoreFailure;

/// A refusal for the caller to read, or a failure of ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Refused(AwsError),
    #[error("read or write the store of delivery streams")]
    Store(#[from] rusqlite::Error),
    #[error("a document in the store of delivery streams cannot be read")]
    Document(#[from] serde_json::Error),
    #[error("the store of delivery streams")]
    Failed(StoreFailure),
    #[error("convert records to the columns of table {table}: {source}")]
    Conversion { table: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("write an object of bucket {bucket}: {source}")]
    Object { bucket: String, source: Box<dyn std::error::Error + Send + Sync> },
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl From<AwsError> for Error {
    fn from(error: AwsError) -> Self {
        Self::Refused(error)
    }
}

impl From<StoreFailure> for Error {
    fn from(failure: StoreFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for AwsError {
    fn from(error: Error) -> Self {
        use std::error::Error as _;
        match error {
            Error::Refused(refusal) => refusal,
            failure => {
                let source = failure.source().map(ToString::to_string);
                tracing::error!(error = %failure, ?source, "a request failed");
                service_unavailable()
            }
        }
    }
}

/// What SDKs try again: nothing was taken over.
pub(crate) fn service_unavailable() -> AwsError {
    let message = "The service is unavailable. Back off and retry the operation.";
    AwsError::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", message)
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::Refused(AwsError::bad_request("InvalidArgumentException", message))
}

/// A member that this endpoint does not serve.
pub(crate) fn not_served(member: &str, advice: &str) -> Error {
    invalid(format!("{member} is not served by this endpoint. Try: {advice}"))
}

pub(crate) fn not_found(name: &str, account: &str) -> Error {
    let message = format!("Firehose {name} under account {account} not found.");
    Error::Refused(AwsError::bad_request("ResourceNotFoundException", message))
}

pub(crate) fn in_use(message: impl Into<String>) -> Error {
    Error::Refused(AwsError::bad_request("ResourceInUseException", message))
}

pub(crate) fn limit_exceeded(message: impl Into<String>) -> Error {
    Error::Refused(AwsError::bad_request("LimitExceededException", message))
}

pub(crate) fn concurrent_modification(message: impl Into<String>) -> Error {
    Error::Refused(AwsError::bad_request("ConcurrentModificationException", message))
}

pub(crate) fn unknown_operation(operation: &str) -> Error {
    let message = format!("{operation} is not an operation of Firehose that this endpoint serves");
    Error::Refused(AwsError::bad_request("UnknownOperationException", message))
}
