//! CloudWatch's errors. SDKs still report the codes of its query protocol.

use aws_wire::AwsError;
use http::StatusCode;

pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    coded("InvalidParameterValueException", "InvalidParameterValue", message)
}

pub(super) fn combination(message: impl Into<String>) -> AwsError {
    coded("InvalidParameterCombinationException", "InvalidParameterCombination", message)
}

/// What AWS has no error in its model for.
pub(super) fn validation(message: impl Into<String>) -> AwsError {
    coded("ValidationError", "ValidationError", message)
}

pub(super) fn invalid_token() -> AwsError {
    coded("InvalidNextToken", "InvalidNextToken", "The token is not one that was given")
}

pub(super) fn no_alarm(name: &str) -> AwsError {
    let message = format!("Unknown alarm {name}. Try: aws cloudwatch describe-alarms");
    AwsError { status: StatusCode::NOT_FOUND, ..coded("ResourceNotFound", "ResourceNotFound", message) }
}

fn coded(code: &'static str, query_code: &'static str, message: impl Into<String>) -> AwsError {
    AwsError { query_code: Some(query_code), ..AwsError::bad_request(code, message) }
}
