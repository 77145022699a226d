//! Multipart uploads: create, upload a part, complete, abort.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::objects::{self, Checksums, ObjectFiles, ObjectHeaders};
use crate::s3::backend::Backend;
use crate::s3::checksums::{self, Expected};
use crate::s3::errors::error_of_files;
use crate::s3::intake::{Announced, receive};
use crate::s3::preconditions;
use crate::s3::unserved::{check_new_object, refuse};
use crate::s3::write::kept_headers;

const PART_NUMBER_MAX: i32 = 10_000;

pub(super) async fn create_multipart_upload(
    backend: &Backend,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let input = request.input;
    check_new_object!(input);
    let checksum_algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_ascii_uppercase());
    let checksum_type = checksum_type(checksum_algorithm.as_deref(), input.checksum_type.as_ref())?;
    let upload = objects::Upload {
        id: String::new(),
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        initiated_ms: 0,
        headers: kept_headers!(input)?,
        checksum_algorithm,
        checksum_type: checksum_type.clone(),
    };
    let upload = backend.blocking(move |files| Ok(files.create_upload(upload)?)).await?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload.id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: checksum_type.map(ChecksumType::from),
        ..CreateMultipartUploadOutput::default()
    }))
}

pub(super) async fn upload_part(
    backend: &Backend,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let number = request.input.part_number;
    check_part_number(number)?;
    refuse("x-amz-server-side-encryption-customer-algorithm", request.input.sse_customer_algorithm.is_some())?;
    let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
    let id = request.input.upload_id.clone();
    let upload = backend.blocking(move |files| Ok(files.upload(&bucket, &key, &id)?)).await?;
    let mut announced = Announced::of(&request, checksums::sent!(request.input));
    let input = request.input;
    announced.content_length = input.content_length;
    announced.content_md5.clone_from(&input.content_md5);
    announced.algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_owned());
    announced.algorithm = announced.algorithm.or_else(|| upload.checksum_algorithm.clone());
    let received = receive(&backend.files, input.body, announced).await?;
    let attributes = backend
        .blocking(move |files| {
            let mut attributes = files.attributes(received.md5_hex, ObjectHeaders::default());
            attributes.checksums = received.checksums;
            let part = received.staged.seal(attributes).map_err(error_of_files)?;
            files.put_part(&upload, number, &part)?;
            Ok(part.attributes.clone())
        })
        .await?;
    let e_tag = Some(ETag::Strong(attributes.etag.clone()));
    let mut output = UploadPartOutput { e_tag, ..UploadPartOutput::default() };
    checksums::answer!(output, attributes.checksums);
    Ok(S3Response::new(output))
}

pub(super) async fn complete_multipart_upload(
    backend: &Backend,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let sent = checksums::sent!(request.input);
    let input = request.input;
    refuse("x-amz-server-side-encryption-customer-algorithm", input.sse_customer_algorithm.is_some())?;
    let condition = preconditions::of_write(input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    let attributes = backend
        .blocking(move |files| {
            let upload = files.upload(&input.bucket, &input.key, &input.upload_id)?;
            let parts = check_parts(files, &upload, &named)?;
            let size: u64 = parts.iter().map(|part| part.attributes.size).sum();
            if input.mpu_object_size.is_some_and(|announced| u64::try_from(announced) != Ok(size)) {
                return Err(s3_error!(InvalidRequest, "The parts have {size} bytes, not x-amz-mp-object-size"));
            }
            let mut attributes = files.attributes(etag(&parts)?, upload.headers.clone());
            attributes.checksums = object_checksums(files, &upload, &parts)?;
            Expected { values: sent, wanted: Vec::new() }.check(&attributes.checksums)?;
            Ok(files.complete_upload(&upload, &parts, attributes, &condition)?)
        })
        .await?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        bucket: Some(bucket),
        key: Some(key),
        e_tag: Some(ETag::Strong(attributes.etag.clone())),
        checksum_type: checksums::checksum_type(&attributes.checksums),
        ..CompleteMultipartUploadOutput::default()
    };
    checksums::answer!(output, attributes.checksums);
    Ok(S3Response::new(output))
}

