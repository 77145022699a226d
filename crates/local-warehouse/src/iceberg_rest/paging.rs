//! Pages of a listing. A client that sends no `pageToken` gets everything at once, as the specification asks.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::catalog::PageRequest;
use crate::iceberg_rest::Call;
use crate::iceberg_rest::error::RestError;

const COUNT_MAX: usize = 1000;
/// More than a table bucket holds.
const EVERYTHING: usize = 1_000_000;

/// Reads the page that is asked for. One entry more than wanted tells whether another page follows.
pub(super) fn request(call: &Call<'_>) -> Result<PageRequest, RestError> {
    let page = |after, count_max| PageRequest { prefix: String::new(), after, count_max };
    let Some(token) = call.parameter("pageToken") else { return Ok(page(String::new(), EVERYTHING)) };
    let after = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
    let after = after.ok_or_else(|| RestError::bad_request("The page token is not valid"))?;
    let size = match call.parameter("pageSize") {
        None => COUNT_MAX,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| *size >= 1)
            .ok_or_else(|| RestError::bad_request(format!("pageSize must be a positive number, not {text}")))?,
    };
    Ok(page(after, size.min(COUNT_MAX) + 1))
}

/// Cuts the entries to the page; the token of the next one, if there is more.
pub(super) fn cut<T>(page: &PageRequest, entries: &mut Vec<T>, position: impl Fn(&T) -> String) -> Option<String> {
    if entries.len() < page.count_max {
        return None;
    }
    entries.truncate(page.count_max - 1);
    entries.last().map(|last| BASE64_URL_SAFE_NO_PAD.encode(position(last)))
}
