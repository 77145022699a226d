//! How answers look, by family of protocols.

use ambient::Ambient;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::{AwsError, iceberg_error, json::JsonShape, query, request_id, rest_json_error};

/// The protocol that the caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Json(JsonShape),
    RestJson,
    Iceberg,
    Query { xml_namespace: Option<&'static str> },
    RestXml,
}

const X_AMZN_REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const X_AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const X_AMZ_ID_2: HeaderName = HeaderName::from_static("x-amz-id-2");

impl Protocol {
    pub(crate) fn request_id(&self, ambient: &Ambient) -> String {
        match self {
            Self::Json(shape) if shape.is_dynamodb => request_id::dynamodb(ambient),
            Self::RestXml => request_id::s3(ambient),
            Self::Json(_) | Self::RestJson | Self::Iceberg | Self::Query { .. } => request_id::uuid(ambient),
        }
    }

    pub(crate) fn error(&self, error: &AwsError, request_id: &str) -> Response<Bytes> {
        match self {
            Self::Json(shape) => shape.error(error),
            Self::RestJson => rest_json_error(error, request_id),
            Self::Iceberg => iceberg_error(error.status, &error.code, &error.message),
            Self::Query { xml_namespace } => query::error(*xml_namespace, error, request_id),
            Self::RestXml => query::s3_error(error, request_id),
        }
    }

    /// What a caller hears of a failure of our own.
    pub(crate) fn internal_failure(&self) -> AwsError {
        let code = match self {
            Self::Json(shape) if shape.is_dynamodb => "InternalServerError",
            Self::RestXml => "InternalError",
            Self::Json(_) | Self::RestJson | Self::Iceberg | Self::Query { .. } => "InternalFailure",
        };
        AwsError::new(StatusCode::INTERNAL_SERVER_ERROR, code, "The request failed because of an internal error.")
    }

    /// Adds the request id that every answer carries, unless the service has set its own.
    pub(crate) fn stamp(&self, headers: &mut HeaderMap, request_id: &str) {
        let mut set = |name: HeaderName, value: &str| {
            let value = HeaderValue::from_str(value).expect("a request id is ASCII");
            headers.entry(name).or_insert(value);
        };
        match self {
            Self::RestXml => {
                set(X_AMZ_REQUEST_ID, request_id);
                set(X_AMZ_ID_2, &request_id::s3_extended(request_id));
            }
            Self::Json(_) | Self::RestJson | Self::Iceberg | Self::Query { .. } => set(X_AMZN_REQUEST_ID, request_id),
        }
    }
}
