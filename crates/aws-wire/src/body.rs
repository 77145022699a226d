//! Reads request bodies within limits.

use std::{io::Read as _, time::Duration};

use bytes::{Bytes, BytesMut};
use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, StatusCode, header::CONTENT_ENCODING};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::AwsError;

/// DynamoDB's limit, and enough for the others.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much of a body that is too long is read and thrown away, so that its sender gets to see the answer.
const DISCARDED_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// How long a body may take from its first byte to its last.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);

/// What a byte may inflate to.
const INFLATION_MAX: usize = 100;

/// Reads a whole body. Its length is counted, not believed.
pub(crate) async fn read(body: Incoming) -> Result<Bytes, AwsError> {
    let too_slow = || AwsError::new(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "The body arrives too slowly.");
    tokio::time::timeout(BODY_TIME_MAX, read_all(body)).await.map_err(|_| too_slow())?
}

async fn read_all(mut body: Incoming) -> Result<Bytes, AwsError> {
    let mut read = BytesMut::new();
    let mut received_bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            AwsError::bad_request("IncompleteBody", format!("The body could not be read to its end: {error}."))
        })?;
        let Ok(data) = frame.into_data() else { continue };
        received_bytes += data.len();
        if received_bytes <= BODY_BYTES_MAX {
            read.extend_from_slice(&data);
        } else if received_bytes > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if received_bytes > BODY_BYTES_MAX { Err(too_large()) } else { Ok(read.freeze()) }
}

/// Undoes the `Content-Encoding`, and removes that header.
pub(crate) async fn inflate(headers: &mut HeaderMap, body: Bytes) -> Result<Bytes, AwsError> {
    let Some(encoding) = headers.remove(CONTENT_ENCODING) else { return Ok(body) };
    match encoding.as_bytes() {
        b"gzip" => tokio::task::spawn_blocking(move || gunzip(&body)).await.expect("inflating does not panic"),
        b"identity" | b"" => Ok(body),
        _ => Err(AwsError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedContentEncoding",
            format!("Content-Encoding {encoding:?} is not served. Try: gzip"),
        )),
    }
}

fn gunzip(body: &[u8]) -> Result<Bytes, AwsError> {
    let inflated_bytes_max = BODY_BYTES_MAX.min(body.len() * INFLATION_MAX);
    let mut inflated = Vec::new();
    MultiGzDecoder::new(body)
        .take(inflated_bytes_max as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|error| AwsError::bad_request("SerializationException", format!("The body is not gzip: {error}.")))?;
    if inflated.len() > inflated_bytes_max { Err(too_large()) } else { Ok(inflated.into()) }
}

fn too_large() -> AwsError {
    AwsError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "RequestEntityTooLarge",
        format!("The body is longer than {BODY_BYTES_MAX} bytes, or inflates more than {INFLATION_MAX} times."),
    )
}
