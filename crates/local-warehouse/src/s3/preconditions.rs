//! `If-Match` and its kin.

use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use crate::objects::{Attributes, Condition};
use crate::s3::errors::precondition_failed;

/// Conditions of a read.
pub(super) struct ReadConditions {
    pub if_match: Option<ETagCondition>,
    pub if_none_match: Option<ETagCondition>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// Fails with 412 or 304, in the order that RFC 9110 has and S3 follows.
    pub(super) fn check(&self, attributes: &Attributes) -> S3Result<()> {
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches(condition, attributes) => return Err(precondition_failed()),
            (None, Some(since)) if is_modified(attributes, since) => return Err(precondition_failed()),
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches(condition, attributes) => Err(not_modified()),
            (None, Some(since)) if !is_modified(attributes, since) => Err(not_modified()),
            _ => Ok(()),
        }
    }

    /// The same for the source of a copy, where S3 answers 412 in each case.
    pub(super) fn check_source(&self, attributes: &Attributes) -> S3Result<()> {
        self.check(attributes).map_err(|_| precondition_failed())
    }
}

/// The condition of a write.
pub(super) fn of_write(if_match: Option<&ETagCondition>, if_none_match: Option<&ETagCondition>) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::Always),
        (None, Some(condition)) if condition.is_any() => Ok(Condition::Absent),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::Etag(etag.value().to_owned())),
        _ => Err(s3_error!(NotImplemented, "A write takes If-None-Match: * or If-Match with one ETag, and not both")),
    }
}

pub(super) fn last_modified(attributes: &Attributes) -> Timestamp {
    timestamp(attributes.last_modified_ms)
}

pub(super) fn timestamp(ms: i64) -> Timestamp {
    let since_epoch = std::time::Duration::from_millis(ms.max(0).unsigned_abs());
    Timestamp::from(std::time::UNIX_EPOCH + since_epoch)
}

fn matches(condition: &ETagCondition, attributes: &Attributes) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == attributes.etag,
    }
}

/// HTTP dates have whole seconds.
fn is_modified(attributes: &Attributes, since: &Timestamp) -> bool {
    timestamp(attributes.last_modified_ms / 1000 * 1000) > *since
}

fn not_modified() -> S3Error {
    S3Error::new(S3ErrorCode::NotModified)
}
