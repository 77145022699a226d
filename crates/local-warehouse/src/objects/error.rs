use std::io;

/// Why an operation on objects failed. Each front says it in its own protocol's words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectError {
    #[error("the bucket {0} does not exist")]
    NoSuchBucket(String),
    #[error("the bucket {0} exists already")]
    BucketExists(String),
    #[error("the bucket {0} is not empty")]
    BucketNotEmpty(String),
    #[error("the key {0} does not exist")]
    NoSuchKey(String),
    #[error("the key is empty or longer than 1024 bytes")]
    InvalidKey,
    #[error("a precondition of the request does not hold")]
    PreconditionFailed,
    #[error("the upload does not exist, or was completed or aborted")]
    NoSuchUpload,
    #[error("part {0} was not uploaded, or its ETag does not match")]
    InvalidPart(i32),
    #[error("the parts are not in ascending order")]
    InvalidPartOrder,
    #[error("part {0} is smaller than 5 MiB and not the last one")]
    PartTooSmall(i32),
    #[error("reach the warehouse's files")]
    Io(#[from] io::Error),
}

pub(crate) type Result<T> = std::result::Result<T, ObjectError>;
