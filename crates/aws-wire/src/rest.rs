//! Errors of restJson1 services and of the Iceberg REST catalog.

use bytes::Bytes;
use http::{HeaderName, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::AwsError;

const X_AMZN_ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const X_AMZN_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// An error as restJson1 services answer it: the type in a header, the message and details in the body.
pub fn rest_json_error(error: &AwsError, request_id: &str) -> Response<Bytes> {
    let mut members = error.details.clone();
    members.entry("message").or_insert_with(|| Value::String(error.message.clone()));
    Response::builder()
        .status(error.status)
        .header(CONTENT_TYPE, "application/json")
        .header(X_AMZN_ERROR_TYPE, error.code.as_ref())
        .header(X_AMZN_REQUEST_ID, request_id)
        .body(Value::Object(members).to_string().into())
        .expect("error codes and request ids are ASCII")
}

/// An error as the Iceberg REST specification has it: `{"error": {"message", "type", "code"}}`.
pub fn iceberg_error(status: StatusCode, kind: &str, message: &str) -> Response<Bytes> {
    let body = json!({"error": {"message": message, "type": kind, "code": status.as_u16()}});
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_string().into())
        .expect("the parts of a response are well-formed")
}
