//! The `Kinesis_20131202` service: Kinesis Data Streams on a durable log.
//!
//! [`stream`] is a stream with its shards as a value, [`log`] keeps streams and records. Operations stand in files of
//! their own or by theme: [`streams`] makes and shows streams, [`put_records`], [`get_records`] and
//! [`subscribe_to_shard`] move data,
//! [`reshard`], [`settings`], [`tags`], [`policies`] and [`consumers`] change streams. [`destination`] is how changes of
//! DynamoDB tables come into them.

mod consumers;
pub(crate) mod destination;
mod error;
mod get_records;
mod get_shard_iterator;
mod list_shards;
pub(crate) mod log;
mod policies;
mod put_records;
mod reshard;
mod settings;
pub(crate) mod stream;
mod streams;
mod subscribe_to_shard;
mod tags;

use std::sync::Arc;

use async_trait::async_trait;
use aws_wire::{AwsError, Caller, EventStream, JsonService, JsonVersion};
use bytes::Bytes;
use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::region::Region;
use crate::regions::Regions;
pub(crate) use error::internal_failure;
use error::{invalid_argument, parse, stream_not_found, unknown_operation};
use stream::Stream;
pub(crate) use subscribe_to_shard::Subscriptions;

pub(crate) struct Kinesis {
    regions: Arc<Regions>,
}

impl Kinesis {
    pub(crate) fn new(regions: Arc<Regions>) -> Self {
        Self { regions }
    }
}

#[async_trait]
impl JsonService for Kinesis {
    fn target_prefix(&self) -> &'static str {
        "Kinesis_20131202"
    }

    fn json_version(&self) -> JsonVersion {
        JsonVersion::V1_1
    }

    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let region = &self.regions.of(caller).await?;
        match operation {
            "PutRecord" => put_records::put_record(region, &body).await,
            "PutRecords" => put_records::put_records(region, &body).await,
            "GetRecords" => get_records::call(region, parse(&body)?).await,
            "GetShardIterator" => get_shard_iterator::call(region, parse(&body)?).await,
            "ListShards" => list_shards::call(region, parse(&body)?),
            "CreateStream" => streams::create(region, parse(&body)?).await,
            "DeleteStream" => streams::delete(region, parse(&body)?).await,
            "DescribeStream" => streams::describe(region, parse(&body)?),
            "DescribeStreamSummary" => streams::describe_summary(region, parse(&body)?),
            "ListStreams" => streams::list(region, parse(&body)?),
            "DescribeLimits" => Ok(streams::describe_limits(region)),
            "SplitShard" => reshard::split_shard(region, parse(&body)?).await,
            "MergeShards" => reshard::merge_shards(region, parse(&body)?).await,
            "UpdateShardCount" => reshard::update_shard_count(region, parse(&body)?).await,
            "UpdateStreamMode" => settings::update_mode(region, parse(&body)?).await,
            "UpdateMaxRecordSize" => settings::update_record_size(region, parse(&body)?).await,
            "IncreaseStreamRetentionPeriod" => settings::increase_retention(region, parse(&body)?).await,
            "DecreaseStreamRetentionPeriod" => settings::decrease_retention(region, parse(&body)?).await,
            "StartStreamEncryption" => settings::start_encryption(region, parse(&body)?).await,
            "StopStreamEncryption" => settings::stop_encryption(region, parse(&body)?).await,
            "EnableEnhancedMonitoring" => settings::enable_monitoring(region, parse(&body)?).await,
            "DisableEnhancedMonitoring" => settings::disable_monitoring(region, parse(&body)?).await,
            "AddTagsToStream" => tags::add_to_stream(region, parse(&body)?).await,
            "RemoveTagsFromStream" => tags::remove_from_stream(region, parse(&body)?).await,
            "ListTagsForStream" => tags::list_for_stream(region, parse(&body)?),
            "TagResource" => tags::tag_resource(region, parse(&body)?).await,
            "UntagResource" => tags::untag_resource(region, parse(&body)?).await,
            "ListTagsForResource" => tags::list_for_resource(region, parse(&body)?),
            "PutResourcePolicy" => policies::put(region, parse(&body)?).await,
            "GetResourcePolicy" => policies::get(region, parse(&body)?),
            "DeleteResourcePolicy" => policies::delete(region, parse(&body)?).await,
            "RegisterStreamConsumer" => consumers::register(region, parse(&body)?).await,
            "DeregisterStreamConsumer" => consumers::deregister(region, parse(&body)?).await,
            "DescribeStreamConsumer" => consumers::describe(region, parse(&body)?),
            "ListStreamConsumers" => consumers::list(region, parse(&body)?),
            _ => Err(unknown_operation(operation)),
        }
    }

    async fn subscribe(&self, caller: &Caller, operation: &str, body: &Bytes) -> Result<Option<EventStream>, AwsError> {
        if operation != "SubscribeToShard" {
            return Ok(None);
        }
        let region = self.regions.of(caller).await?;
        subscribe_to_shard::call(&region, parse(body)?, self.regions.closing()).await.map(Some)
    }
}

