//! A request, taken apart: its path, its query, and a body of which nothing may be ignored.

use std::collections::BTreeMap;

use aws_wire::{AwsError, Caller};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header::CONTENT_TYPE};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::lambda::error;
use crate::lambda::function_name::Region;

pub(crate) type Answer = Result<Response<Bytes>, AwsError>;

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub method: Method,
    /// The path without the API's date, each segment decoded by itself.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub region: Region,
    pub request_id: String,
}

impl Call {
    pub(crate) fn new(caller: &Caller, request: Request<Bytes>) -> Result<Self, AwsError> {
        let region = Region { account_id: caller.identity.account_id.clone(), name: caller.region.clone() };
        let not_utf8 = || error::invalid("The path or the query is not UTF-8");
        let (parts, body) = request.into_parts();
        let raw = parts.uri.path().trim_matches('/').split('/').skip(1);
        let path = raw.map(decode).collect::<Option<_>>().ok_or_else(not_utf8)?;
        let query = pairs(&parts.uri).ok_or_else(not_utf8)?;
        let request_id = caller.request_id.clone();
        Ok(Self { method: parts.method, path, query, headers: parts.headers, body, region, request_id })
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter that may come several times.
    pub(crate) fn parameters(&self, name: &str) -> impl Iterator<Item = &str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Reads a body whose members are all in `served`. One that asks for nothing, as tools send them along, counts as
    /// absent: `null`, `""`, `[]`, `{}`.
    pub(crate) fn body<T: DeserializeOwned>(&self, served: &[&str]) -> Result<T, AwsError> {
        let body = if self.body.is_empty() { b"{}".as_slice() } else { &self.body };
        let unreadable = |reason: serde_json::Error| {
            AwsError::bad_request("InvalidRequestContentException", format!("Could not parse request body: {reason}"))
        };
        let mut members: Map<String, Value> = serde_json::from_slice(body).map_err(unreadable)?;
        members.retain(|name, value| served.contains(&name.as_str()) || asks_for_something(value));
        if let Some(name) = members.keys().find(|name| !served.contains(&name.as_str())) {
            return Err(error::not_served(name, "leave it out"));
        }
        serde_json::from_value(Value::Object(members)).map_err(unreadable)
    }

    /// The page of a listing that is asked for: what it begins after, and how long it may be.
    pub(crate) fn page(&self, count_default: usize) -> Result<(Option<&str>, usize), AwsError> {
        let count = match self.parameter("MaxItems") {
            None => count_default,
            Some(text) => text.parse().ok().filter(|count| (1..=10_000).contains(count)).ok_or_else(|| {
                error::constraint(text, "maxItems", "Member must have value between 1 and 10000, inclusive")
            })?,
        };
        Ok((self.parameter("Marker"), count.min(count_default)))
    }
}

pub(crate) fn json(status: StatusCode, body: &Value) -> Answer {
    Ok(Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_string().into())
        .expect("the parts of a response are well-formed"))
}

pub(crate) fn ok(body: &Value) -> Answer {
    json(StatusCode::OK, body)
}

pub(crate) fn no_content() -> Answer {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// Checks tags that a resource is to have.
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
    let is_valid = |key: &str, value: &str| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256 && !key.starts_with("aws:")
    };
    if let Some((key, _)) = tags.iter().find(|(key, value)| !is_valid(key, value)) {
        let rule = "keys have 1 to 128 characters and do not begin with aws:, values have up to 256";
        return Err(error::invalid(format!("The tag {key:?} is not valid: {rule}")));
    }
    if tags.len() > 50 { Err(error::invalid("A resource has at most 50 tags")) } else { Ok(()) }
}

fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(members) => members.values().any(asks_for_something),
        Value::Bool(flag) => *flag,
        Value::Number(_) => true,
    }
}

fn pairs(uri: &Uri) -> Option<Vec<(String, String)>> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
        })
        .collect()
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}
