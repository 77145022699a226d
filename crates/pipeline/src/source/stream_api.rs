//! The three calls of DynamoDB Streams that reading needs.

use async_trait::async_trait;

use crate::change::{RawRecord, ShardId};
use crate::error::{Error, ErrorKind};
use crate::source::shard_tree::{ListedShard, Start};

/// DynamoDB Streams as its reader sees it.
#[async_trait]
pub trait StreamApi: Send + Sync {
    /// One page of the stream's shards, after `after`.
    async fn describe_stream(&self, stream: &str, after: Option<&ShardId>) -> Result<ShardPage, StreamError>;

    async fn get_shard_iterator(&self, stream: &str, shard: &ShardId, start: &Start) -> Result<String, StreamError>;

    /// What follows `iterator` in `shard`. Nothing in a page means nothing: only a missing `next` is the end.
    async fn get_records(&self, shard: &ShardId, iterator: &str) -> Result<RecordPage, StreamError>;

    /// Whether `get_records` waits for records by itself, so that asking again at once costs nothing.
    fn is_pushed(&self) -> bool {
        false
    }
}

/// A page of DescribeStream.
#[derive(Clone, Debug, Default)]
pub struct ShardPage {
    pub shards: Vec<ListedShard>,
    /// The last shard of this page, where there are more pages.
    pub last: Option<ShardId>,
    /// No record will be written to the stream any more.
    pub is_disabled: bool,
}

/// A page of GetRecords.
#[derive(Clone, Debug, Default)]
pub struct RecordPage {
    pub records: Vec<RawRecord>,
    /// `None` once a closed shard was read to its end.
    pub next: Option<String>,
    /// Whether it holds all that was written when it was asked for.
    pub reaches_tip: bool,
}

/// Why a call failed, by what the reader does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamErrorKind {
    /// Ask for another iterator after the last record read.
    ExpiredIterator,
    /// The position is older than what the stream holds: a gap.
    Trimmed,
    /// There is no such stream or shard.
    NotFound,
    /// Ask again, later.
    Throttled,
    /// Network, time-out, a server's fault: ask again a few times.
    Transient,
    /// Asking again would be answered alike.
    Refused,
}

/// A failed call of the stream's API.
#[derive(Debug)]
pub struct StreamError {
    pub kind: StreamErrorKind,
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

impl StreamError {
    pub fn new(kind: StreamErrorKind, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { kind, cause: cause.into() }
    }

    /// Classifies an error that AWS answered with.
    pub fn from_code(code: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let kind = match code {
            "ExpiredIteratorException" => StreamErrorKind::ExpiredIterator,
            "TrimmedDataAccessException" => StreamErrorKind::Trimmed,
            "ResourceNotFoundException" => StreamErrorKind::NotFound,
            "LimitExceededException"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            // A subscription of an earlier life has begun within the last five seconds.
            | "ResourceInUseException"
            | "ThrottlingException" => StreamErrorKind::Throttled,
            // A server's fault, or a token that is about to be refreshed.
            "ExpiredTokenException" | "InternalServerError" | "ServiceUnavailable" => StreamErrorKind::Transient,
            _ => StreamErrorKind::Refused,
        };
        Self::new(kind, cause)
    }

    /// The error that ends the run: `message` says what we were doing.
    pub fn into_error(self, message: String) -> Error {
        let kind = match self.kind {
            StreamErrorKind::NotFound | StreamErrorKind::Refused => ErrorKind::Misconfigured,
            StreamErrorKind::Trimmed => ErrorKind::Trimmed,
            StreamErrorKind::ExpiredIterator | StreamErrorKind::Throttled | StreamErrorKind::Transient => {
                ErrorKind::Transient
            }
        };
        Error::new(kind, message).with_source(self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_code() {
        let kind = |code| StreamError::from_code(code, "m").kind;
        assert_eq!(kind("ExpiredIteratorException"), StreamErrorKind::ExpiredIterator);
        assert_eq!(kind("TrimmedDataAccessException"), StreamErrorKind::Trimmed);
        assert_eq!(kind("LimitExceededException"), StreamErrorKind::Throttled);
        assert_eq!(kind("InternalServerError"), StreamErrorKind::Transient);
        assert_eq!(kind("AccessDeniedException"), StreamErrorKind::Refused);
    }
}
