//! Splitting and merging shards, one by one or to a number.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::error::{invalid_argument, stream_not_found, validation, within};
use super::get_shard_iterator::find_shard;
use super::stream::{Shard, Stream};
use super::streams::check_shard_limit;
use super::{Named, answer, nothing};
use crate::region::Region;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SplitShard {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_to_split: String,
    new_starting_hash_key: String,
}

pub(super) async fn split_shard(region: &Arc<Region>, request: SplitShard) -> Result<Bytes, AwsError> {
    let named = Named::new(request.stream_name, request.stream_arn);
    let text = request.new_starting_hash_key;
    let hash_start: u128 =
        text.parse().map_err(|_| validation(format!("Value '{text}' at 'newStartingHashKey' is not a hash key")))?;
    edit(region, &named, move |region, stream, now_ms| {
        check_is_provisioned(stream, "SplitShard")?;
        let shard = find_open(region, stream, &request.shard_to_split)?;
        if hash_start <= shard.hash_start.saturating_add(1) || hash_start >= shard.hash_end {
            return Err(invalid_argument(format!(
                "NewStartingHashKey {hash_start} used in SplitShard() on shard {} in stream {} under account {} is not \
                 both greater than one plus the shard's StartingHashKey {} and less than the shard's EndingHashKey {}.",
                shard.id(),
                stream.name,
                region.account,
                shard.hash_start,
                shard.hash_end
            )));
        }
        stream.split(now_ms, shard.index, hash_start);
        Ok(())
    })
    .await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct MergeShards {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_to_merge: String,
    adjacent_shard_to_merge: String,
}

pub(super) async fn merge_shards(region: &Arc<Region>, request: MergeShards) -> Result<Bytes, AwsError> {
    let named = Named::new(request.stream_name, request.stream_arn);
    edit(region, &named, move |region, stream, now_ms| {
        check_is_provisioned(stream, "MergeShards")?;
        let one = find_open(region, stream, &request.shard_to_merge)?;
        let other = find_open(region, stream, &request.adjacent_shard_to_merge)?;
        let follows = |left: &Shard, right: &Shard| left.hash_end.checked_add(1) == Some(right.hash_start);
        if !follows(&one, &other) && !follows(&other, &one) {
            return Err(invalid_argument(format!(
                "Shards {} and {} in stream {} under account {} are not an adjacent pair of shards eligible for merging",
                one.id(),
                other.id(),
                stream.name,
                region.account
            )));
        }
        stream.merge(now_ms, one.index, other.index);
        Ok(())
    })
    .await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateShardCount {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    target_shard_count: i64,
    scaling_type: String,
}

pub(super) async fn update_shard_count(region: &Arc<Region>, request: UpdateShardCount) -> Result<Bytes, AwsError> {
    if request.scaling_type != "UNIFORM_SCALING" {
        return Err(validation(format!(
            "Value '{}' at 'scalingType' failed to satisfy constraint: Member must satisfy enum value set: \
             [UNIFORM_SCALING]",
            request.scaling_type
        )));
    }
    let target = within("targetShardCount", request.target_shard_count, 1, 100_000)? as usize;
    let named = Named::new(request.stream_name, request.stream_arn);
    let stream = named.find(region)?;
    let current = edit(region, &named, move |_, stream, now_ms| {
        check_is_provisioned(stream, "UpdateShardCount")?;
        let current = stream.open_shard_count();
        check_step(current, target)?;
        stream.scale(now_ms, target as u32);
        Ok(current)
    })
    .await?;
    Ok(answer(&json!({
        "StreamName": stream.name,
        "StreamARN": stream.arn(&region.account, &region.name),
        "CurrentShardCount": current,
        "TargetShardCount": target,
    })))
}

/// A step goes to the double or the half at most.
fn check_step(current: usize, target: usize) -> Result<(), AwsError> {
    let counts = format!("Current open shard count: {current} Target shard count: {target}");
    if target > current * 2 {
        let message = "UpdateShardCount cannot scale up over double your current open shard count.";
        return Err(invalid_argument(format!("{message} {counts}")));
    }
    if target < current.div_ceil(2) {
        let message = "UpdateShardCount cannot scale down below half your current open shard count.";
        return Err(invalid_argument(format!("{message} {counts}")));
    }
    Ok(())
}

/// Changes the stream as it is when its turn comes: shards may have been split since the request arrived.
async fn edit<T: Send + 'static>(
    region: &Arc<Region>,
    named: &Named,
    change: impl FnOnce(&Region, &mut Stream, i64) -> Result<T, AwsError> + Send + 'static,
) -> Result<T, AwsError> {
    let (id, name) = {
        let stream = named.find(region)?;
        (stream.id, stream.name.clone())
    };
    // Only what a change reads of the region: the log's thread must not keep the log alive.
    let (place, now_ms) = (Arc::downgrade(region), region.ambient.now_ms());
    region
        .kinesis
        .edit(move |draft| {
            let gone = || invalid_argument("the service is being stopped");
            let region = place.upgrade().ok_or_else(gone)?;
            let known = draft.catalog.streams.get(&id).ok_or_else(|| stream_not_found(&region, &name))?;
            let mut stream = (**known).clone();
            let before = stream.open_shard_count();
            let value = change(&region, &mut stream, now_ms)?;
            let additional = stream.open_shard_count().saturating_sub(before);
            check_shard_limit(&draft.catalog, additional, &region.account, &region.name)?;
            draft.insert(stream);
            Ok(value)
        })
        .await
}

fn check_is_provisioned(stream: &Stream, operation: &str) -> Result<(), AwsError> {
    if stream.mode.is_provisioned() {
        return Ok(());
    }
    let message = format!("Request is invalid. {operation} is not supported for a stream with ON_DEMAND capacity.");
    Err(AwsError::bad_request("ValidationException", message))
}

fn find_open(region: &Region, stream: &Stream, id: &str) -> Result<Shard, AwsError> {
    let shard = find_shard(region, stream, id)?;
    match shard.is_open() {
        true => Ok(shard),
        false => Err(invalid_argument(format!(
            "Shard {} in stream {} under account {} is closed: it was split or merged before",
            shard.id(),
            stream.name,
            region.account
        ))),
    }
}
