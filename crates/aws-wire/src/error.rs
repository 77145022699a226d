//! Errors as AWS spells them.

use std::borrow::Cow;

use http::StatusCode;

/// An error that an AWS client can act on. The code is the type: SDKs raise the exception class of that name.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsError {
    /// The exception's name, exactly as AWS has it: `ResourceNotFoundException`.
    pub code: Cow<'static, str>,
    pub message: String,
    pub status: StatusCode,
    /// What stands before `#` in `__type`, where it is not the service's own:
    /// `com.amazon.coral.validate` for DynamoDB's ValidationException.
    pub namespace: Option<&'static str>,
    /// Further members of the error's shape, such as `CancellationReasons`.
    pub details: serde_json::Map<String, serde_json::Value>,
    /// The code that the service had while it spoke the query protocol, and that SDKs still report:
    /// `AWS.SimpleQueueService.NonExistentQueue` for SQS's QueueDoesNotExist.
    pub query_code: Option<&'static str>,
}

impl AwsError {
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            status,
            namespace: None,
            details: serde_json::Map::default(),
            query_code: None,
        }
    }

    /// An error of the caller: HTTP 400.
    pub fn bad_request(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }
}

impl std::fmt::Display for AwsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for AwsError {}
