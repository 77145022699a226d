//! PutRecord and PutRecords: each record is taken or refused on its own, and what is taken is durable.

use std::borrow::Cow;
use std::sync::Arc;

use aws_wire::AwsError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::{
    internal_failure, invalid_argument, null_member, parse, rate_exceeded, stream_not_found, throttled, validation,
};
use super::log::{KinesisLogError, NewRecord, NotPut, Placed};
use super::stream::{Stream, shard_id};
use super::{Named, hash_key_of, parse_sequence, sequence_text};
use crate::region::Region;

const RECORDS_MAX: usize = 500;
/// Of all records of a request, partition keys included.
const REQUEST_BYTES_MAX: usize = 10 << 20;
const PARTITION_KEY_CHARS_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PutRecord<'a> {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    partition_key: Option<Cow<'a, str>>,
    explicit_hash_key: Option<String>,
    sequence_number_for_ordering: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PutRecords<'a> {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    #[serde(borrow)]
    records: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Entry<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    partition_key: Option<Cow<'a, str>>,
    explicit_hash_key: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    sequence_number: String,
    shard_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_type: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AllPut {
    failed_record_count: usize,
    records: Vec<EntryPut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_type: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum EntryPut {
    #[serde(rename_all = "PascalCase")]
    Taken { sequence_number: String, shard_id: String },
    #[serde(rename_all = "PascalCase")]
    Refused { error_code: &'static str, error_message: String },
}

pub(super) async fn put_record(region: &Arc<Region>, body: &[u8]) -> Result<Bytes, AwsError> {
    let (stream, record) = {
        let request: PutRecord = parse(body)?;
        let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
        if let Some(text) = &request.sequence_number_for_ordering {
            check_ordering(region, &stream, text)?;
        }
        let entry = Entry {
            data: request.data,
            partition_key: request.partition_key,
            explicit_hash_key: request.explicit_hash_key,
        };
        let record = new_record(&stream, &entry, "")?;
        (stream, record)
    };
    let outcome = region.kinesis.append(stream.id, vec![record]).await.pop();
    match outcome.unwrap_or(Err(NotPut::Failed)) {
        Ok(placed) => render(&Put {
            sequence_number: sequence_text(placed.sequence),
            shard_id: shard_id(placed.shard),
            encryption_type: encryption_type(&stream),
        }),
        Err(NotPut::Throttled { shard }) => Err(throttled(region, &stream.name, &shard_id(shard))),
        Err(NotPut::NoStream) => Err(stream_not_found(region, &stream.name)),
        Err(NotPut::Failed) => Err(internal_failure(&KinesisLogError::Closed)),
    }
}

pub(super) async fn put_records(region: &Arc<Region>, body: &[u8]) -> Result<Bytes, AwsError> {
    let (stream, records) = {
        let request: PutRecords = parse(body)?;
        check_count(request.records.len())?;
        let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
        let mut records = Vec::with_capacity(request.records.len());
        let mut bytes = 0;
        for (at, entry) in request.records.iter().enumerate() {
            let record = new_record(&stream, entry, &format!("records.{}.member.", at + 1))?;
            bytes += record.bytes;
            records.push(record);
        }
        if bytes > REQUEST_BYTES_MAX {
            return Err(invalid_argument(format!(
                "Records size exceeds {} MB limit: {bytes} bytes",
                REQUEST_BYTES_MAX >> 20
            )));
        }
        (stream, records)
    };
    let outcomes = region.kinesis.append(stream.id, records).await;
    if outcomes.first() == Some(&Err(NotPut::NoStream)) {
        return Err(stream_not_found(region, &stream.name));
    }
    let records: Vec<EntryPut> = outcomes.into_iter().map(|outcome| entry_put(region, &stream, outcome)).collect();
    let is_refused = |entry: &&EntryPut| matches!(entry, EntryPut::Refused { .. });
    render(&AllPut {
        failed_record_count: records.iter().filter(is_refused).count(),
        records,
        encryption_type: encryption_type(&stream),
    })
}

fn entry_put(region: &Region, stream: &Stream, outcome: Result<Placed, NotPut>) -> EntryPut {
    match outcome {
        Ok(placed) => {
            EntryPut::Taken { sequence_number: sequence_text(placed.sequence), shard_id: shard_id(placed.shard) }
        }
        Err(NotPut::Throttled { shard }) => EntryPut::Refused {
            error_code: "ProvisionedThroughputExceededException",
            error_message: rate_exceeded(region, &stream.name, &shard_id(shard)),
        },
        Err(NotPut::NoStream | NotPut::Failed) => {
            EntryPut::Refused { error_code: "InternalFailure", error_message: "Internal service failure.".to_owned() }
        }
    }
}

fn check_count(count: usize) -> Result<(), AwsError> {
    let bound = match count {
        0 => "greater than or equal to 1",
        1..=RECORDS_MAX => return Ok(()),
        _ => "less than or equal to 500",
    };
    Err(validation(format!("Value at 'records' failed to satisfy constraint: Member must have length {bound}")))
}

/// Reads one record; `place` is where it stands in the request.
fn new_record(stream: &Stream, entry: &Entry<'_>, place: &str) -> Result<NewRecord, AwsError> {
    let member = |name: &str| format!("{place}{name}");
    let Some(partition_key) = entry.partition_key.as_deref() else {
        return Err(null_member(&member("partitionKey")));
    };
    let chars = partition_key.chars().count();
    if chars == 0 || chars > PARTITION_KEY_CHARS_MAX {
        let bound = if chars == 0 { "greater than or equal to 1" } else { "less than or equal to 256" };
        return Err(validation(format!(
            "Value '{partition_key}' at '{}' failed to satisfy constraint: Member must have length {bound}",
            member("partitionKey")
        )));
    }
    let data = STANDARD.decode(entry.data.as_bytes());
    let data = data.map_err(|_| AwsError::bad_request("SerializationException", "Data is not base64"))?;
    let hash_key = match &entry.explicit_hash_key {
        Some(text) => explicit_hash_key(text)?,
        None => hash_key_of(partition_key),
    };
    let record = NewRecord::new(hash_key, partition_key, &data);
    let bytes_max = stream.settings.record_kib_max as usize * 1024;
    if data.len() > bytes_max {
        return Err(validation(format!(
            "Value at '{}' failed to satisfy constraint: Member must have length less than or equal to {bytes_max}",
            member("data")
        )));
    }
    if record.bytes > bytes_max {
        return Err(invalid_argument(format!(
            "Data and partition key together have {} bytes, more than the {bytes_max} that stream {} takes",
            record.bytes, stream.name
        )));
    }
    Ok(record)
}

fn explicit_hash_key(text: &str) -> Result<u128, AwsError> {
    let is_canonical = text == "0" || (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'));
    text.parse::<u128>().ok().filter(|_| is_canonical).ok_or_else(|| {
        invalid_argument(format!(
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was {text}"
        ))
    })
}

/// Numbers are given in order by one thread, so that every record follows all that were answered before it; a number
/// that was never given cannot be followed.
fn check_ordering(region: &Region, stream: &Stream, text: &str) -> Result<(), AwsError> {
    match parse_sequence(text) {
        Some(sequence) if sequence < stream.next_sequence() => Ok(()),
        _ => Err(invalid_argument(format!(
            "ExclusiveMinimumSequenceNumber {text} used in PutRecord on stream {} under account {} is invalid.",
            stream.name, region.account
        ))),
    }
}

fn encryption_type(stream: &Stream) -> Option<&'static str> {
    stream.settings.encryption_key.as_ref().map(|_| "KMS")
}

fn render(answer: &impl Serialize) -> Result<Bytes, AwsError> {
    serde_json::to_vec(answer).map(Bytes::from).map_err(|error| internal_failure(&error))
}
