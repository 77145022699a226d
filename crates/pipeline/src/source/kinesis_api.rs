//! Kinesis Data Streams of AWS, by its SDK.
//!
//! Kinesis goes on silently where the record that a reader stands at has expired. So that a loss is noticed, reading
//! begins **at** that record, and it has to come first.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{Shard, ShardIteratorType};
use aws_smithy_types::DateTime;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use crate::change::{Position, RawRecord, SequenceNumber, ShardId};
use crate::raw_answer::RawAnswer;
use crate::source::aggregated;
use crate::source::aws_stream_api::stream_error;
use crate::source::shard_tree::{ListedShard, Start};
use crate::source::stream_api::{RecordPage, ShardPage, StreamApi, StreamError, StreamErrorKind};

/// Stands between the record that must come first and the iterator.
const AT: char = '@';
const SHARDS_PER_PAGE: i32 = 1_000;

/// Calls the endpoint that `config` names, with its credentials and retries. Streams are named by ARN.
pub struct KinesisStreamApi {
    client: Client,
}

impl KinesisStreamApi {
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }
}

#[async_trait]
impl StreamApi for KinesisStreamApi {
    async fn describe_stream(&self, stream: &str, after: Option<&ShardId>) -> Result<ShardPage, StreamError> {
        let request = self.client.list_shards().stream_arn(stream).max_results(SHARDS_PER_PAGE);
        let request = request.set_exclusive_start_shard_id(after.map(|shard| shard.as_str().to_owned()));
        let output = request.send().await.map_err(stream_error)?;
        let shards: Vec<ListedShard> = output.shards.unwrap_or_default().into_iter().map(listed).collect();
        let last = output.next_token.and_then(|_| shards.last().map(|shard| shard.id.clone()));
        Ok(ShardPage { shards, last, is_disabled: false })
    }

    async fn get_shard_iterator(&self, stream: &str, shard: &ShardId, start: &Start) -> Result<String, StreamError> {
        let request = self.client.get_shard_iterator().stream_arn(stream).shard_id(shard.as_str());
        let request = match start {
            Start::TrimHorizon => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Start::Latest => request.shard_iterator_type(ShardIteratorType::Latest),
            Start::AtTimestamp(from_ms) => request
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis((*from_ms).max(0))),
            Start::After(sequence_number) => request
                .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                .starting_sequence_number(sequence_number.as_str()),
        };
        let output = request.send().await.map_err(stream_error)?;
        let iterator = output.shard_iterator;
        let iterator =
            iterator.ok_or_else(|| StreamError::new(StreamErrorKind::Refused, "an answer without an iterator"))?;
        Ok(match start {
            Start::After(sequence_number) => format!("{sequence_number}{AT}{iterator}"),
            Start::TrimHorizon | Start::Latest | Start::AtTimestamp(_) => iterator,
        })
    }

    async fn get_records(&self, shard: &ShardId, iterator: &str) -> Result<RecordPage, StreamError> {
        let (first, iterator) = match iterator.split_once(AT) {
            Some((first, iterator)) => (SequenceNumber::parse(first), iterator),
            None => (None, iterator),
        };
        let answer = RawAnswer::default();
        let request = self.client.get_records().shard_iterator(iterator).customize().interceptor(answer.clone());
        request.send().await.map_err(stream_error)?;
        let body = answer.read().await.map_err(|error| StreamError::new(StreamErrorKind::Transient, error))?;
        let page = read_page(shard, &body)?;
        match first {
            Some(first) => after(page, &first),
            None => Ok(page),
        }
    }
}

fn listed(shard: Shard) -> ListedShard {
    let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
    let end = shard.sequence_number_range().and_then(|range| range.ending_sequence_number());
    ListedShard {
        is_closed: end.is_some(),
        parents: parents.into_iter().flatten().map(ShardId::new).collect(),
        id: ShardId::new(shard.shard_id()),
    }
}

