//! Errors as Lambda has them: the name in a header, `Type` and `message` in the body.

use aws_wire::AwsError;
use http::StatusCode;

use crate::lambda::store::StoreError;

fn user(status: StatusCode, code: &'static str, message: impl Into<String>) -> AwsError {
    let mut error = AwsError::new(status, code, message);
    error.details.insert("Type".to_owned(), "User".into());
    error
}

/// A member has a value that Lambda knows and cannot take here.
pub(crate) fn invalid(message: impl Into<String>) -> AwsError {
    user(StatusCode::BAD_REQUEST, "InvalidParameterValueException", message)
}

/// A member breaks the rules of its shape; AWS words it the same everywhere.
pub(crate) fn constraint(value: &str, member: &str, rule: &str) -> AwsError {
    let message =
        format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}");
    user(StatusCode::BAD_REQUEST, "ValidationException", message)
}

pub(crate) fn not_found(message: impl Into<String>) -> AwsError {
    user(StatusCode::NOT_FOUND, "ResourceNotFoundException", message)
}

pub(crate) fn function_not_found(arn: &str) -> AwsError {
    not_found(format!("Function not found: {arn}"))
}

pub(crate) fn conflict(message: impl Into<String>) -> AwsError {
    user(StatusCode::CONFLICT, "ResourceConflictException", message)
}

pub(crate) fn precondition_failed() -> AwsError {
    user(
        StatusCode::PRECONDITION_FAILED,
        "PreconditionFailedException",
        "The RevisionId provided does not match the latest RevisionId. Call the GetFunction API to retrieve the latest \
         RevisionId for your function.",
    )
}

pub(crate) fn request_too_large(bytes: usize, bytes_max: usize) -> AwsError {
    user(
        StatusCode::PAYLOAD_TOO_LARGE,
        "RequestTooLargeException",
        format!("Request must be smaller than {bytes_max} bytes for the InvokeFunction operation; it has {bytes}"),
    )
}

/// The event is not JSON.
pub(crate) fn bad_content(message: impl Into<String>) -> AwsError {
    user(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message)
}

/// A function is at its limit. `reason` is one of AWS's `ThrottleReason`s.
pub(crate) fn throttled(reason: &'static str) -> AwsError {
    let mut error = user(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Rate Exceeded.");
    error.details.insert("Reason".to_owned(), reason.into());
    error
}

/// The interpreter or the bootstrap of a function cannot be started on this machine.
pub(crate) fn invalid_runtime(message: impl Into<String>) -> AwsError {
    user(StatusCode::BAD_GATEWAY, "InvalidRuntimeException", message)
}

/// What we do not serve, and what to do instead.
pub(crate) fn not_served(what: &str, instead: &str) -> AwsError {
    invalid(format!("{what} is not served by this endpoint. Try: {instead}"))
}

/// A failure of ours. The caller hears nothing of its cause.
pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> AwsError {
    tracing::error!(%error, source = ?error.source().map(ToString::to_string), "a Lambda request failed");
    let message = "An error occurred and the request cannot be processed.";
    let mut error = AwsError::new(StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", message);
    error.details.insert("Type".to_owned(), "Service".into());
    error
}

impl From<StoreError> for AwsError {
    fn from(error: StoreError) -> Self {
        internal(&error)
    }
}