pub(super) async fn abort_multipart_upload(
    backend: &Backend,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    refuse("x-amz-if-match-initiated-time", input.if_match_initiated_time.is_some())?;
    backend
        .blocking(move |files| {
            let upload = files.upload(&input.bucket, &input.key, &input.upload_id)?;
            Ok(files.remove_upload(&upload.id)?)
        })
        .await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub(super) fn check_part_number(number: i32) -> S3Result<()> {
    if (1..=PART_NUMBER_MAX).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive"))
}

fn check_parts(files: &ObjectFiles, upload: &objects::Upload, named: &[CompletedPart]) -> S3Result<Vec<objects::Part>> {
    let mut numbered = Vec::with_capacity(named.len());
    for part in named {
        let (Some(number), Some(etag)) = (part.part_number, &part.e_tag) else {
            return Err(s3_error!(MalformedXML, "Each part must have a PartNumber and an ETag"));
        };
        numbered.push(objects::CompletedPart { number, etag: etag.value().to_owned() });
    }
    let parts = files.check_parts(upload, &numbered)?;
    for (name, part) in named.iter().zip(&parts) {
        let expected = Expected { values: checksums::sent!(name), wanted: Vec::new() };
        let checked = expected.check(&part.attributes.checksums);
        checked.map_err(|_| s3_error!(InvalidPart, "The checksum of part {} is not what was uploaded", part.number))?;
    }
    Ok(parts)
}

/// MD5 of the parts' MD5s, with their number.
fn etag(parts: &[objects::Part]) -> S3Result<String> {
    let mut md5 = Md5::new();
    for part in parts {
        let digest =
            hex::decode(&part.attributes.etag).map_err(|error| error_of_files(std::io::Error::other(error)))?;
        md5.update(&digest);
    }
    Ok(format!("{}-{}", hex::encode(md5.finalize()), parts.len()))
}

/// The checksums of the whole object: of all its bytes, or of its parts' checksums.
fn object_checksums(files: &ObjectFiles, upload: &objects::Upload, parts: &[objects::Part]) -> S3Result<Checksums> {
    let Some(algorithm) = &upload.checksum_algorithm else { return Ok(Checksums::default()) };
    let mut hasher = Expected::new(Checksums::default(), [algorithm.clone()])?.hasher();
    if upload.checksum_type.as_deref() == Some(ChecksumType::FULL_OBJECT) {
        files.read_parts(upload, parts, |bytes| hasher.update(bytes))?;
        return Ok(checksums::computed(hasher));
    }
    for part in parts {
        let value = checksums::value(&part.attributes.checksums, algorithm).unwrap_or_default();
        let digest = BASE64_STANDARD.decode(value).map_err(|error| error_of_files(std::io::Error::other(error)))?;
        hasher.update(&digest);
    }
    let mut composite = checksums::computed(hasher);
    if let Some(value) = checksums::value(&composite, algorithm) {
        let value = format!("{value}-{}", parts.len());
        checksums::set(&mut composite, algorithm, value);
    }
    composite.is_composite = true;
    Ok(composite)
}

/// The type of an upload's checksum: as asked for, or as S3 chooses.
fn checksum_type(algorithm: Option<&str>, asked: Option<&ChecksumType>) -> S3Result<Option<String>> {
    let asked = asked.map(|asked| asked.as_str().to_ascii_uppercase());
    let chosen = match (algorithm, asked.as_deref()) {
        (None, None) => return Ok(None),
        (Some("CRC64NVME"), None | Some(ChecksumType::FULL_OBJECT))
        | (Some("CRC32" | "CRC32C"), Some(ChecksumType::FULL_OBJECT)) => ChecksumType::FULL_OBJECT,
        (Some("CRC32" | "CRC32C" | "SHA1" | "SHA256"), None | Some(ChecksumType::COMPOSITE)) => ChecksumType::COMPOSITE,
        (algorithm, asked) => {
            return Err(s3_error!(
                InvalidRequest,
                "The checksum type {} cannot be used with the algorithm {}",
                asked.unwrap_or("(default)"),
                algorithm.unwrap_or("(none)")
            ));
        }
    };
    Ok(Some(chosen.to_owned()))
}
