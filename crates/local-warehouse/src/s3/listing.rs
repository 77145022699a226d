//! ListObjects and ListObjectsV2.

use aws_wire::DEFAULT_ACCOUNT_ID;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::objects::{ListedObject, Listing, ListingRequest};
use crate::s3::backend::Backend;
use crate::s3::checksums;
use crate::s3::preconditions::last_modified;

const KEY_COUNT_MAX: i32 = 1000;

/// What `encoding-type=url` leaves as it is.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'*').remove(b'/');

pub(super) async fn list_objects(
    backend: &Backend,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let write = Writer::new(input.encoding_type.as_ref())?;
    let max_keys = max_keys(input.max_keys)?;
    let wanted = wanted(input.prefix.as_ref(), input.delimiter.as_ref(), input.marker.clone(), max_keys);
    let bucket = input.bucket.clone();
    let listing = backend.blocking(move |files| Ok(files.list(&bucket, &wanted)?)).await?;
    let output = ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(write.text(input.prefix.as_deref().unwrap_or_default())),
        marker: Some(write.text(input.marker.as_deref().unwrap_or_default())),
        max_keys: Some(max_keys),
        is_truncated: Some(listing.next_after.is_some()),
        contents: Some(write.objects(&listing, false)),
        common_prefixes: Some(write.common_prefixes(&listing)),
        // S3 gives it together with a delimiter only; the last key serves otherwise, and is the same.
        next_marker: listing.next_after.as_deref().filter(|_| input.delimiter.is_some()).map(|key| write.text(key)),
        delimiter: input.delimiter.map(|delimiter| write.text(&delimiter)),
        encoding_type: input.encoding_type,
        request_charged: None,
    };
    Ok(S3Response::new(output))
}

pub(super) async fn list_objects_v2(
    backend: &Backend,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let write = Writer::new(input.encoding_type.as_ref())?;
    let max_keys = max_keys(input.max_keys)?;
    let after = match &input.continuation_token {
        None => input.start_after.clone(),
        Some(token) => Some(position(token)?),
    };
    let wanted = wanted(input.prefix.as_ref(), input.delimiter.as_ref(), after, max_keys);
    let bucket = input.bucket.clone();
    let listing = backend.blocking(move |files| Ok(files.list(&bucket, &wanted)?)).await?;
    let key_count = listing.objects.len() + listing.common_prefixes.len();
    let output = ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(write.text(input.prefix.as_deref().unwrap_or_default())),
        max_keys: Some(max_keys),
        key_count: i32::try_from(key_count).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(listing.next_after.is_some()),
        next_continuation_token: listing.next_after.as_ref().map(|key| BASE64_URL_SAFE_NO_PAD.encode(key)),
        contents: Some(write.objects(&listing, input.fetch_owner == Some(true))),
        common_prefixes: Some(write.common_prefixes(&listing)),
        delimiter: input.delimiter.map(|delimiter| write.text(&delimiter)),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(|key| write.text(&key)),
        request_charged: None,
    };
    Ok(S3Response::new(output))
}

/// How many entries a page has: no more than a thousand, however many are asked for.
pub(super) fn max_keys(max_keys: Option<i32>) -> S3Result<i32> {
    match max_keys.unwrap_or(KEY_COUNT_MAX) {
        negative if negative < 0 => Err(s3_error!(InvalidArgument, "The number of entries must not be negative")),
        max_keys => Ok(max_keys.min(KEY_COUNT_MAX)),
    }
}

fn wanted(prefix: Option<&String>, delimiter: Option<&String>, after: Option<String>, max_keys: i32) -> ListingRequest {
    ListingRequest {
        prefix: prefix.cloned().unwrap_or_default(),
        delimiter: delimiter.cloned(),
        after: after.unwrap_or_default(),
        count_max: usize::try_from(max_keys).unwrap_or_default(),
    }
}

fn position(token: &str) -> S3Result<String> {
    let key = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|key| String::from_utf8(key).ok());
    key.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

/// Writes keys into an answer: as they are, or percent-encoded where the client asks for it.
pub(super) struct Writer {
    is_url: bool,
}

impl Writer {
    pub(super) fn new(encoding_type: Option<&EncodingType>) -> S3Result<Self> {
        match encoding_type.map(EncodingType::as_str) {
            None => Ok(Self { is_url: false }),
            Some("url") => Ok(Self { is_url: true }),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    pub(super) fn text(&self, text: &str) -> String {
        if self.is_url { utf8_percent_encode(text, URL).to_string() } else { text.to_owned() }
    }

    fn objects(&self, listing: &Listing, with_owner: bool) -> Vec<Object> {
        listing.objects.iter().map(|object| self.object(object, with_owner)).collect()
    }

    fn object(&self, object: &ListedObject, with_owner: bool) -> Object {
        let attributes = &object.attributes;
        let algorithms: Vec<ChecksumAlgorithm> = checksums::ALGORITHMS
            .into_iter()
            .filter(|name| checksums::value(&attributes.checksums, name).is_some())
            .map(ChecksumAlgorithm::from_static)
            .collect();
        Object {
            key: Some(self.text(&object.key)),
            size: i64::try_from(attributes.size).ok(),
            e_tag: Some(ETag::Strong(attributes.etag.clone())),
            last_modified: Some(last_modified(attributes)),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            owner: with_owner.then(|| Owner { id: Some(DEFAULT_ACCOUNT_ID.to_owned()), display_name: None }),
            checksum_type: checksums::checksum_type(&attributes.checksums),
            checksum_algorithm: (!algorithms.is_empty()).then_some(algorithms),
            restore_status: None,
        }
    }

    fn common_prefixes(&self, listing: &Listing) -> Vec<CommonPrefix> {
        listing.common_prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(self.text(prefix)) }).collect()
    }
}
