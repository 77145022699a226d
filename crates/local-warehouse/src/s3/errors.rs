//! What went wrong with an object, in S3's words.

use std::io;

use s3s::{S3Error, S3ErrorCode, s3_error};

use crate::objects::ObjectError;

impl From<ObjectError> for S3Error {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::NoSuchBucket(_) => s3_error!(NoSuchBucket, "The specified bucket does not exist"),
            ObjectError::BucketExists(_) => s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ),
            ObjectError::BucketNotEmpty(_) => {
                s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty")
            }
            ObjectError::NoSuchKey(_) => s3_error!(NoSuchKey, "The specified key does not exist."),
            ObjectError::InvalidKey => s3_error!(KeyTooLongError, "Your key is too long, or empty"),
            ObjectError::PreconditionFailed => precondition_failed(),
            ObjectError::NoSuchUpload => s3_error!(
                NoSuchUpload,
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                 aborted or completed."
            ),
            ObjectError::InvalidPart(number) => s3_error!(
                InvalidPart,
                "Part {number} could not be found, or its entity tag does not match the part's entity tag."
            ),
            ObjectError::InvalidPartOrder => {
                s3_error!(InvalidPartOrder, "The list of parts was not in ascending order.")
            }
            ObjectError::PartTooSmall(number) => s3_error!(
                EntityTooSmall,
                "Part {number} is smaller than the minimum allowed size of 5 MiB, and not the last one"
            ),
            ObjectError::Io(error) => error_of_files(error),
        }
    }
}

pub(super) fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}

/// The disk's fault. Clients try again, which helps once there is space.
pub(super) fn error_of_files(error: io::Error) -> S3Error {
    let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    if is_full {
        tracing::error!(error = %error, "the disk is full");
        return s3_error!(ServiceUnavailable, "The warehouse's disk is full. Nothing was stored");
    }
    tracing::error!(error = %error, "the warehouse's files failed");
    let mut failed = S3Error::with_source(S3ErrorCode::InternalError, error.into());
    failed.set_message("We encountered an internal error. Please try again.");
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_an_error_that_clients_retry() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let error = S3Error::from(ObjectError::Io(kind.into()));
            assert_eq!(error.code(), &S3ErrorCode::ServiceUnavailable);
            assert_eq!(error.status_code().map(|status| status.as_u16()), Some(503));
        }
    }
}
