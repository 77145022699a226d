//! Errors in the Iceberg REST catalog's own shape.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::json;

use crate::catalog::{CatalogError, Entity};
use crate::rest;

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct RestError {
    status: StatusCode,
    /// The exception's name in Iceberg's Java library, which every client knows.
    kind: &'static str,
    message: String,
}

impl RestError {
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "BadRequestException", message: message.into() }
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, kind: "ForbiddenException", message: message.into() }
    }

    pub(super) fn not_served(what: &str) -> Self {
        Self {
            status: StatusCode::NOT_ACCEPTABLE,
            kind: "UnsupportedOperationException",
            message: format!("S3 Tables does not serve {what}"),
        }
    }

    pub(super) fn no_route(method: &Method, path: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            kind: "NotFoundException",
            message: format!("There is no operation of the Iceberg REST catalog at {method} {path}"),
        }
    }

    /// A client has to take this for a commit whose outcome is unknown.
    pub(super) fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(error = %cause, source = ?cause.source().map(ToString::to_string), "a catalog request failed");
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            kind: "InternalServerError",
            message: "The warehouse failed. The outcome of a commit is unknown".to_owned(),
        }
    }

    pub(super) fn response(&self) -> Response<Bytes> {
        let error = json!({ "message": self.message, "type": self.kind, "code": self.status.as_u16() });
        rest::json(self.status, &json!({ "error": error }))
    }
}

impl From<CatalogError> for RestError {
    fn from(error: CatalogError) -> Self {
        let (status, kind) = match &error {
            CatalogError::NotFound(Entity::Table, _) => (StatusCode::NOT_FOUND, "NoSuchTableException"),
            CatalogError::NotFound(Entity::Namespace, _) => (StatusCode::NOT_FOUND, "NoSuchNamespaceException"),
            CatalogError::NotFound(Entity::TableBucket, _) => (StatusCode::NOT_FOUND, "NotFoundException"),
            CatalogError::AlreadyExists(..) => (StatusCode::CONFLICT, "AlreadyExistsException"),
            CatalogError::NotEmpty(..) => (StatusCode::CONFLICT, "NamespaceNotEmptyException"),
            CatalogError::Conflict(_) => (StatusCode::CONFLICT, "CommitFailedException"),
            CatalogError::Invalid(_) => (StatusCode::BAD_REQUEST, "BadRequestException"),
            CatalogError::Failed(_) => return Self::internal(&error),
        };
        Self { status, kind, message: error.to_string() }
    }
}
