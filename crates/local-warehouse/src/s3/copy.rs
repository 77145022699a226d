//! CopyObject and UploadPartCopy.

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::objects::{Checksums, Condition, ObjectFiles, ObjectHeaders, OpenObject, SealedObject};
use crate::s3::backend::Backend;
use crate::s3::checksums::{self, Expected};
use crate::s3::errors::error_of_files;
use crate::s3::multipart::check_part_number;
use crate::s3::preconditions::{ReadConditions, last_modified};
use crate::s3::unserved::{check_new_object, check_version, refuse};
use crate::s3::write::kept_headers;

/// One read of a copy.
const PIECE_BYTES: u64 = 1 << 20;

/// Collects the conditions on the source, which both requests share.
macro_rules! source_conditions {
    ($input:expr) => {{
        const CUSTOMER_KEY: &str = "x-amz-copy-source-server-side-encryption-customer-algorithm";
        refuse(CUSTOMER_KEY, $input.copy_source_sse_customer_algorithm.is_some())?;
        ReadConditions {
            if_match: $input.copy_source_if_match.clone(),
            if_none_match: $input.copy_source_if_none_match.clone(),
            if_modified_since: $input.copy_source_if_modified_since.clone(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.clone(),
        }
    }};
}

pub(super) async fn copy_object(
    backend: &Backend,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let input = request.input;
    check_new_object!(input);
    refuse("x-amz-tagging-directive", input.tagging_directive.is_some())?;
    let conditions = source_conditions!(input);
    let (from_bucket, from_key) = source(&input.copy_source)?;
    let replaces = replaces_headers(input.metadata_directive.as_ref())?;
    if !replaces && from_bucket == input.bucket && from_key == input.key {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata"
        ));
    }
    let headers = kept_headers!(input)?;
    let algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_owned());
    let expected = Expected::new(Checksums::default(), algorithm)?;
    let attributes = backend
        .blocking(move |files| {
            let object = files.open_object(&from_bucket, &from_key)?;
            conditions.check_source(&object.attributes)?;
            let expected = if expected.wanted.is_empty() { algorithms_of(&object)? } else { expected };
            let headers = if replaces { headers } else { object.attributes.headers.clone() };
            let copied = copy_bytes(files, &object, 0..object.attributes.size, &expected, headers)?;
            files.publish(&input.bucket, &input.key, &copied, &Condition::Always)?;
            Ok(copied.attributes.clone())
        })
        .await?;
    let mut result = CopyObjectResult {
        e_tag: Some(ETag::Strong(attributes.etag.clone())),
        last_modified: Some(last_modified(&attributes)),
        checksum_type: checksums::checksum_type(&attributes.checksums),
        ..CopyObjectResult::default()
    };
    checksums::answer!(result, attributes.checksums);
    Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }))
}

pub(super) async fn upload_part_copy(
    backend: &Backend,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    refuse("x-amz-server-side-encryption-customer-algorithm", input.sse_customer_algorithm.is_some())?;
    check_part_number(input.part_number)?;
    let conditions = source_conditions!(input);
    let (from_bucket, from_key) = source(&input.copy_source)?;
    let range = input.copy_source_range.as_deref().map(parse_range).transpose()?;
    let attributes = backend
        .blocking(move |files| {
            let upload = files.upload(&input.bucket, &input.key, &input.upload_id)?;
            let object = files.open_object(&from_bucket, &from_key)?;
            conditions.check_source(&object.attributes)?;
            let size = object.attributes.size;
            let range = range.unwrap_or(0..size);
            if range.end > size {
                return Err(s3_error!(InvalidRange, "The range lies outside of an object of {size} bytes"));
            }
            let expected = Expected::new(Checksums::default(), upload.checksum_algorithm.clone())?;
            let part = copy_bytes(files, &object, range, &expected, ObjectHeaders::default())?;
            files.put_part(&upload, input.part_number, &part)?;
            Ok(part.attributes.clone())
        })
        .await?;
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(attributes.etag.clone())),
        last_modified: Some(last_modified(&attributes)),
        ..CopyPartResult::default()
    };
    checksums::answer!(result, attributes.checksums);
    Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() }))
}

fn replaces_headers(directive: Option<&MetadataDirective>) -> S3Result<bool> {
    match directive.map(MetadataDirective::as_str) {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(s3_error!(InvalidArgument, "Unknown metadata directive: {other}")),
    }
}

/// The checksums that the source has, for the copy to have as well.
fn algorithms_of(object: &OpenObject) -> S3Result<Expected> {
    let has = |name: &&str| checksums::value(&object.attributes.checksums, name).is_some();
    Expected::new(Checksums::default(), checksums::ALGORITHMS.into_iter().filter(has).map(str::to_owned))
}

fn copy_bytes(
    files: &ObjectFiles,
    object: &OpenObject,
    range: std::ops::Range<u64>,
    expected: &Expected,
    headers: ObjectHeaders,
) -> S3Result<SealedObject> {
    let mut staged = files.stage()?;
    let mut md5 = Md5::new();
    let mut hasher = expected.hasher();
    let mut position = range.start;
    while position < range.end {
        let count = (range.end - position).min(PIECE_BYTES);
        let bytes = object.read(position, count as usize).map_err(error_of_files)?;
        md5.update(&bytes);
        hasher.update(&bytes);
        staged.write(&bytes).map_err(error_of_files)?;
        position += count;
    }
    let mut attributes = files.attributes(hex::encode(md5.finalize()), headers);
    attributes.checksums = checksums::computed(hasher);
    staged.seal(attributes).map_err(error_of_files)
}

fn source(source: &CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => {
            check_version(version_id.as_deref())?;
            Ok((bucket.to_string(), key.to_string()))
        }
        _ => Err(s3_error!(NotImplemented, "A copy source must be BUCKET/KEY: there are no access points here")),
    }
}

/// `bytes=first-last`, the only form that a copied part takes.
fn parse_range(text: &str) -> S3Result<std::ops::Range<u64>> {
    let bounds = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let parsed = bounds.and_then(|(first, last)| {
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(first..last.checked_add(1)?)
    });
    parsed.ok_or_else(|| s3_error!(InvalidArgument, "x-amz-copy-source-range must be of the form bytes=first-last"))
}
