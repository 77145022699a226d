//! Making, deleting and showing streams.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{check_name, invalid_argument, limit_exceeded, resource_in_use, validation, within};
use super::stream::{ON_DEMAND_SHARDS, Shard, Stream, StreamMode, shard_index};
use super::tags::check_tags;
use super::{Named, answer, describe_shard, nothing, timestamp};
use crate::region::Region;

/// AWS's quota in its largest regions.
pub(super) const SHARDS_MAX: usize = 20_000;
const ON_DEMAND_STREAMS_MAX: usize = 50;
const LIST_DEFAULT: i64 = 100;
const LIST_MAX: i64 = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Create {
    stream_name: String,
    shard_count: Option<i64>,
    stream_mode_details: Option<StreamModeDetails>,
    tags: Option<BTreeMap<String, String>>,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_size_in_ki_b: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct StreamModeDetails {
    pub stream_mode: StreamMode,
}

pub(super) async fn create(region: &Arc<Region>, request: Create) -> Result<Bytes, AwsError> {
    check_name("streamName", &request.stream_name)?;
    let mode = request.stream_mode_details.map_or(StreamMode::Provisioned, |details| details.stream_mode);
    let shard_count = match (mode, request.shard_count) {
        (StreamMode::Provisioned, None) => {
            return Err(invalid_argument("ShardCount must be given for a stream with PROVISIONED capacity"));
        }
        (StreamMode::Provisioned, Some(count)) => {
            let count = within("shardCount", count, 1, 100_000)?;
            u32::try_from(count).map_err(|_| validation("ShardCount is out of range"))?
        }
        (StreamMode::OnDemand, None) => ON_DEMAND_SHARDS,
        (StreamMode::OnDemand, Some(_)) => {
            return Err(invalid_argument("ShardCount cannot be given for a stream with ON_DEMAND capacity"));
        }
    };
    let record_kib_max = within("maxRecordSizeInKiB", request.max_record_size_in_ki_b.unwrap_or(1024), 1024, 10_240)?;
    let tags = request.tags.unwrap_or_default();
    check_tags(&tags)?;
    let random = region.ambient.random();
    let id = (random >> 64) as u64 ^ random as u64;
    let mut stream = Stream::new(id, request.stream_name, mode, shard_count, region.ambient.now_ms());
    stream.settings.tags = tags;
    stream.settings.record_kib_max = record_kib_max as u32;
    let (account, region_name) = (region.account.clone(), region.name.clone());
    region
        .kinesis
        .edit(move |draft| {
            if draft.catalog.named(&stream.name).is_some() {
                let message = format!("Stream {} under account {account} already exists.", stream.name);
                return Err(resource_in_use(message));
            }
            check_shard_limit(&draft.catalog, stream.open_shard_count(), &account, &region_name)?;
            draft.insert(stream);
            Ok(())
        })
        .await?;
    Ok(nothing())
}

/// Refuses what would open more shards than an account has.
pub(super) fn check_shard_limit(
    catalog: &super::log::catalog::Catalog,
    additional: usize,
    account: &str,
    region_name: &str,
) -> Result<(), AwsError> {
    let current = catalog.open_shard_count();
    if current + additional <= SHARDS_MAX {
        return Ok(());
    }
    Err(limit_exceeded(format!(
        "This request would exceed the shard limit for the account {account} in {region_name}. Current shard count \
         for the account: {current}. Limit: {SHARDS_MAX}. Number of additional shards that would have resulted from \
         this request: {additional}. Refer to the AWS Service Limits page for current limits and how to request \
         higher limits."
    )))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Delete {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    enforce_consumer_deletion: Option<bool>,
}

pub(super) async fn delete(region: &Arc<Region>, request: Delete) -> Result<Bytes, AwsError> {
    let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
    if !stream.consumers.is_empty() && request.enforce_consumer_deletion != Some(true) {
        return Err(resource_in_use(format!(
            "Stream {} under account {} has registered consumers; EnforceConsumerDeletion deletes them too",
            stream.name, region.account
        )));
    }
    region
        .kinesis
        .edit(move |draft| {
            draft.remove(stream.id);
            Ok(())
        })
        .await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Describe {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    limit: Option<i64>,
    exclusive_start_shard_id: Option<String>,
}

pub(super) fn describe(region: &Arc<Region>, request: Describe) -> Result<Bytes, AwsError> {
    let limit = within("limit", request.limit.unwrap_or(LIST_DEFAULT), 1, LIST_MAX)? as usize;
    let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
    let start = match &request.exclusive_start_shard_id {
        Some(id) => shard_index(id).ok_or_else(|| invalid_argument(format!("Invalid ShardId: {id}")))? + 1,
        None => 0,
    };
    let horizon_ms = region.ambient.now_ms() - stream.retention_ms();
    let is_kept = |shard: &&Shard| shard.closed.is_none_or(|closed| closed.at_ms > horizon_ms);
    let shards: Vec<&Shard> = stream.shards.range(start..).map(|(_, shard)| shard).filter(is_kept).collect();
    let page = &shards[..shards.len().min(limit)];
    let mut description = common(region, &stream);
    description["Shards"] = page.iter().map(|shard| describe_shard(shard)).collect();
    description["HasMoreShards"] = (shards.len() > limit).into();
    Ok(answer(&json!({"StreamDescription": description})))
}

pub(super) fn describe_summary(region: &Arc<Region>, request: Named) -> Result<Bytes, AwsError> {
    let stream = request.find(region)?;
    let mut summary = common(region, &stream);
    summary["OpenShardCount"] = stream.open_shard_count().into();
    summary["ConsumerCount"] = stream.consumers.len().into();
    summary["MaxRecordSizeInKiB"] = stream.settings.record_kib_max.into();
    Ok(answer(&json!({"StreamDescriptionSummary": summary})))
}

/// What both descriptions of a stream hold.
fn common(region: &Region, stream: &Stream) -> Value {
    let mut description = json!({
        "StreamName": stream.name,
        "StreamARN": stream.arn(&region.account, &region.name),
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": stream.mode.as_str()},
        "RetentionPeriodHours": stream.retention_hours,
        "StreamCreationTimestamp": timestamp(stream.created_ms),
        "EnhancedMonitoring": [{"ShardLevelMetrics": stream.settings.shard_level_metrics}],
        "EncryptionType": if stream.settings.encryption_key.is_some() { "KMS" } else { "NONE" },
    });
    if let Some(key) = &stream.settings.encryption_key {
        description["KeyId"] = key.as_str().into();
    }
    description
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct List {
    limit: Option<i64>,
    exclusive_start_stream_name: Option<String>,
    next_token: Option<String>,
}

pub(super) fn list(region: &Arc<Region>, request: List) -> Result<Bytes, AwsError> {
    let limit = within("limit", request.limit.unwrap_or(LIST_DEFAULT), 1, LIST_MAX)? as usize;
    // The token is the name of the last stream that was listed.
    let start = request.next_token.or(request.exclusive_start_stream_name).unwrap_or_default();
    let catalog = region.kinesis.catalog();
    let mut streams: Vec<_> = catalog.sorted().filter(|stream| stream.name > start).collect();
    let has_more = streams.len() > limit;
    streams.truncate(limit);
    let summary = |stream: &&Arc<Stream>| {
        json!({
            "StreamName": stream.name,
            "StreamARN": stream.arn(&region.account, &region.name),
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": stream.mode.as_str()},
            "StreamCreationTimestamp": timestamp(stream.created_ms),
        })
    };
    let mut page = json!({
        "StreamNames": streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<&str>>(),
        "StreamSummaries": streams.iter().map(summary).collect::<Vec<Value>>(),
        "HasMoreStreams": has_more,
    });
    if let Some(last) = streams.last().filter(|_| has_more) {
        page["NextToken"] = last.name.as_str().into();
    }
    Ok(answer(&page))
}

pub(super) fn describe_limits(region: &Arc<Region>) -> Bytes {
    let catalog = region.kinesis.catalog();
    let on_demand = catalog.streams.values().filter(|stream| !stream.mode.is_provisioned()).count();
    answer(&json!({
        "ShardLimit": SHARDS_MAX,
        "OpenShardCount": catalog.open_shard_count(),
        "OnDemandStreamCount": on_demand,
        "OnDemandStreamCountLimit": ON_DEMAND_STREAMS_MAX,
    }))
}
