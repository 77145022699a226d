//! A change as it comes from a stream: where it stood, and its bytes.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;

/// The name of a shard, unique within its stream. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(Arc<str>);

impl ShardId {
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ShardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a record stands in its shard. Ordered as a number.
///
/// DynamoDB Streams gives 21 to 40 digits and Kinesis up to 56, which do not fit u128; as decimal text without leading
/// zeros they order by length, then by text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SequenceNumber(Box<str>);

impl SequenceNumber {
    /// Reads decimal digits; `None` for anything else.
    pub fn parse(digits: &str) -> Option<Self> {
        let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let significant = digits.trim_start_matches('0');
        all_digits.then(|| Self(if significant.is_empty() { "0" } else { significant }.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a record stands in its stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    pub shard: ShardId,
    pub sequence_number: SequenceNumber,
    /// Which of the records that share the number: those that the Kinesis Producer Library put into one.
    pub part: u32,
}

/// Written as `shard/sequence number`: the `_position` column, and the id of a dead letter. Later parts of a number have
/// theirs behind a dot.
impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.shard, self.sequence_number)?;
        if self.part > 0 { write!(f, ".{}", self.part) } else { Ok(()) }
    }
}

/// One stream record, undecoded.
///
/// `json` is a record of DynamoDB Streams or of Kinesis-for-DynamoDB: `{"eventName": …, "dynamodb": {"Keys": …, …}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    pub position: Position,
    pub json: Bytes,
}

/// What happened to the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Insert,
    Modify,
    Remove,
}

impl Operation {
    /// The word of the stream record's `eventName` and of the `_op` column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Modify => "MODIFY",
            Self::Remove => "REMOVE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_order_as_numbers_of_any_length() {
        let ordered =
            ["0", "9", "10", "99999999999999999999999999999999999999999", "100000000000000000000000000000000000000000"];
        let numbers: Vec<_> = ordered.iter().map(|digits| SequenceNumber::parse(digits).unwrap()).collect();
        assert!(numbers.is_sorted());
        assert_eq!(SequenceNumber::parse("0010"), SequenceNumber::parse("10"));
        assert_eq!(SequenceNumber::parse("1e5"), None);
        assert_eq!(SequenceNumber::parse(""), None);
    }
}
