//! Records of a stream as a function gets them.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Deserialize;
use serde_json::value::RawValue;

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StreamRecord {
    pub sequence_number: String,
    /// Seconds since the epoch.
    pub created_s: f64,
    /// The same for all records of an item.
    pub key_hash: u64,
    /// As the event has it, `eventSourceARN` included.
    pub json: String,
}

/// A page of GetRecords.
#[derive(Debug)]
pub(super) struct Page {
    pub records: Vec<StreamRecord>,
    /// Absent at the end of a closed shard.
    pub next_iterator: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawPage<'a> {
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
    next_shard_iterator: Option<String>,
}

#[derive(Deserialize)]
struct RawRecord<'a> {
    #[serde(borrow)]
    dynamodb: RawChange<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawChange<'a> {
    sequence_number: String,
    approximate_creation_date_time: f64,
    #[serde(borrow)]
    keys: &'a RawValue,
}

impl Page {
    /// Reads an answer of GetRecords from the stream of that ARN.
    pub(super) fn parse(answer: &[u8], stream_arn: &str) -> serde_json::Result<Self> {
        let raw: RawPage<'_> = serde_json::from_slice(answer)?;
        let records = raw.records.iter().map(|record| StreamRecord::parse(record.get(), stream_arn));
        Ok(Self { records: records.collect::<Result<_, _>>()?, next_iterator: raw.next_shard_iterator })
    }
}

impl StreamRecord {
    fn parse(json: &str, stream_arn: &str) -> serde_json::Result<Self> {
        let RawRecord { dynamodb: change } = serde_json::from_str(json)?;
        let mut hasher = DefaultHasher::new();
        // The stream writes the same key the same way.
        change.keys.get().hash(&mut hasher);
        let body = json.trim_end().strip_suffix('}').unwrap_or(json);
        Ok(Self {
            sequence_number: change.sequence_number,
            created_s: change.approximate_creation_date_time,
            key_hash: hasher.finish(),
            json: format!(r#"{body},"eventSourceARN":"{stream_arn}"}}"#),
        })
    }
}

/// The event that hands records over.
pub(super) fn event<'a>(records: impl Iterator<Item = &'a StreamRecord>) -> String {
    let mut event = String::from(r#"{"Records":["#);
    for (index, record) in records.enumerate() {
        if index > 0 {
            event.push(',');
        }
        event.push_str(&record.json);
    }
    event.push_str("]}");
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_handed_over_as_it_stands_in_the_stream_with_the_stream_s_arn() {
        let record = r#"{"eventID":"1","dynamodb":{"ApproximateCreationDateTime":1.5,
            "Keys":{"id":{"S":"a"}},"SequenceNumber":"7"}}"#;
        let answer = format!(r#"{{"Records":[{record},{record}],"NextShardIterator":"next"}}"#);
        let page = Page::parse(answer.as_bytes(), "arn:x").unwrap();
        assert_eq!(page.next_iterator.as_deref(), Some("next"));
        let [first, second] = page.records.as_slice() else { panic!("two records") };
        assert_eq!((first.sequence_number.as_str(), first.created_s), ("7", 1.5));
        assert_eq!(first.key_hash, second.key_hash);
        let event: serde_json::Value = serde_json::from_str(&event(page.records.iter())).unwrap();
        assert_eq!(event["Records"][1]["eventSourceARN"], "arn:x");
        assert_eq!(event["Records"][1]["dynamodb"]["Keys"]["id"]["S"], "a");
    }
}
