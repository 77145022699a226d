//! awsJson 1.0 and 1.1.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;

use crate::{AwsError, Body, EventStream, JsonService, JsonVersion, event_stream, query};

const X_AMZ_CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const X_AMZN_QUERY_ERROR: HeaderName = HeaderName::from_static("x-amzn-query-error");

/// Content types that the JSON services take, and answer in.
const CONTENT_TYPES: [&str; 3] = ["application/x-amz-json-1.0", "application/x-amz-json-1.1", "application/json"];

/// What answers of one JSON service have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonShape {
    pub(crate) version: JsonVersion,
    /// DynamoDB and its Streams have request ids, checksums and internal errors of their own.
    pub(crate) is_dynamodb: bool,
    error_namespace: Option<&'static str>,
    content_type: &'static str,
}

impl JsonShape {
    pub(crate) fn of(service: &dyn JsonService, scope: &str, headers: &HeaderMap) -> Self {
        Self {
            is_dynamodb: scope == "dynamodb",
            error_namespace: service.error_namespace(),
            ..Self::unknown(service.json_version(), headers)
        }
    }

    /// For callers who speak JSON to nobody we know.
    pub(crate) fn unknown(version: JsonVersion, headers: &HeaderMap) -> Self {
        let content_type = echoed_content_type(headers).unwrap_or(match version {
            JsonVersion::V1_0 => CONTENT_TYPES[0],
            JsonVersion::V1_1 => CONTENT_TYPES[1],
        });
        Self { version, is_dynamodb: false, error_namespace: None, content_type }
    }

    pub(crate) fn success(&self, body: Bytes) -> Response<Bytes> {
        self.response(StatusCode::OK, body)
    }

    pub(crate) fn error(&self, error: &AwsError) -> Response<Bytes> {
        let namespace = error.namespace.or_else(|| match self.version {
            JsonVersion::V1_0 => coral_namespace(&error.code).or(self.error_namespace),
            JsonVersion::V1_1 => None,
        });
        let kind = match namespace {
            Some(namespace) => format!("{namespace}#{}", error.code),
            None => error.code.to_string(),
        };
        let mut members = error.details.clone();
        members.insert("__type".into(), Value::String(kind));
        members.entry(message_member(&error.code)).or_insert_with(|| Value::String(error.message.clone()));
        let mut response = self.response(error.status, Value::Object(members).to_string().into());
        if let Some(code) = error.query_code {
            let query_error = format!("{code};{}", query::fault(error));
            let value = HeaderValue::try_from(query_error).expect("a code is ASCII");
            response.headers_mut().insert(X_AMZN_QUERY_ERROR, value);
        }
        response
    }

    pub(crate) fn events(&self, events: EventStream) -> Response<Body> {
        event_stream::response(events, self.content_type)
    }

    fn response(&self, status: StatusCode, body: Bytes) -> Response<Bytes> {
        let mut response = Response::builder().status(status).header(CONTENT_TYPE, self.content_type);
        if self.is_dynamodb {
            // Clients verify it and retry on a mismatch: it is taken from the very bytes that are sent.
            response = response.header(X_AMZ_CRC32, crc32fast::hash(&body));
        }
        response.body(body).expect("the parts of a response are well-formed")
    }
}

/// Refuses what cannot be JSON. No content type at all passes: the target has already said what it is.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), AwsError> {
    match headers.get(CONTENT_TYPE) {
        Some(given) if echoed_content_type(headers).is_none() => Err(AwsError::bad_request(
            "SerializationException",
            format!("Content-Type {given:?} is not JSON. Try: {}", CONTENT_TYPES[0]),
        )),
        _ => Ok(()),
    }
}

/// The content type of the request without its parameters, where it is one of ours.
fn echoed_content_type(headers: &HeaderMap) -> Option<&'static str> {
    let given = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let base = given.split(';').next().unwrap_or_default().trim();
    CONTENT_TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(base))
}

/// Errors that AWS's server framework raises, rather than the service's own model.
fn coral_namespace(code: &str) -> Option<&'static str> {
    match code {
        "ValidationException" => Some("com.amazon.coral.validate"),
        "SerializationException"
        | "UnknownOperationException"
        | "AccessDeniedException"
        | "IncompleteSignatureException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "UnrecognizedClientException" => Some("com.amazon.coral.service"),
        _ => None,
    }
}

/// Where the message stands. DynamoDB's model capitalizes it for one exception.
fn message_member(code: &str) -> &'static str {
    match code {
        "TransactionCanceledException" => "Message",
        _ => "message",
    }
}
