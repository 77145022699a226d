//! Errors as S3 Tables has them: the name in a header, the message in the body.

use std::borrow::Cow;

use aws_wire::AwsError;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;

use crate::catalog::CatalogError;
use crate::rest;

pub(super) fn bad_request(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("BadRequestException", message)
}

pub(super) fn internal(cause: &dyn std::error::Error) -> AwsError {
    tracing::error!(error = %cause, source = ?cause.source().map(ToString::to_string), "an S3 Tables request failed");
    let message = "We encountered an internal error. Please try again.";
    AwsError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerErrorException", message)
}

impl From<CatalogError> for AwsError {
    fn from(error: CatalogError) -> Self {
        let (status, code) = match &error {
            CatalogError::NotFound(..) => (StatusCode::NOT_FOUND, "NotFoundException"),
            CatalogError::AlreadyExists(..) | CatalogError::NotEmpty(..) | CatalogError::Conflict(_) => {
                (StatusCode::CONFLICT, "ConflictException")
            }
            CatalogError::Invalid(_) => (StatusCode::BAD_REQUEST, "BadRequestException"),
            CatalogError::Failed(_) => return internal(&error),
        };
        AwsError::new(status, code, error.to_string())
    }
}

pub(super) fn response(error: &AwsError) -> Response<Bytes> {
    let mut response = rest::json(error.status, &json!({ "message": error.message }));
    if let Ok(code) = HeaderValue::from_str(&error.code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

/// What we do not answer yet, by the name that the AWS SDKs have for it.
pub(super) fn not_served(method: &Method, segments: &[&str]) -> AwsError {
    let message = match operation(method, segments) {
        Some(name) => format!("{name} is an operation of S3 Tables that this endpoint does not serve"),
        None => format!("There is no operation of S3 Tables at {method} /{}", segments.join("/")),
    };
    AwsError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowedException", message)
}

fn operation(method: &Method, segments: &[&str]) -> Option<Cow<'static, str>> {
    let verb = match *method {
        Method::GET => "Get",
        Method::PUT => "Put",
        Method::DELETE => "Delete",
        _ => "",
    };
    let noun = match segments {
        ["buckets", _, "encryption"] => "TableBucketEncryption",
        ["buckets", _, "metrics"] => "TableBucketMetricsConfiguration",
        ["buckets", _, "policy"] => "TableBucketPolicy",
        ["buckets", _, "logging"] => "TableBucketLogging",
        ["buckets", _, "storage-class"] => "TableBucketStorageClass",
        ["table-bucket-replication"] => "TableBucketReplication",
        ["tables", _, _, _, "policy"] => "TablePolicy",
        ["tables", _, _, _, "storage-class"] => "TableStorageClass",
        ["table-replication"] => "TableReplication",
        ["replication-status"] => "TableReplicationStatus",
        ["table-record-expiration"] => "TableRecordExpirationConfiguration",
        ["table-record-expiration-job-status"] => "TableRecordExpirationJobStatus",
        ["get-table-migration"] => "TableMigration",
        ["list-table-migrations"] => return Some("ListTableMigrations".into()),
        ["start-table-migration"] => return Some("StartTableMigration".into()),
        ["sync-table-migration"] => return Some("SyncTableMigration".into()),
        ["update-table-migration"] => return Some("UpdateTableMigration".into()),
        ["complete-table-migration"] => return Some("CompleteTableMigration".into()),
        _ => return None,
    };
    (!verb.is_empty()).then(|| format!("{verb}{noun}").into())
}
