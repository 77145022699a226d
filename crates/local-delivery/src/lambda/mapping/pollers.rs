//! One task a mapping, which runs as the mapping says now: started, ended and started anew as mappings change.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::event_source_mapping::{Mapping, SourceKind};
use super::{queue, stream};
use crate::lambda::function_name::Region;
use crate::lambda::service::{Service, blocking};
use crate::lambda::store::{Store, StoreError};

/// How often mappings are looked at where nobody changes them.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// What the endpoint and the tasks tell each other.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    changed: Notify,
    last_results: Mutex<HashMap<String, String>>,
}

impl Mappings {
    /// Says that a mapping was changed.
    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// How the last batch of a mapping went, in Lambda's words.
    pub(crate) fn last_result(&self, uuid: &str) -> String {
        let results = self.last_results.lock().unwrap_or_else(PoisonError::into_inner);
        results.get(uuid).cloned().unwrap_or_else(|| "No records processed".to_owned())
    }

    pub(crate) fn set_last_result(&self, uuid: &str, result: &str) {
        let mut results = self.last_results.lock().unwrap_or_else(PoisonError::into_inner);
        results.insert(uuid.to_owned(), result.to_owned());
    }
}

/// A mapping that is being read.
struct Running {
    revision_id: String,
    end: CancellationToken,
    task: JoinHandle<()>,
}

/// Keeps the tasks in step with the mappings until `shutdown`.
pub(crate) async fn run(service: &Service, shutdown: &CancellationToken) {
    let mut running: HashMap<String, Running> = HashMap::new();
    loop {
        // Where mappings cannot be read, those that run go on.
        if let Ok(wanted) = enabled(service).await {
            let outdated: Vec<String> = running
                .iter()
                .filter(|(uuid, run)| {
                    wanted.get(*uuid).is_none_or(|(_, mapping)| mapping.revision_id != run.revision_id)
                })
                .map(|(uuid, _)| uuid.clone())
                .collect();
            for uuid in outdated {
                if let Some(run) = running.remove(&uuid) {
                    run.stop().await;
                    forget_if_deleted(service, uuid).await;
                }
            }
            for (uuid, (region, mapping)) in wanted {
                running.entry(uuid).or_insert_with(|| start(service, region, mapping, shutdown));
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = service.mappings.changed.notified() => {}
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
    for run in running.into_values() {
        run.stop().await;
    }
}

impl Running {
    async fn stop(self) {
        self.end.cancel();
        let _ = self.task.await;
    }
}

fn start(service: &Service, region: Region, mapping: Mapping, shutdown: &CancellationToken) -> Running {
    let (end, revision_id) = (shutdown.child_token(), mapping.revision_id.clone());
    let (service, ended) = (service.clone(), end.clone());
    let task = tokio::spawn(async move {
        let work = async {
            match mapping.source() {
                Ok(SourceKind::DynamoDbStream | SourceKind::KinesisStream) => {
                    stream::run(&service, &region, &mapping).await
                }
                Ok(SourceKind::Queue { .. }) => queue::run(&service, &region, &mapping).await,
                Err(error) => tracing::error!(mapping = mapping.uuid, %error, "mapping cannot be read"),
            }
        };
        // What is in a function then is handed over again later: positions are kept after success only.
        ended.run_until_cancelled(work).await;
    });
    Running { revision_id, end, task }
}

async fn enabled(service: &Service) -> Result<HashMap<String, (Region, Mapping)>, aws_wire::AwsError> {
    let store = service.store.clone();
    let mappings = blocking(move || Ok(store.list_everywhere::<Mapping>()?)).await?;
    let enabled = mappings.into_iter().filter(|(_, mapping)| mapping.settings.is_enabled);
    Ok(enabled.map(|(region, mapping)| (mapping.uuid.clone(), (Region::of_key(&region), mapping))).collect())
}

/// Drops how far a mapping was that is gone. One that was not running is dropped at the next start.
async fn forget_if_deleted(service: &Service, uuid: String) {
    let store = service.store.clone();
    let _ = blocking(move || {
        let known = store.list_everywhere::<Mapping>()?;
        match known.iter().any(|(_, mapping)| mapping.uuid == uuid) {
            true => Ok(()),
            false => Ok(store.forget_shards(&uuid)?),
        }
    })
    .await;
}

/// Drops how far mappings were that are gone. For a start, before any is made.
pub(crate) fn forget_deleted(store: &Store) -> Result<(), StoreError> {
    let known = store.list_everywhere::<Mapping>()?;
    let is_known = |uuid: &String| known.iter().any(|(_, mapping)| mapping.uuid == *uuid);
    let gone = store.mappings_with_shards()?.into_iter().filter(|uuid| !is_known(uuid));
    gone.into_iter().try_for_each(|uuid| store.forget_shards(&uuid))
}
