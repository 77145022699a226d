//! A mapping on a DynamoDB stream: one task a shard, a child only after its parents.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_wire::AwsError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::event_source_mapping::Mapping;
use super::shard;
use crate::lambda::error;
use crate::lambda::function_name::Region;
use crate::lambda::neighbours::Neighbours;
use crate::lambda::service::{Service, blocking};

/// How often new shards are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How far a mapping is in a shard, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Progress {
    /// An iterator, which fixed a place where no record was yet.
    At { iterator: String, issued_ms: i64 },
    /// Everything up to this sequence number was handed over.
    After { sequence_number: String },
    /// The shard is closed, and was handed over to its end.
    Ended,
}

/// A shard as DescribeStream lists it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Shard {
    shard_id: String,
    parent_shard_id: Option<String>,
    sequence_number_range: SequenceNumberRange,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SequenceNumberRange {
    ending_sequence_number: Option<String>,
}

/// Checks that there is such a stream.
pub(super) async fn check(neighbours: &Neighbours, region: &Region, arn: &str) -> Result<(), AwsError> {
    let described = neighbours.streams(region, "DescribeStream", &json!({ "StreamArn": arn, "Limit": 1 })).await;
    described.map(|_| ()).map_err(|cause| match cause.code.as_ref() {
        "ResourceNotFoundException" | "ValidationException" => error::invalid(format!("Stream not found: {arn}")),
        _ => cause,
    })
}

/// Fixes the places that a mapping begins at: the ends of all shards as they are now.
pub(super) async fn begin_at_latest(service: &Service, region: &Region, mapping: &Mapping) -> Result<(), AwsError> {
    for shard in shards(&service.neighbours, region, &mapping.source_arn).await? {
        let progress = match shard.sequence_number_range.ending_sequence_number {
            Some(_) => Progress::Ended,
            None => {
                let request = json!({
                    "StreamArn": mapping.source_arn,
                    "ShardId": shard.shard_id,
                    "ShardIteratorType": "LATEST",
                });
                let answer = service.neighbours.streams(region, "GetShardIterator", &request).await?;
                let answer: Value = serde_json::from_slice(&answer).map_err(|error| error::internal(&error))?;
                let iterator = answer["ShardIterator"].as_str().unwrap_or_default().to_owned();
                Progress::At { iterator, issued_ms: service.ambient.now_ms() }
            }
        };
        keep(service, &mapping.uuid, &shard.shard_id, progress).await?;
    }
    Ok(())
}

/// Reads all shards, for ever. Dropping it ends the tasks of the shards.
pub(super) async fn run(service: &Service, region: &Region, mapping: &Mapping) {
    let mut tasks = JoinSet::new();
    let mut reading: HashMap<tokio::task::Id, String> = HashMap::new();
    loop {
        match look(service, region, mapping).await {
            Ok(ready) => {
                for (shard_id, progress) in ready {
                    if reading.values().any(|other| *other == shard_id) {
                        continue;
                    }
                    let (service, region, mapping) = (service.clone(), region.clone(), mapping.clone());
                    let id = shard_id.clone();
                    let task = async move { shard::run(&service, &region, &mapping, &id, progress).await };
                    reading.insert(tasks.spawn(task).id(), shard_id);
                }
            }
            Err(error) => {
                tracing::debug!(mapping = mapping.uuid, %error, "stream not described");
                service.mappings.set_last_result(&mapping.uuid, &format!("PROBLEM: {}", error.message));
            }
        }
        tokio::select! {
            biased;
            // A shard that ended makes room for its children at once.
            Some(ended) = tasks.join_next_with_id() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(stopped) => stopped.id(),
                };
                reading.remove(&id);
            }
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
}

/// The shards that can be read now, and from where. Forgets those that the stream no longer lists.
async fn look(
    service: &Service,
    region: &Region,
    mapping: &Mapping,
) -> Result<Vec<(String, Option<Progress>)>, AwsError> {
    let shards = shards(&service.neighbours, region, &mapping.source_arn).await?;
    let (store, uuid) = (service.store.clone(), mapping.uuid.clone());
    let listed: Vec<String> = shards.iter().map(|shard| shard.shard_id.clone()).collect();
    let kept: BTreeMap<String, Progress> = blocking(move || {
        let kept: Vec<(String, Progress)> = store.shards(&uuid)?;
        for (shard, _) in kept.iter().filter(|(shard, _)| !listed.contains(shard)) {
            store.forget_shard(&uuid, shard)?;
        }
        Ok(kept.into_iter().collect())
    })
    .await?;
    let is_listed = |id: &str| shards.iter().any(|shard| shard.shard_id == id);
    let has_ended = |id: &str| kept.get(id) == Some(&Progress::Ended);
    let is_ready = |shard: &&Shard| {
        let parent_is_done =
            shard.parent_shard_id.as_deref().is_none_or(|parent| !is_listed(parent) || has_ended(parent));
        parent_is_done && !has_ended(&shard.shard_id)
    };
    Ok(shards
        .iter()
        .filter(is_ready)
        .map(|shard| (shard.shard_id.clone(), kept.get(&shard.shard_id).cloned()))
        .collect())
}

async fn shards(neighbours: &Neighbours, region: &Region, arn: &str) -> Result<Vec<Shard>, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        stream_description: Description,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Description {
        shards: Vec<Shard>,
        last_evaluated_shard_id: Option<String>,
    }
    let mut shards = Vec::new();
    let mut request = json!({ "StreamArn": arn });
    loop {
        let answer = neighbours.streams(region, "DescribeStream", &request).await?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|error| error::internal(&error))?;
        shards.extend(answer.stream_description.shards);
        match answer.stream_description.last_evaluated_shard_id {
            Some(last) => request["ExclusiveStartShardId"] = last.into(),
            None => return Ok(shards),
        }
    }
}

/// Keeps how far a mapping is in a shard. It is durable when this returns.
pub(super) async fn keep(service: &Service, mapping: &str, shard: &str, progress: Progress) -> Result<(), AwsError> {
    let (store, mapping, shard) = (service.store.clone(), mapping.to_owned(), shard.to_owned());
    blocking(move || Ok(store.put_shard(&mapping, &shard, &progress)?)).await
}
