//! DescribeStream: a stream and a page of its shards, oldest first.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{drain_error, find, page_limit};
use crate::dynamodb::error::validation;
use crate::region::Region;
use crate::shard_log::stream::{Shard, Stream, StreamStatus};

const SHARDS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Request {
    stream_arn: String,
    limit: Option<i64>,
    exclusive_start_shard_id: Option<String>,
    shard_filter: Option<ShardFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardFilter {
    #[serde(rename = "Type")]
    filter_type: Option<String>,
    shard_id: Option<String>,
}

pub(super) async fn call(region: &Arc<Region>, request: Request) -> Result<Bytes, AwsError> {
    let limit = page_limit(request.limit, SHARDS_MAX)?;
    let parent_id = parent_id(request.shard_filter.as_ref())?;
    region.drain().await.map_err(drain_error)?;
    let stream = find(region, &request.stream_arn)?;

    let start = request.exclusive_start_shard_id.as_deref().unwrap_or_default();
    let is_wanted = |shard: &&Shard| {
        shard.id.as_str() > start && parent_id.is_none_or(|parent| shard.parent_id.as_deref() == Some(parent))
    };
    let mut shards: Vec<&Shard> = stream.shards.values().filter(is_wanted).collect();
    // By id, which begins with the opening time, so that a page can start after a shard that has expired meanwhile.
    shards.sort_unstable_by(|left, right| left.id.cmp(&right.id));
    let has_more = shards.len() > limit;
    shards.truncate(limit);
    let last = shards.last().filter(|_| has_more).map(|shard| shard.id.clone());
    Ok(render(region, &stream, &shards, last))
}

/// The shard whose children are asked for.
fn parent_id(filter: Option<&ShardFilter>) -> Result<Option<&str>, AwsError> {
    let Some(filter) = filter else { return Ok(None) };
    match (filter.filter_type.as_deref(), filter.shard_id.as_deref()) {
        (Some("CHILD_SHARDS"), Some(shard_id)) => Ok(Some(shard_id)),
        (Some("CHILD_SHARDS"), None) => {
            Err(validation("ShardFilter of type CHILD_SHARDS must name the parent in ShardId"))
        }
        (None, _) => Err(validation("ShardFilter must have a Type")),
        (Some(other), _) => Err(validation(format!(
            "1 validation error detected: Value '{other}' at 'shardFilter.type' failed to satisfy constraint: \
             Member must satisfy enum value set: [CHILD_SHARDS]"
        ))),
    }
}

fn render(region: &Region, stream: &Stream, shards: &[&Shard], last: Option<String>) -> Bytes {
    let mut description = json!({
        "StreamArn": stream.arn(&region.account, &region.name),
        "StreamLabel": stream.label,
        "StreamStatus": status(stream.status),
        "StreamViewType": stream.view_type.as_str(),
        "CreationRequestDateTime": stream.created_ms as f64 / 1000.0,
        "TableName": stream.table_name,
        "KeySchema": stream.key_schema,
        "Shards": shards.iter().map(|shard| describe_shard(shard)).collect::<Vec<Value>>(),
    });
    if let Some(last) = last {
        description["LastEvaluatedShardId"] = last.into();
    }
    Bytes::from(json!({"StreamDescription": description}).to_string())
}

fn describe_shard(shard: &Shard) -> Value {
    let mut range = json!({"StartingSequenceNumber": shard.starting.to_string()});
    // Consumers take a shard with an ending number for closed.
    if let Some(closed) = shard.closed {
        range["EndingSequenceNumber"] = closed.ending.to_string().into();
    }
    let mut description = json!({"ShardId": shard.id, "SequenceNumberRange": range});
    if let Some(parent_id) = &shard.parent_id {
        description["ParentShardId"] = parent_id.as_str().into();
    }
    description
}

fn status(status: StreamStatus) -> &'static str {
    match status {
        StreamStatus::Enabling => "ENABLING",
        StreamStatus::Enabled => "ENABLED",
        StreamStatus::Disabled { .. } => "DISABLED",
    }
}
