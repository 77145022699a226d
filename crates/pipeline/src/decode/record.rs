//! One stream record: which of its parts a row is made of.

use jiff::Timestamp;
use simd_json::StaticNode;

use crate::change::Operation;
use crate::decode::misfit::Rejection;
use crate::decode::tape::{Json, Members};

/// What a row needs of a stream record. The old image is stepped over unread.
pub(crate) struct ChangeRecord<'t> {
    pub operation: Operation,
    pub keys: Members<'t>,
    /// Present for every insert and modify, and only there.
    pub new_image: Option<Members<'t>>,
    /// Microseconds since the Unix epoch.
    pub created_us: Option<i64>,
}

impl<'t> ChangeRecord<'t> {
    /// Reads a record of DynamoDB Streams or of Kinesis-for-DynamoDB. `with_time` reads the time of creation too.
    pub fn read(root: Json<'t>, with_time: bool) -> Result<Self, Rejection> {
        let not_a_change = |reason: &str| Rejection::new("DYN402", format!("not a change record: {reason}"));
        let mut event_name = None;
        let mut change = None;
        for (name, value) in root.members().ok_or_else(|| not_a_change("it is not a JSON object"))? {
            match name {
                "eventName" => event_name = value.as_str(),
                "dynamodb" => change = value.members(),
                _ => {}
            }
        }
        let operation = match event_name {
            Some("INSERT") => Operation::Insert,
            Some("MODIFY") => Operation::Modify,
            Some("REMOVE") => Operation::Remove,
            Some(_) => return Err(not_a_change("`eventName` is not INSERT, MODIFY or REMOVE")),
            None => return Err(not_a_change("`eventName` is missing")),
        };
        let mut parts = Parts::default();
        for (name, value) in change.ok_or_else(|| not_a_change("`dynamodb` is missing"))? {
            match name {
                "Keys" => parts.keys = value.members(),
                "NewImage" => parts.new_image = value.members(),
                "ApproximateCreationDateTime" => parts.created = Some(value),
                "ApproximateCreationDateTimePrecision" => parts.precision = value.as_str(),
                _ => {}
            }
        }
        let keys = parts.keys.ok_or_else(|| not_a_change("`dynamodb.Keys` is missing"))?;
        if operation != Operation::Remove && parts.new_image.is_none() {
            let reason = "the record has no `NewImage`: the stream's view type must be NEW_IMAGE or NEW_AND_OLD_IMAGES";
            return Err(Rejection::new("DYN408", reason));
        }
        let created_us = match parts.created {
            Some(created) if with_time => read_time(created, parts.precision)
                .map(Some)
                .ok_or_else(|| not_a_change("`ApproximateCreationDateTime` is not a time"))?,
            _ => None,
        };
        let new_image = parts.new_image.filter(|_| operation != Operation::Remove);
        Ok(Self { operation, keys, new_image, created_us })
    }
}

#[derive(Default)]
struct Parts<'t> {
    keys: Option<Members<'t>>,
    new_image: Option<Members<'t>>,
    created: Option<Json<'t>>,
    precision: Option<&'t str>,
}

/// Microseconds since the epoch. DynamoDB Streams gives seconds, with or without a fraction; Kinesis-for-DynamoDB gives
/// milliseconds, or microseconds where the table's stream says so; the AWS CLI prints ISO 8601.
pub(crate) fn read_time(json: Json<'_>, precision: Option<&str>) -> Option<i64> {
    // Any real time in seconds is below this until the year 5138, and any in milliseconds since 1973 is above it.
    const SECONDS_MAX: i64 = 100_000_000_000;
    const MILLISECONDS_MAX: i64 = SECONDS_MAX * 1_000;
    if let Some(text) = json.as_str() {
        return text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
    }
    let whole = match json.as_static()? {
        StaticNode::I64(value) => value,
        StaticNode::U64(value) => i64::try_from(value).ok()?,
        StaticNode::F64(seconds) if seconds.abs() < SECONDS_MAX as f64 => {
            return Some((seconds * 1e6).round() as i64);
        }
        StaticNode::F64(other) => other as i64,
        StaticNode::Bool(_) | StaticNode::Null => return None,
    };
    match (precision, whole.unsigned_abs() as i64) {
        (Some("MICROSECOND"), _) => Some(whole),
        (Some("MILLISECOND"), _) => whole.checked_mul(1_000),
        (_, ..SECONDS_MAX) => whole.checked_mul(1_000_000),
        (_, ..MILLISECONDS_MAX) => whole.checked_mul(1_000),
        _ => Some(whole),
    }
}