/// Takes the record `first`, which was read before, from the front of the page. It is trimmed where it is not there.
fn after(mut page: RecordPage, first: &SequenceNumber) -> Result<RecordPage, StreamError> {
    match page.records.first() {
        Some(record) if is_at(record, first) => {
            page.records.retain(|record| !is_at(record, first));
            Ok(page)
        }
        // An empty page is not the end: the record may come with the next one.
        None if !page.reaches_tip => {
            page.next = page.next.map(|next| format!("{first}{AT}{next}"));
            Ok(page)
        }
        _ => Err(expired(first)),
    }
}

pub(super) fn is_at(record: &RawRecord, sequence_number: &SequenceNumber) -> bool {
    record.position.sequence_number == *sequence_number
}

pub(super) fn expired(first: &SequenceNumber) -> StreamError {
    StreamError::new(StreamErrorKind::Trimmed, format!("record {first} has expired"))
}

pub(super) fn read_sequence_number(digits: &str) -> Result<SequenceNumber, StreamError> {
    let refused = || StreamError::new(StreamErrorKind::Refused, "a record's SequenceNumber is not a number");
    SequenceNumber::parse(digits).ok_or_else(refused)
}

/// What a Kinesis record holds: one record, or several that its producer put into one.
pub(super) fn raw_records(
    shard: &ShardId,
    sequence_number: &SequenceNumber,
    data: Bytes,
) -> impl Iterator<Item = RawRecord> {
    (0..).zip(aggregated::split(&data)).map(|(part, json)| {
        let position = Position { shard: shard.clone(), sequence_number: sequence_number.clone(), part };
        RawRecord { position, json }
    })
}

fn read_page(shard: &ShardId, body: &Bytes) -> Result<RecordPage, StreamError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page<'a> {
        next_shard_iterator: Option<String>,
        millis_behind_latest: Option<i64>,
        #[serde(borrow, default)]
        records: Vec<Record<'a>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Record<'a> {
        data: &'a str,
        sequence_number: &'a str,
    }

    let transient = |error: serde_json::Error| StreamError::new(StreamErrorKind::Transient, error);
    let page: Page<'_> = serde_json::from_slice(body).map_err(transient)?;
    let mut records = Vec::with_capacity(page.records.len());
    for record in page.records {
        let refused = |_| StreamError::new(StreamErrorKind::Refused, "a record's Data is not base64");
        let sequence_number = read_sequence_number(record.sequence_number)?;
        let data = STANDARD.decode(record.data).map_err(refused)?;
        records.extend(raw_records(shard, &sequence_number, data.into()));
    }
    let reaches_tip = page.millis_behind_latest == Some(0);
    Ok(RecordPage { records, next: page.next_shard_iterator, reaches_tip })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(records: &[(&str, &str)], behind_ms: i64) -> RecordPage {
        let record = |(number, data): &(&str, &str)| {
            format!(r#"{{"Data":"{}","PartitionKey":"k","SequenceNumber":"{number}"}}"#, STANDARD.encode(data))
        };
        let records: Vec<String> = records.iter().map(record).collect();
        let json = format!(
            r#"{{"Records":[{}],"NextShardIterator":"it","MillisBehindLatest":{behind_ms}}}"#,
            records.join(",")
        );
        read_page(&ShardId::new("s"), &Bytes::from(json)).unwrap()
    }

    #[test]
    fn records_come_with_their_numbers_and_data() {
        let page = page(&[("49", "{}"), ("50", "[]")], 7);
        let read: Vec<_> = page.records.iter().map(|record| (record.position.to_string(), &record.json[..])).collect();
        assert_eq!(read, [("s/49".to_owned(), &b"{}"[..]), ("s/50".to_owned(), b"[]")]);
        assert!(!page.reaches_tip);
    }

    #[test]
    fn reading_on_drops_the_record_it_stood_at_and_notices_that_it_is_gone() {
        let first = SequenceNumber::parse("49").unwrap();
        let read = after(page(&[("49", "{}"), ("50", "[]")], 0), &first).unwrap();
        assert_eq!(read.records.len(), 1);
        let gone = after(page(&[("50", "[]")], 0), &first).unwrap_err();
        assert_eq!(gone.kind, StreamErrorKind::Trimmed);
        assert_eq!(after(page(&[], 0), &first).unwrap_err().kind, StreamErrorKind::Trimmed);
        assert_eq!(after(page(&[], 9), &first).unwrap().next.as_deref(), Some("49@it"));
    }
}
