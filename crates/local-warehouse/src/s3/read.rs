//! GetObject and HeadObject.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::StatusCode;
use http_body_util::StreamBody;
use hyper::body::Frame;
use s3s::dto::{
    ETag, Expires, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, StreamingBlob, TimestampFormat,
};
use s3s::{Body, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use crate::objects::{Attributes, OpenObject};
use crate::s3::backend::Backend;
use crate::s3::checksums;
use crate::s3::errors::error_of_files;
use crate::s3::preconditions::{ReadConditions, last_modified};
use crate::s3::unserved::{check_version, refuse};

/// One read from disk, and the largest body that is sent in one piece.
const PIECE_BYTES: u64 = 512 << 10;

/// Which bytes of an object are asked for.
struct Part {
    range: Range<u64>,
    /// `Content-Range`, where it is not the whole object.
    content_range: Option<String>,
    parts_count: Option<i32>,
}

/// Reads the members that both requests share: opens the object and chooses the part.
macro_rules! open_part {
    ($backend:expr, $input:expr) => {{
        let input = &$input;
        check_version(input.version_id.as_deref())?;
        refuse("x-amz-server-side-encryption-customer-algorithm", input.sse_customer_algorithm.is_some())?;
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let object = $backend.blocking(move |files| Ok(files.open_object(&bucket, &key)?)).await?;
        let conditions = ReadConditions {
            if_match: input.if_match.clone(),
            if_none_match: input.if_none_match.clone(),
            if_modified_since: input.if_modified_since.clone(),
            if_unmodified_since: input.if_unmodified_since.clone(),
        };
        conditions.check(&object.attributes)?;
        let part = part(&object.attributes, input.range.as_ref(), input.part_number)?;
        (object, part)
    }};
}

/// Sets the members that both answers share.
macro_rules! describe {
    ($output:expr, $attributes:expr, $part:expr, $checksum_mode:expr) => {{
        let attributes = $attributes;
        let headers = &attributes.headers;
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = Some(($part.range.end - $part.range.start) as i64);
        $output.content_range = $part.content_range.clone();
        $output.parts_count = $part.parts_count;
        $output.e_tag = Some(ETag::Strong(attributes.etag.clone()));
        $output.last_modified = Some(last_modified(attributes));
        $output.content_type = headers.content_type.clone().or_else(|| Some("binary/octet-stream".to_owned()));
        $output.content_encoding = headers.content_encoding.clone();
        $output.content_language = headers.content_language.clone();
        $output.content_disposition = headers.content_disposition.clone();
        $output.cache_control = headers.cache_control.clone();
        $output.expires = headers.expires.as_deref().and_then(expires);
        $output.metadata = (!headers.metadata.is_empty()).then(|| headers.metadata.clone().into_iter().collect());
        if $checksum_mode.is_some() && $part.content_range.is_none() {
            checksums::answer!($output, attributes.checksums);
            $output.checksum_type = checksums::checksum_type(&attributes.checksums);
        }
    }};
}

pub(super) async fn get_object(
    backend: &Backend,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let (object, part) = open_part!(backend, request.input);
    let mut output = GetObjectOutput::default();
    describe!(output, &object.attributes, part, request.input.checksum_mode);
    output.body = Some(body(object, part.range).await?);
    Ok(S3Response::new(output))
}

pub(super) async fn head_object(
    backend: &Backend,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let (object, part) = open_part!(backend, request.input);
    let mut output = HeadObjectOutput::default();
    describe!(output, &object.attributes, part, request.input.checksum_mode);
    Ok(S3Response::new(output))
}

fn part(attributes: &Attributes, range: Option<&s3s::dto::Range>, part_number: Option<i32>) -> S3Result<Part> {
    let size = attributes.size;
    let (range, parts_count) = match (range, part_number) {
        (None, None) => return Ok(Part { range: 0..size, content_range: None, parts_count: None }),
        (Some(range), None) => (range.check(size)?, None),
        (None, Some(number)) => {
            let count = i32::try_from(attributes.part_sizes.len()).unwrap_or(i32::MAX);
            (part_range(attributes, number)?, (count > 0).then_some(count))
        }
        (Some(_), Some(_)) => {
            return Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber query parameter"));
        }
    };
    let content_range = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    Ok(Part { range, content_range: Some(content_range), parts_count })
}

/// The bytes of one part of a multipart upload; an object that was put whole is its only part.
fn part_range(attributes: &Attributes, number: i32) -> S3Result<Range<u64>> {
    let whole = [attributes.size];
    let sizes = if attributes.part_sizes.is_empty() { &whole[..] } else { &attributes.part_sizes };
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let Some(index) = index.filter(|index| *index < sizes.len()) else {
        let mut unsatisfiable = s3_error!(InvalidRange, "The requested partnumber is not satisfiable");
        unsatisfiable.set_code(S3ErrorCode::from_bytes(b"InvalidPartNumber").unwrap_or(S3ErrorCode::InvalidRange));
        unsatisfiable.set_status_code(StatusCode::RANGE_NOT_SATISFIABLE);
        return Err(unsatisfiable);
    };
    let start: u64 = sizes[..index].iter().sum();
    Ok(start..start + sizes[index])
}

async fn body(object: OpenObject, range: Range<u64>) -> S3Result<StreamingBlob> {
    if range.end - range.start <= PIECE_BYTES {
        let bytes = read(Arc::new(object), range).await.map_err(error_of_files)?;
        return Ok(StreamingBlob::from(Body::from(bytes)));
    }
    let frames = pieces(object, range).map(|piece| piece.map(Frame::data));
    Ok(StreamingBlob::from(Body::http_body_unsync(StreamBody::new(frames))))
}

fn pieces(object: OpenObject, range: Range<u64>) -> impl Stream<Item = std::io::Result<Bytes>> {
    let object = Arc::new(object);
    let starts = futures::stream::iter(range.clone().step_by(PIECE_BYTES as usize));
    starts.then(move |start| read(object.clone(), start..range.end.min(start + PIECE_BYTES)))
}

async fn read(object: Arc<OpenObject>, range: Range<u64>) -> std::io::Result<Bytes> {
    let length = (range.end - range.start) as usize;
    let read = tokio::task::spawn_blocking(move || object.read(range.start, length)).await;
    read.map_err(std::io::Error::other)?.map(Bytes::from)
}

fn expires(text: &str) -> Option<Expires> {
    Expires::parse(TimestampFormat::HttpDate, text).ok()
}
