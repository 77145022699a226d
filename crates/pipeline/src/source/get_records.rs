//! GetRecords that keeps each record's JSON.
//!
//! The SDK would parse every record into maps of maps, only for the decoder to walk them again. Here each record is a
//! slice of the answer.

use aws_sdk_dynamodbstreams::Client;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::change::{Position, RawRecord, SequenceNumber, ShardId};
use crate::raw_answer::RawAnswer;
use crate::source::aws_stream_api::stream_error;
use crate::source::stream_api::{RecordPage, StreamError, StreamErrorKind};

/// A page with fewer records and bytes than this was not cut: GetRecords cuts at 1,000 records, or before the item with
/// two images of 400 KB that would make it longer than 1 MB.
const FULL_PAGE_RECORDS: usize = 1_000;
const FULL_PAGE_BYTES: usize = 200_000;

/// Asks for what follows `iterator`.
pub(crate) async fn get_records(client: &Client, shard: &ShardId, iterator: &str) -> Result<RecordPage, StreamError> {
    let answer = RawAnswer::default();
    let request = client.get_records().shard_iterator(iterator).customize().interceptor(answer.clone());
    request.send().await.map_err(stream_error)?;
    read_page(shard, &answer.read().await.map_err(transient)?)
}

/// Splits a response into its records, without copying them.
fn read_page(shard: &ShardId, body: &Bytes) -> Result<RecordPage, StreamError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page<'a> {
        next_shard_iterator: Option<String>,
        #[serde(borrow, default)]
        records: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Record<'a> {
        #[serde(borrow)]
        dynamodb: StreamRecord<'a>,
    }
    #[derive(Deserialize)]
    struct StreamRecord<'a> {
        #[serde(rename = "SequenceNumber")]
        sequence_number: &'a str,
    }

    let page: Page<'_> = serde_json::from_slice(body).map_err(transient)?;
    let mut records = Vec::with_capacity(page.records.len());
    for raw in page.records {
        let record: Record<'_> = serde_json::from_str(raw.get()).map_err(refused)?;
        let digits = record.dynamodb.sequence_number;
        let sequence_number = SequenceNumber::parse(digits)
            .ok_or_else(|| refused(format!("a record's SequenceNumber is not a number: {digits}")))?;
        let position = Position { shard: shard.clone(), sequence_number, part: 0 };
        records.push(RawRecord { position, json: body.slice_ref(raw.get().as_bytes()) });
    }
    let reaches_tip = records.len() < FULL_PAGE_RECORDS && body.len() < FULL_PAGE_BYTES;
    Ok(RecordPage { records, next: page.next_shard_iterator, reaches_tip })
}

fn transient(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StreamError {
    StreamError::new(StreamErrorKind::Transient, cause)
}

fn refused(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StreamError {
    StreamError::new(StreamErrorKind::Refused, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> (Bytes, Result<RecordPage, StreamError>) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let page = read_page(&ShardId::new("s"), &body);
        (body, page)
    }

    #[test]
    fn records_are_slices_of_the_response_whatever_their_strings_hold() {
        let first = r#"{"eventName":"INSERT","dynamodb":{"Keys":{"id":{"S":"\"}],[{\\"}},"SequenceNumber":"100000000000000000001"}}"#;
        let second = r#"{ "dynamodb" : {"SequenceNumber": "2", "NewImage": {"SequenceNumber": {"N": "7"}}} }"#;
        let (body, page) = page(&format!(r#"{{"Records":[{first}, {second}],"NextShardIterator":"it"}}"#));
        let page = page.unwrap();
        assert_eq!(page.next.as_deref(), Some("it"));
        assert_eq!(
            page.records.iter().map(|record| &record.json[..]).collect::<Vec<_>>(),
            [first.as_bytes(), second.as_bytes()]
        );
        assert_eq!(page.records[0].position.to_string(), "s/100000000000000000001");
        assert_eq!(page.records[1].position.to_string(), "s/2");
        assert!(body.as_ptr_range().contains(&page.records[0].json.as_ptr()), "not copied");
    }

    #[test]
    fn the_last_page_of_a_closed_shard_has_no_iterator() {
        assert_eq!(page(r#"{"Records":[]}"#).1.unwrap().next, None);
        assert_eq!(page(r#"{"Records":[],"NextShardIterator":null}"#).1.unwrap().next, None);
    }

    #[test]
    fn a_cut_response_is_asked_for_again() {
        assert_eq!(page(r#"{"Records":[{"dynamodb":"#).1.unwrap_err().kind, StreamErrorKind::Transient);
    }
}
