//! Bodies of requests and answers, and what both JSON services answer when something of ours fails.

use aws_wire::{AwsError, Caller};
use http::StatusCode;
use serde::de::DeserializeOwned;

use crate::lakehouse::{LakehouseError, Region};
use crate::store::StoreError;
use crate::view::ViewError;

/// Reads the body of a request.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, AwsError> {
    let body = if body.is_empty() { b"{}".as_slice() } else { body };
    serde_json::from_slice(body).map_err(|error| {
        AwsError::bad_request("SerializationException", format!("The body does not fit the operation: {error}"))
    })
}

/// Milliseconds as the JSON protocols write times: seconds, with a fraction.
pub(crate) fn seconds(ms: i64) -> serde_json::Value {
    serde_json::json!(ms as f64 / 1000.0)
}

/// Where a caller is.
pub(crate) fn region(caller: &Caller) -> Region {
    Region { account_id: caller.identity.account_id.clone(), name: caller.region.clone() }
}

impl Region {
    /// What rows of the store have for this place.
    pub(crate) fn key(&self) -> String {
        format!("{}/{}", self.account_id, self.name)
    }
}

/// A failure of ours. The caller hears nothing of its cause.
pub(crate) fn internal(code: &'static str, error: &dyn std::error::Error) -> AwsError {
    tracing::error!(%error, source = ?error.source().map(ToString::to_string), "a request failed");
    AwsError::new(StatusCode::INTERNAL_SERVER_ERROR, code, "The request failed because of an internal error.")
}

impl From<StoreError> for AwsError {
    fn from(error: StoreError) -> Self {
        internal("InternalServerException", &error)
    }
}

impl From<LakehouseError> for AwsError {
    fn from(error: LakehouseError) -> Self {
        internal("InternalServerException", &error)
    }
}

impl From<ViewError> for AwsError {
    fn from(error: ViewError) -> Self {
        internal("InternalServerException", &error)
    }
}
