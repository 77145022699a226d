//! Pages of a listing: `prefix`, `continuationToken` and a limit of 1 to 1000.

use aws_wire::AwsError;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::catalog::PageRequest;
use crate::s3_tables::{Call, error};

const COUNT_MAX: usize = 1000;

/// Reads the page that is asked for. One entry more than wanted tells whether another page follows.
pub(super) fn request(call: &Call<'_>, limit: &str) -> Result<PageRequest, AwsError> {
    let count_max = match call.parameter(limit) {
        None => COUNT_MAX,
        Some(text) => text
            .parse()
            .ok()
            .filter(|count| (1..=COUNT_MAX).contains(count))
            .ok_or_else(|| error::bad_request(format!("{limit} must be between 1 and {COUNT_MAX}, not {text}")))?,
    };
    let after = match call.parameter("continuationToken") {
        None => String::new(),
        Some(token) => BASE64_URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|name| String::from_utf8(name).ok())
            .ok_or_else(|| error::bad_request("The continuation token is not valid"))?,
    };
    let prefix = call.parameter("prefix").unwrap_or_default().to_owned();
    Ok(PageRequest { prefix, after, count_max: count_max + 1 })
}

/// Writes a page; `position` is where the next one goes on. An entry that the caller may not see is left out.
pub(super) fn response<T>(
    page: &PageRequest,
    member: &str,
    mut entries: Vec<T>,
    position: impl Fn(&T) -> String,
    entry: impl Fn(&T) -> Option<Value>,
) -> Value {
    let has_more = entries.len() == page.count_max;
    entries.truncate(page.count_max - 1);
    let mut body = json!({ member: entries.iter().filter_map(entry).collect::<Vec<_>>() });
    if let Some(last) = entries.last().filter(|_| has_more) {
        body["continuationToken"] = BASE64_URL_SAFE_NO_PAD.encode(position(last)).into();
    }
    body
}
