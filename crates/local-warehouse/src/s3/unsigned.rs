//! Requests whose signature nobody checks: it is taken off, and what it wraps the body in.

use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};
use http::{Request, Uri};
use hyper::body::Incoming;
use s3s::Body;
use s3s::dto::StreamingBlob;

use crate::s3::aws_chunked::{AwsChunked, Trailers};

/// Makes a request that `s3s` takes for an anonymous one.
pub(super) fn prepare(request: Request<Incoming>) -> Request<Body> {
    let (mut parts, incoming) = request.into_parts();
    parts.headers.remove(AUTHORIZATION);
    if let Some(uri) = without_signature(&parts.uri) {
        parts.uri = uri;
    }
    let body = Body::from(incoming);
    let payload = parts.headers.remove("x-amz-content-sha256");
    let is_chunked = payload.is_some_and(|payload| payload.as_bytes().starts_with(b"STREAMING-"));
    if !is_chunked {
        return Request::from_parts(parts, body);
    }
    unwrap_headers(&mut parts.headers);
    let (chunked, trailers) = AwsChunked::new(body);
    parts.extensions.insert::<Trailers>(trailers);
    Request::from_parts(parts, Body::from(StreamingBlob::new(chunked)))
}

/// The headers as they would be had the body been sent as it is.
fn unwrap_headers(headers: &mut HeaderMap) {
    match headers.remove("x-amz-decoded-content-length") {
        Some(length) => headers.insert(CONTENT_LENGTH, length),
        None => headers.remove(CONTENT_LENGTH),
    };
    let encoding = headers.get(CONTENT_ENCODING).and_then(|encoding| encoding.to_str().ok()).unwrap_or_default();
    let kept: Vec<&str> = encoding.split(',').map(str::trim).filter(|name| *name != "aws-chunked").collect();
    match HeaderValue::from_str(&kept.join(",")) {
        Ok(kept) if !kept.is_empty() => headers.insert(CONTENT_ENCODING, kept),
        _ => headers.remove(CONTENT_ENCODING),
    };
}

/// The URI without the parameters of a presigned request; `None` where there are none.
fn without_signature(uri: &Uri) -> Option<Uri> {
    // The last three are of the second version of signatures, which boto3 still presigns with.
    const PARAMETERS: [&str; 11] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
        "x-amz-security-token",
        "AWSAccessKeyId",
        "Signature",
        "Expires",
    ];
    let query = uri.query().filter(|query| query.contains("Signature="))?;
    let is_kept = |pair: &&str| !PARAMETERS.contains(&pair.split('=').next().unwrap_or_default());
    let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
    format!("{}?{}", uri.path(), kept.join("&")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presigned_url_loses_its_signature_and_nothing_else() {
        let uri: Uri = "/b/k%20?X-Amz-Signature=1&partNumber=2&X-Amz-Date=3&uploadId=4".parse().unwrap();
        assert_eq!(without_signature(&uri).unwrap(), "/b/k%20?partNumber=2&uploadId=4");
        let uri: Uri = "/b/k?AWSAccessKeyId=dev&Signature=1&Expires=2&versionId=null".parse().unwrap();
        assert_eq!(without_signature(&uri).unwrap(), "/b/k?versionId=null");
        assert_eq!(without_signature(&"/b/k?x=1".parse().unwrap()), None);
    }

    #[test]
    fn only_the_wrapping_is_taken_off_the_headers() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip, aws-chunked"));
        headers.insert("x-amz-decoded-content-length", HeaderValue::from_static("5"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("99"));
        unwrap_headers(&mut headers);
        assert_eq!(headers[CONTENT_ENCODING], "gzip");
        assert_eq!(headers[CONTENT_LENGTH], "5");
    }
}
