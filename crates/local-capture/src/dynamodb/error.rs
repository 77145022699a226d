//! The engine's errors as AWS's.

use aws_wire::AwsError;
use dynoxide::DynoxideError;
use dynoxide::streams::{LOCAL_ACCOUNT, LOCAL_REGION};
use http::StatusCode;

use crate::region::Region;

/// Keeps code, message and the members beside them, such as `CancellationReasons` and `Item`.
pub(super) fn from_engine(region: &Region, operation: &str, error: &DynoxideError) -> AwsError {
    if let DynoxideError::SqliteError(_) | DynoxideError::InternalServerError(_) = error {
        tracing::error!(operation, %error, "item engine failed");
    }
    let (namespace, code) = error.error_type().split_once('#').unwrap_or(("", error.error_type()));
    let status = StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = AwsError::new(status, code, message(region, operation, error));
    answer.namespace = Some(namespace);
    if let Ok(serde_json::Value::Object(members)) = serde_json::from_str(&error.to_json()) {
        let is_detail = |name: &str| !matches!(name, "__type" | "message" | "Message");
        answer.details = members.into_iter().filter(|(name, _)| is_detail(name)).collect();
    }
    answer
}

fn message(region: &Region, operation: &str, error: &DynoxideError) -> String {
    let message = error.to_string().replace(
        &format!("arn:aws:dynamodb:{LOCAL_REGION}:{LOCAL_ACCOUNT}:"),
        &format!("arn:aws:dynamodb:{}:{}:", region.name, region.account),
    );
    let is_enveloped = matches!(error, DynoxideError::EnvelopedValidation(_))
        && matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem");
    if is_enveloped { format!("1 validation error detected: {message}") } else { message }
}

pub(crate) fn validation(message: impl Into<String>) -> AwsError {
    let mut error = AwsError::bad_request("ValidationException", message);
    error.namespace = Some("com.amazon.coral.validate");
    error
}

pub(crate) fn unknown_operation(operation: &str) -> AwsError {
    let message = format!("The operation {operation} is not known or not served here");
    let mut error = AwsError::bad_request("UnknownOperationException", message);
    error.namespace = Some("com.amazon.coral.service");
    error
}
