//! ListParts and ListMultipartUploads.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use crate::objects;
use crate::s3::backend::Backend;
use crate::s3::checksums;
use crate::s3::listing::{Writer, max_keys};
use crate::s3::preconditions::{last_modified, timestamp};
use crate::s3::unserved::refuse;

pub(super) async fn list_parts(
    backend: &Backend,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let count_max = max_keys(input.max_parts)?;
    let marker = input.part_number_marker.unwrap_or_default();
    let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id.clone());
    let (upload, mut parts) = backend
        .blocking(move |files| {
            let upload = files.upload(&bucket, &key, &id)?;
            let parts = files.parts(&upload)?;
            Ok((upload, parts))
        })
        .await?;
    parts.retain(|part| part.number > marker);
    let has_more = parts.len() > count_max as usize;
    parts.truncate(count_max as usize);
    let output = ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: parts.last().filter(|_| has_more).map(|part| part.number),
        max_parts: Some(count_max),
        is_truncated: Some(has_more),
        parts: Some(parts.iter().map(listed_part).collect()),
        checksum_algorithm: upload.checksum_algorithm.map(ChecksumAlgorithm::from),
        checksum_type: upload.checksum_type.map(ChecksumType::from),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..ListPartsOutput::default()
    };
    Ok(S3Response::new(output))
}

pub(super) async fn list_multipart_uploads(
    backend: &Backend,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    refuse("delimiter", input.delimiter.is_some())?;
    let write = Writer::new(input.encoding_type.as_ref())?;
    let count_max = max_keys(input.max_uploads)?;
    let bucket = input.bucket.clone();
    let mut uploads = backend.blocking(move |files| Ok(files.uploads(&bucket)?)).await?;
    let prefix = input.prefix.clone().unwrap_or_default();
    uploads.retain(|upload| upload.key.starts_with(&prefix));
    if let Some(key_marker) = &input.key_marker {
        uploads = behind(uploads, key_marker, input.upload_id_marker.as_deref());
    }
    let has_more = uploads.len() > count_max as usize;
    uploads.truncate(count_max as usize);
    let last = uploads.last().filter(|_| has_more);
    let output = ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: Some(write.text(&prefix)),
        key_marker: Some(write.text(input.key_marker.as_deref().unwrap_or_default())),
        upload_id_marker: input.upload_id_marker,
        next_key_marker: last.map(|upload| write.text(&upload.key)),
        next_upload_id_marker: last.map(|upload| upload.id.clone()),
        max_uploads: Some(count_max),
        is_truncated: Some(has_more),
        encoding_type: input.encoding_type,
        uploads: Some(uploads.iter().map(|upload| listed_upload(&write, upload)).collect()),
        ..ListMultipartUploadsOutput::default()
    };
    Ok(S3Response::new(output))
}

/// Uploads that come after the marker: behind that upload of the key, or behind the whole key.
fn behind(uploads: Vec<objects::Upload>, key: &str, id: Option<&str>) -> Vec<objects::Upload> {
    let at = id.and_then(|id| uploads.iter().position(|upload| upload.key == key && upload.id == id));
    match at {
        Some(at) => uploads.into_iter().skip(at + 1).collect(),
        None => uploads.into_iter().filter(|upload| upload.key.as_str() > key).collect(),
    }
}

fn listed_part(part: &objects::Part) -> Part {
    let mut listed = Part {
        part_number: Some(part.number),
        e_tag: Some(ETag::Strong(part.attributes.etag.clone())),
        size: i64::try_from(part.attributes.size).ok(),
        last_modified: Some(last_modified(&part.attributes)),
        ..Part::default()
    };
    checksums::answer!(listed, part.attributes.checksums);
    listed
}

fn listed_upload(write: &Writer, upload: &objects::Upload) -> MultipartUpload {
    MultipartUpload {
        key: Some(write.text(&upload.key)),
        upload_id: Some(upload.id.clone()),
        initiated: Some(timestamp(upload.initiated_ms)),
        checksum_algorithm: upload.checksum_algorithm.clone().map(ChecksumAlgorithm::from),
        checksum_type: upload.checksum_type.clone().map(ChecksumType::from),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..MultipartUpload::default()
    }
}
