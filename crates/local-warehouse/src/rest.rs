//! What the two REST fronts share: paths, queries and JSON answers.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Response, StatusCode, Uri, header};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The segments of a raw path, each decoded by itself: an encoded slash does not part segments. `None` where one is not
/// UTF-8.
pub(crate) fn segments(path: &str) -> Option<Vec<String>> {
    path.trim_matches('/').split('/').map(decode).collect()
}

/// The parameters of a query; the last of several with one name.
pub(crate) fn query(uri: &Uri) -> Option<BTreeMap<String, String>> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode_form(name)?, decode_form(value)?))
        })
        .collect()
}

/// All values of a parameter that may come several times.
pub(crate) fn query_values(uri: &Uri, name: &str) -> Vec<String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).filter_map(|(_, value)| decode_form(value)).collect()
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    match serde_json::to_vec(body) {
        Ok(body) => respond(status, body.into()),
        Err(error) => {
            tracing::error!(error = %error, "could not write an answer");
            respond(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new())
        }
    }
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

fn respond(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Reads a JSON body; the message says where it is wrong.
pub(crate) fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| format!("The request body is not valid: {error}"))
}

fn decode(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

fn decode_form(text: &str) -> Option<String> {
    decode(&text.replace('+', " "))
}