/// How most requests name their stream: by name, by ARN, or by both.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Named {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

impl Named {
    fn new(stream_name: Option<String>, stream_arn: Option<String>) -> Self {
        Self { stream_name, stream_arn }
    }

    fn find(&self, region: &Region) -> Result<Arc<Stream>, AwsError> {
        let name = match (&self.stream_name, &self.stream_arn) {
            (None, None) => return Err(invalid_argument("Either StreamName or StreamARN must be given")),
            (Some(name), None) => name.as_str(),
            (name, Some(arn)) => {
                let of_arn = stream_name_of(region, arn)?;
                if name.as_ref().is_some_and(|name| name != of_arn) {
                    return Err(invalid_argument("StreamName and StreamARN name different streams"));
                }
                of_arn
            }
        };
        find_named(region, name)
    }
}

fn find_named(region: &Region, name: &str) -> Result<Arc<Stream>, AwsError> {
    region.kinesis.catalog().named(name).cloned().ok_or_else(|| stream_not_found(region, name))
}

/// The name in a stream's ARN of this region and account.
pub(crate) fn stream_name_of<'a>(region: &Region, arn: &'a str) -> Result<&'a str, AwsError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "kinesis", region_name, account, resource] = parts[..] else {
        return Err(invalid_argument(format!("Invalid StreamARN: {arn}")));
    };
    let name = resource.strip_prefix("stream/").filter(|name| !name.contains('/'));
    let name = name.ok_or_else(|| invalid_argument(format!("Invalid StreamARN: {arn}")))?;
    if region_name != region.name || account != region.account {
        return Err(stream_not_found(region, name));
    }
    Ok(name)
}

/// Seconds since the epoch, as JSON 1.1 has timestamps.
fn timestamp(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn millis(timestamp: f64) -> i64 {
    (timestamp * 1000.0).round() as i64
}

/// Where a partition key belongs in the range of hash keys.
fn hash_key_of(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key).into())
}

fn answer(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

/// The operations without an answer have an empty body on AWS.
fn nothing() -> Bytes {
    Bytes::new()
}

/// How many numbers there are for each millisecond of arrival.
const SEQUENCES_PER_MS_BITS: u32 = 24;

/// The smallest number of a record that arrived at `ms`.
fn sequence_of_time(ms: i64) -> u128 {
    u128::from(ms.max(0).unsigned_abs()) << SEQUENCES_PER_MS_BITS
}

/// When the record with this number arrived, in milliseconds since the epoch.
fn time_of_sequence(sequence: u128) -> i64 {
    i64::try_from(sequence >> SEQUENCES_PER_MS_BITS).unwrap_or(i64::MAX)
}

/// The number as clients see it: 56 digits that begin with 49, as on AWS.
fn sequence_text(sequence: u128) -> String {
    format!("49{sequence:054}")
}

fn parse_sequence(text: &str) -> Option<u128> {
    text.strip_prefix("49").filter(|digits| digits.len() == 54)?.parse().ok()
}

fn describe_shard(shard: &stream::Shard) -> Value {
    let mut range = json!({"StartingSequenceNumber": sequence_text(shard.starting)});
    // Consumers take a shard with an ending number for closed.
    if let Some(closed) = shard.closed {
        range["EndingSequenceNumber"] = sequence_text(closed.ending).into();
    }
    let mut description = json!({
        "ShardId": shard.id(),
        "HashKeyRange": hash_key_range(shard),
        "SequenceNumberRange": range,
    });
    if let Some(parent) = shard.parent {
        description["ParentShardId"] = stream::shard_id(parent).into();
    }
    if let Some(parent) = shard.adjacent_parent {
        description["AdjacentParentShardId"] = stream::shard_id(parent).into();
    }
    description
}

fn hash_key_range(shard: &stream::Shard) -> Value {
    json!({"StartingHashKey": shard.hash_start.to_string(), "EndingHashKey": shard.hash_end.to_string()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_has_56_digits_and_carries_the_time_of_arrival() {
        let sequence = sequence_of_time(1_795_331_536_123) + 7;
        let text = sequence_text(sequence);
        assert_eq!(text.len(), 56);
        assert_eq!(parse_sequence(&text), Some(sequence));
        assert_eq!(time_of_sequence(sequence), 1_795_331_536_123);
        assert_eq!(parse_sequence("0"), None);
    }
}
