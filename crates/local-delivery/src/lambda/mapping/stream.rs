//! A mapping on a stream: one task a shard, a child only after its parents.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_wire::AwsError;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::event_source_mapping::Mapping;
use super::shard;
use super::stream_service::{Place, Shard, Stream};
use super::window::KeptWindow;
use crate::lambda::function_name::Region;
use crate::lambda::service::{Service, blocking};

/// How often new shards are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How far a mapping is in a shard, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Progress {
    /// An iterator, which fixed a place where no record was yet.
    At { iterator: String, issued_ms: i64 },
    /// Everything up to this sequence number was handed over. It may stand within a tumbling window.
    After {
        sequence_number: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        window: Option<KeptWindow>,
    },
    /// The shard is closed, and was handed over to its end.
    Ended,
}

/// Fixes the places that a mapping begins at: the ends of all shards as they are now.
pub(super) async fn begin_at_latest(service: &Service, region: &Region, mapping: &Mapping) -> Result<(), AwsError> {
    let stream = Stream::of(service, region, mapping);
    for shard in stream.shards().await? {
        let progress = match shard.is_closed {
            true => Progress::Ended,
            false => {
                // What comes between the two belongs to the mapping.
                let issued_ms = service.ambient.now_ms();
                Progress::At { iterator: stream.iterator(&shard.id, &Place::Latest).await?, issued_ms }
            }
        };
        keep(service, &mapping.uuid, &shard.id, progress).await?;
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
    let shards = Stream::of(service, region, mapping).shards().await?;
    let (store, uuid) = (service.store.clone(), mapping.uuid.clone());
    let listed: Vec<String> = shards.iter().map(|shard| shard.id.clone()).collect();
    let kept: BTreeMap<String, Progress> = blocking(move || {
        let kept: Vec<(String, Progress)> = store.shards(&uuid)?;
        for (shard, _) in kept.iter().filter(|(shard, _)| !listed.contains(shard)) {
            store.forget_shard(&uuid, shard)?;
        }
        Ok(kept.into_iter().collect())
    })
    .await?;
    let is_listed = |id: &str| shards.iter().any(|shard| shard.id == id);
    let has_ended = |id: &str| kept.get(id) == Some(&Progress::Ended);
    let is_ready = |shard: &&Shard| {
        let parents_are_done = shard.parents.iter().all(|parent| !is_listed(parent) || has_ended(parent));
        parents_are_done && !has_ended(&shard.id)
    };
    Ok(shards.iter().filter(is_ready).map(|shard| (shard.id.clone(), kept.get(&shard.id).cloned())).collect())
}

/// Keeps how far a mapping is in a shard. It is durable when this returns.
pub(super) async fn keep(service: &Service, mapping: &str, shard: &str, progress: Progress) -> Result<(), AwsError> {
    let (store, mapping, shard) = (service.store.clone(), mapping.to_owned(), shard.to_owned());
    blocking(move || Ok(store.put_shard(&mapping, &shard, &progress)?)).await
}
