//! Records of a stream as a function gets them.

use std::hash::{DefaultHasher, Hash, Hasher};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::pattern::Pattern;

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StreamRecord {
    pub sequence_number: String,
    /// Seconds since the epoch.
    pub created_s: f64,
    /// The same for all records of an item, or of a partition key.
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

/// Where records of Kinesis come from, as they say it themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub arn: &'a str,
    pub shard: &'a str,
    pub region: &'a str,
    /// The function's.
    pub role: &'a str,
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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KinesisPage {
    records: Vec<KinesisRecord>,
    next_shard_iterator: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KinesisRecord {
    sequence_number: String,
    approximate_arrival_timestamp: f64,
    partition_key: String,
    data: String,
}

impl Page {
    /// Reads an answer of Kinesis's GetRecords.
    pub(super) fn of_kinesis(answer: &[u8], origin: &Origin<'_>) -> serde_json::Result<Self> {
        let raw: KinesisPage = serde_json::from_slice(answer)?;
        let records = raw.records.into_iter().map(|record| StreamRecord::of_kinesis(record, origin));
        Ok(Self { records: records.collect(), next_iterator: raw.next_shard_iterator })
    }

    /// Reads an answer of DynamoDB Streams' GetRecords from the stream of that ARN.
    pub(super) fn of_dynamodb(answer: &[u8], stream_arn: &str) -> serde_json::Result<Self> {
        let raw: RawPage<'_> = serde_json::from_slice(answer)?;
        let records = raw.records.iter().map(|record| StreamRecord::of_dynamodb(record.get(), stream_arn));
        Ok(Self { records: records.collect::<Result<_, _>>()?, next_iterator: raw.next_shard_iterator })
    }
}

impl StreamRecord {
    /// Whether one of the filters takes it; without any, all are taken.
    ///
    /// A record of Kinesis is seen by its data, which is passed over where it is not JSON.
    pub(super) fn passes(&self, filters: &[Pattern]) -> bool {
        if filters.is_empty() {
            return true;
        }
        let Ok(mut record) = serde_json::from_str::<Value>(&self.json) else { return false };
        if let Some(data) = record.pointer("/kinesis/data").and_then(Value::as_str) {
            let data = BASE64_STANDARD.decode(data).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            let Some(data) = data else { return false };
            record = json!({ "data": data });
        }
        filters.iter().any(|filter| filter.matches(&record))
    }

    fn of_kinesis(record: KinesisRecord, origin: &Origin<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        record.partition_key.hash(&mut hasher);
        let shown = json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record.partition_key,
                "sequenceNumber": record.sequence_number,
                "data": record.data,
                "approximateArrivalTimestamp": record.approximate_arrival_timestamp,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("{}:{}", origin.shard, record.sequence_number),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": origin.role,
            "awsRegion": origin.region,
            "eventSourceARN": origin.arn,
        });
        Self {
            sequence_number: record.sequence_number,
            created_s: record.approximate_arrival_timestamp,
            key_hash: hasher.finish(),
            json: shown.to_string(),
        }
    }

    fn of_dynamodb(json: &str, stream_arn: &str) -> serde_json::Result<Self> {
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
        let page = Page::of_dynamodb(answer.as_bytes(), "arn:x").unwrap();
        assert_eq!(page.next_iterator.as_deref(), Some("next"));
        let [first, second] = page.records.as_slice() else { panic!("two records") };
        assert_eq!((first.sequence_number.as_str(), first.created_s), ("7", 1.5));
        assert_eq!(first.key_hash, second.key_hash);
        let event: serde_json::Value = serde_json::from_str(&event(page.records.iter())).unwrap();
        assert_eq!(event["Records"][1]["eventSourceARN"], "arn:x");
        assert_eq!(event["Records"][1]["dynamodb"]["Keys"]["id"]["S"], "a");
    }

    #[test]
    fn a_record_of_kinesis_is_filtered_by_what_its_data_says() {
        let record = |data: &str| {
            let data = BASE64_STANDARD.encode(data);
            let answer = format!(
                r#"{{"Records":[{{"SequenceNumber":"49","ApproximateArrivalTimestamp":1.25,"PartitionKey":"k","Data":"{data}"}}]}}"#
            );
            let origin = Origin { arn: "arn:x", shard: "shardId-7", region: "eu-west-1", role: "arn:role" };
            Page::of_kinesis(answer.as_bytes(), &origin).unwrap().records.remove(0)
        };
        let buys = [Pattern::parse(r#"{"data": {"type": ["buy"]}}"#).unwrap()];
        assert!(record(r#"{"type": "buy"}"#).passes(&buys));
        assert!(!record(r#"{"type": "sell"}"#).passes(&buys) && !record("buy").passes(&buys));
        assert!(record("buy").passes(&[]));
        let shown: Value = serde_json::from_str(&record("{}").json).unwrap();
        assert_eq!((&shown["eventID"], &shown["kinesis"]["data"]), (&"shardId-7:49".into(), &"e30=".into()));
    }
}
