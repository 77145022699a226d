//! PutObject.

use std::collections::BTreeMap;

use s3s::dto::{ETag, Expires, Metadata, PutObjectInput, PutObjectOutput, TimestampFormat};
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::objects::ObjectHeaders;
use crate::s3::backend::Backend;
use crate::s3::errors::error_of_files;
use crate::s3::intake::{Announced, receive};
use crate::s3::unserved::{check_new_object, refuse};
use crate::s3::{checksums, preconditions};

/// Collects the headers that an object keeps, from the members that each request has of its own.
macro_rules! kept_headers {
    ($input:expr) => {
        $crate::s3::write::object_headers(
            $crate::objects::ObjectHeaders {
                content_type: $input.content_type.clone(),
                content_encoding: $input.content_encoding.clone(),
                content_language: $input.content_language.clone(),
                content_disposition: $input.content_disposition.clone(),
                cache_control: $input.cache_control.clone(),
                ..$crate::objects::ObjectHeaders::default()
            },
            $input.expires.as_ref(),
            $input.metadata.as_ref(),
        )
    };
}
pub(super) use kept_headers;

/// S3's limit for user metadata, names and values together.
const METADATA_BYTES_MAX: usize = 2 << 10;

pub(super) async fn put_object(
    backend: &Backend,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    check_new_object!(request.input);
    refuse("x-amz-write-offset-bytes", request.input.write_offset_bytes.is_some())?;
    let condition = preconditions::of_write(request.input.if_match.as_ref(), request.input.if_none_match.as_ref())?;
    // Better now than after gigabytes of body.
    backend.check_bucket(&request.input.bucket)?;
    let mut announced = Announced::of(&request, checksums::sent!(request.input));
    let input = request.input;
    announced.content_length = input.content_length;
    announced.content_md5.clone_from(&input.content_md5);
    announced.algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_owned());
    let headers = kept_headers!(input)?;
    let received = receive(&backend.files, input.body, announced).await?;
    let attributes = backend
        .blocking(move |files| {
            let mut attributes = files.attributes(received.md5_hex, headers);
            attributes.checksums = received.checksums;
            let sealed = received.staged.seal(attributes).map_err(error_of_files)?;
            files.publish(&input.bucket, &input.key, &sealed, &condition)?;
            Ok(sealed.attributes.clone())
        })
        .await?;
    let mut output = PutObjectOutput {
        e_tag: Some(ETag::Strong(attributes.etag.clone())),
        checksum_type: checksums::checksum_type(&attributes.checksums),
        ..PutObjectOutput::default()
    };
    checksums::answer!(output, attributes.checksums);
    Ok(S3Response::new(output))
}

pub(super) fn object_headers(
    mut headers: ObjectHeaders,
    expires: Option<&Expires>,
    metadata: Option<&Metadata>,
) -> S3Result<ObjectHeaders> {
    if let Some(expires) = expires {
        let mut text = Vec::new();
        expires
            .format(TimestampFormat::HttpDate, &mut text)
            .map_err(|error| s3_error!(error, InvalidArgument, "Expires is not a date"))?;
        headers.expires = String::from_utf8(text).ok();
    }
    headers.metadata = metadata.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect::<BTreeMap<_, _>>();
    let metadata_bytes: usize = headers.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if metadata_bytes > METADATA_BYTES_MAX {
        return Err(s3_error!(MetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size"));
    }
    Ok(headers)
}
