//! DeleteObject and DeleteObjects.

use s3s::dto::{DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, Error};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};

use crate::objects::KEY_BYTES_MAX;
use crate::s3::backend::Backend;
use crate::s3::unserved::{check_version, refuse};

/// S3's limit for one request.
const KEY_COUNT_MAX: usize = 1000;

pub(super) async fn delete_object(
    backend: &Backend,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    check_version(input.version_id.as_deref())?;
    refuse("If-Match", input.if_match.is_some())?;
    refuse("x-amz-if-match-size", input.if_match_size.is_some())?;
    refuse("x-amz-if-match-last-modified-time", input.if_match_last_modified_time.is_some())?;
    backend.blocking(move |files| Ok(files.delete(&input.bucket, &[input.key])?)).await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

pub(super) async fn delete_objects(
    backend: &Backend,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let DeleteObjectsInput { bucket, delete, .. } = request.input;
    if delete.objects.is_empty() || delete.objects.len() > KEY_COUNT_MAX {
        return Err(s3_error!(MalformedXML, "A request deletes 1 to {KEY_COUNT_MAX} keys"));
    }
    let mut errors = Vec::new();
    let mut keys = Vec::new();
    for object in delete.objects {
        let is_conditional = object.e_tag.is_some() || object.size.is_some() || object.last_modified_time.is_some();
        let refused = check_version(object.version_id.as_deref())
            .and_then(|()| refuse("A condition on a key", is_conditional))
            .and_then(|()| check_key(&object.key));
        match refused {
            Ok(()) => keys.push(object.key),
            Err(error) => errors.push(error_of_key(object.key, &error)),
        }
    }
    let keys = backend
        .blocking(move |files| {
            files.delete(&bucket, &keys)?;
            Ok(keys)
        })
        .await?;
    let deleted = keys.into_iter().map(|key| DeletedObject { key: Some(key), ..DeletedObject::default() });
    let deleted = if delete.quiet == Some(true) { Vec::new() } else { deleted.collect() };
    let output = DeleteObjectsOutput {
        deleted: (!deleted.is_empty()).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    };
    Ok(S3Response::new(output))
}

fn check_key(key: &str) -> S3Result<()> {
    if (1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(());
    }
    Err(s3_error!(KeyTooLongError, "Your key is too long, or empty"))
}

fn error_of_key(key: String, error: &S3Error) -> Error {
    Error {
        key: Some(key),
        code: Some(error.code().as_str().to_owned()),
        message: error.message().map(str::to_owned),
        version_id: None,
    }
}
