//! Checks on the head of every request, before anything is looked up: a web page that reaches localhost gets nothing.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{HOST, ORIGIN},
    request::Parts,
};

use crate::{AwsError, denial::Denial};

/// Request line and headers together. AWS is at 8 to 16 KiB, depending on the service.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Refuses names that are not this machine's loopback interface (DNS rebinding) and pages from anywhere else.
pub(crate) fn check_origin(parts: &Parts) -> Result<(), Denial> {
    let host = host(&parts.headers).unwrap_or_default();
    let authority = parts.uri.authority().map_or(host, |authority| authority.as_str());
    let names_loopback = is_loopback(host) && is_loopback(authority);
    if !names_loopback || parts.headers.get_all(HOST).iter().count() != 1 {
        return Err(Denial::Forbidden(format!("Host '{host}' is not served. Try: 127.0.0.1, localhost or [::1]")));
    }
    let is_foreign = |origin: &HeaderValue| !origin.to_str().is_ok_and(is_loopback_origin);
    if parts.headers.get_all(ORIGIN).iter().any(is_foreign) {
        return Err(Denial::Forbidden("Requests from web pages of other origins are not served.".into()));
    }
    Ok(())
}

pub(crate) fn check_size(parts: &Parts) -> Result<(), AwsError> {
    const SEPARATORS: usize = ": \r\n".len();
    let fields = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + SEPARATORS);
    let target_bytes = parts.uri.path_and_query().map_or(0, |path_and_query| path_and_query.as_str().len());
    if target_bytes + fields.sum::<usize>() <= HEAD_BYTES_MAX {
        return Ok(());
    }
    Err(AwsError::new(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "RequestHeaderSectionTooLarge",
        format!("Your request line and headers exceed {HEAD_BYTES_MAX} bytes."),
    ))
}

/// Host and port as the client wrote them.
pub(crate) fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

fn is_loopback_origin(origin: &str) -> bool {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).is_some_and(is_loopback)
}

/// Tells whether `host`, with or without a port, is ours. `*.localhost` is for buckets as virtual hosts.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "127.0.0.1" | "localhost" | "[::1]") || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_ours() {
        for ours in ["127.0.0.1", "127.0.0.1:4566", "LOCALHOST:1", "[::1]", "[::1]:4566", "bucket.localhost:4566"] {
            assert!(is_loopback(ours), "{ours}");
        }
        for foreign in ["", "evil.example", "localhost.evil.example:4566", "127.0.0.1.nip.io", "::1", "notlocalhost"] {
            assert!(!is_loopback(foreign), "{foreign}");
        }
        assert!(is_loopback_origin("http://localhost:4567"));
        for foreign in ["null", "https://evil.example", "file://localhost", "http://localhost@evil.example"] {
            assert!(!is_loopback_origin(foreign), "{foreign}");
        }
    }
}
