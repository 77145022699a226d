//! GetRecords: a page of a shard, rendered from what the log holds.

use std::sync::Arc;

use aws_wire::AwsError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{internal_failure, invalid_argument, not_found, throttled, within};
use super::log::record::{data_of, partition_key_of};
use super::log::{Page, horizon};
use super::stream::{Shard, Stream, shard_id};
use super::{hash_key_range, sequence_text, stream_name_of, time_of_sequence};
use crate::region::Region;
use crate::streams::iterator::{Position, ShardIterator};

const RECORDS_MAX: usize = 10_000;
const BYTES_MAX: usize = 10 << 20;
/// What stands around the data of a record in an answer.
const RECORD_FRAME_BYTES: usize = 192;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Request {
    shard_iterator: String,
    limit: Option<i64>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

pub(super) async fn call(region: &Arc<Region>, request: Request) -> Result<Bytes, AwsError> {
    let limit = within("limit", request.limit.unwrap_or(RECORDS_MAX as i64), 1, RECORDS_MAX as i64)? as usize;
    let Some(iterator) = ShardIterator::decode(&request.shard_iterator) else {
        return Err(invalid_argument("Invalid ShardIterator."));
    };
    let now_ms = region.ambient.now_ms();
    check_age(region, iterator.issued_ms, now_ms)?;
    // What DynamoDB acknowledged before this call is in the stream.
    region.drain().await.map_err(|error| internal_failure(&error))?;

    let catalog = region.kinesis.catalog();
    let stream = catalog.streams.get(&iterator.stream).cloned();
    let stream = stream.ok_or_else(|| not_found("The stream of this ShardIterator is not there any more"))?;
    if let Some(arn) = &request.stream_arn
        && stream_name_of(region, arn)? != stream.name
    {
        return Err(invalid_argument("ShardIterator and StreamARN name different streams"));
    }
    let Some(shard) = stream.shards.get(&iterator.shard).copied() else {
        let (shard, name, account) = (shard_id(iterator.shard), &stream.name, &region.account);
        return Err(not_found(format!("Shard {shard} in stream {name} under account {account} does not exist")));
    };
    if !region.kinesis.reads.admit((stream.id, shard.index), now_ms) {
        return Err(throttled(region, &stream.name, &shard.id()));
    }
    let from = match iterator.position {
        Position::TrimHorizon => 0,
        Position::From(sequence) => sequence,
    };
    // Records that have expired meanwhile are passed over.
    let from = from.max(horizon(&stream, now_ms));
    let reader = region.clone();
    let rendered = tokio::task::spawn_blocking(move || -> Result<_, super::log::KinesisLogError> {
        let page = reader.kinesis.read(&stream, &shard, from, limit, BYTES_MAX)?;
        let oldest_left = reader.kinesis.arrival_after(&stream, &shard, page.next)?;
        let bytes = page.records.iter().map(|record| record.value.len()).sum();
        reader.kinesis.reads.spend((stream.id, shard.index), bytes);
        // A closed shard has an end once nothing is left of it; an open one goes on for ever.
        let is_finished = !shard.is_open() && oldest_left.is_none();
        let next = ShardIterator { position: Position::From(page.next), issued_ms: now_ms, ..iterator };
        Ok(render(&Answer {
            stream: &stream,
            shard: &shard,
            page: &page,
            next: (!is_finished).then(|| next.encode()),
            behind_ms: oldest_left.map_or(0, |arrival_ms| (now_ms - arrival_ms).max(0)),
        }))
    });
    let rendered = rendered.await.map_err(|error| internal_failure(&error))?;
    rendered.map_err(|error| internal_failure(&error))
}

fn check_age(region: &Region, issued_ms: i64, now_ms: i64) -> Result<(), AwsError> {
    let life_ms = region.options.kinesis_iterator_life.as_millis() as i64;
    if now_ms - issued_ms <= life_ms {
        return Ok(());
    }
    Err(AwsError::bad_request(
        "ExpiredIteratorException",
        format!(
            "Iterator expired. The iterator was created at time {} while right now it is {} which is further in the \
             future than the tolerated delay of {life_ms} milliseconds.",
            utc(issued_ms),
            utc(now_ms)
        ),
    ))
}

/// As AWS writes times in this message: `Thu Jan 22 01:22:02 UTC 2015`.
fn utc(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(TimeZone::UTC).strftime("%a %b %d %H:%M:%S UTC %Y").to_string()
}

struct Answer<'a> {
    stream: &'a Stream,
    shard: &'a Shard,
    page: &'a Page,
    next: Option<String>,
    behind_ms: i64,
}

fn render(answer: &Answer<'_>) -> Bytes {
    let mut json = Vec::with_capacity(page_bytes(answer.page));
    json.extend_from_slice(b"{\"Records\":[");
    render_records(answer.stream, answer.page, &mut json);
    json.extend_from_slice(format!("],\"MillisBehindLatest\":{}", answer.behind_ms).as_bytes());
    match &answer.next {
        // The alphabet of base64 needs no escaping.
        Some(next) => json.extend_from_slice(format!(",\"NextShardIterator\":\"{next}\"").as_bytes()),
        None => {
            let children = child_shards(answer.stream, answer.shard);
            json.extend_from_slice(format!(",\"ChildShards\":{children}").as_bytes());
        }
    }
    json.push(b'}');
    Bytes::from(json)
}

pub(super) fn page_bytes(page: &Page) -> usize {
    let of_record = |value: &[u8]| value.len().div_ceil(3) * 4 + RECORD_FRAME_BYTES;
    page.records.iter().map(|record| of_record(&record.value)).sum::<usize>() + 512
}

/// The records' JSON, parted by commas.
pub(super) fn render_records(stream: &Stream, page: &Page, json: &mut Vec<u8>) {
    let encryption = if stream.settings.encryption_key.is_some() { ",\"EncryptionType\":\"KMS\"" } else { "" };
    for (at, record) in page.records.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        let arrival_ms = time_of_sequence(record.sequence);
        let (seconds, millis) = (arrival_ms / 1000, arrival_ms % 1000);
        let sequence = sequence_text(record.sequence);
        let frame = format!(
            "{{\"SequenceNumber\":\"{sequence}\",\"ApproximateArrivalTimestamp\":{seconds}.{millis:03}{encryption},\
             \"PartitionKey\":"
        );
        json.extend_from_slice(frame.as_bytes());
        serde_json::to_writer(&mut *json, partition_key_of(&record.value)).expect("text is written to memory");
        json.extend_from_slice(b",\"Data\":\"");
        let data = data_of(&record.value);
        let start = json.len();
        json.resize(start + data.len().div_ceil(3) * 4, 0);
        STANDARD.encode_slice(data, &mut json[start..]).expect("the room was made for it");
        json.extend_from_slice(b"\"}");
    }
}

/// The children of a closed shard, for those who have read it to its end.
pub(super) fn child_shards(stream: &Stream, shard: &Shard) -> Value {
    let describe = |child: &Shard| {
        let parents = [child.parent, child.adjacent_parent].into_iter().flatten().map(shard_id);
        json!({
            "ShardId": child.id(),
            "ParentShards": parents.collect::<Vec<String>>(),
            "HashKeyRange": hash_key_range(child),
        })
    };
    stream.children(shard.index).map(describe).collect()
}
