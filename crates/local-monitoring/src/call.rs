//! A request, taken apart; and how one fails.

use aws_wire::{AwsError, Caller};
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::store::{Store, StoreError};

pub(crate) type Answer = Result<Value, AwsError>;

pub(crate) struct Call<'a> {
    pub store: &'a Store,
    pub caller: &'a Caller,
    /// Account and region: nothing is seen across.
    pub region: String,
    pub body: &'a [u8],
    pub now_ms: i64,
}

pub(crate) fn region_key(account_id: &str, region: &str) -> String {
    format!("{account_id}/{region}")
}

impl Call<'_> {
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, AwsError> {
        let body = if self.body.is_empty() { b"{}".as_slice() } else { self.body };
        serde_json::from_slice(body).map_err(|error| {
            AwsError::bad_request("SerializationException", format!("The body does not fit the operation: {error}"))
        })
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.caller.region, self.caller.identity.account_id)
    }
}

/// A failure of ours. The caller hears nothing of its cause.
pub(crate) fn internal(error: &dyn std::error::Error) -> AwsError {
    tracing::error!(%error, source = ?error.source().map(ToString::to_string), "a request failed");
    let message = "The request failed because of an internal error.";
    AwsError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceFault", message)
}

impl From<StoreError> for AwsError {
    fn from(error: StoreError) -> Self {
        internal(&error)
    }
}

/// Milliseconds as the JSON protocols write times: seconds, with a fraction.
pub(crate) fn seconds(ms: i64) -> Value {
    serde_json::json!(ms as f64 / 1000.0)
}

/// Seconds, as clients write times, in milliseconds.
pub(crate) fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// Cuts a page of `size` out of `all`, which begins after what `token` says; gives the token of the next page.
pub(crate) fn page<T>(
    all: Vec<T>,
    token: Option<&str>,
    size: usize,
    key: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let mut rest = all.into_iter().skip_while(|item| token.is_some_and(|token| key(item).as_str() <= token));
    let page: Vec<T> = rest.by_ref().take(size).collect();
    let next = rest.next().and_then(|_| page.last().map(&key));
    (page, next)
}
