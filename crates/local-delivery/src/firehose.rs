//! Amazon Data Firehose: delivery streams that take records and bring them to Iceberg tables or to objects of S3.
//!
//! [`Firehose`] is the endpoint, and `route` finds the operation: `create`, `describe`, `change`, `tags`, `encryption`,
//! `put`. A delivery stream (`stream`, asked for in `settings`) is a durable log in the SQLite file (`buffer`).
//! `processing` decides where each of its records goes; objects are written by `objects` (with `prefix`), records that
//! fail (`failure`) by `error_objects`, of which `delivery_log` tells. Tables are written by whoever takes [`TableDelivery`]s, Kinesis streams read by
//! whoever takes [`KinesisFeed`]s. `bells` wake those who wait.

mod account;
mod bells;
mod buffer;
mod change;
mod create;
mod delivery_log;
mod describe;
mod encryption;
mod error;
mod error_objects;
mod failure;
mod kinesis_feed;
mod neighbours;
mod object_name;
mod objects;
mod prefix;
mod processing;
mod put;
mod settings;
mod stream;
mod table_delivery;
mod tags;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ambient::Ambient;
use async_trait::async_trait;
use aws_wire::{AwsError, Caller, JsonService, JsonVersion};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use bells::Bells;
use error::Result;
use stream::DeliveryStream;

pub use account::FirehoseAccount;
pub use buffer::{Buffered, Operation};
pub use error::Error as FirehoseFailure;
pub use kinesis_feed::KinesisFeed;
pub use neighbours::{Converted, FirehoseNeighbours, Formats, Functions, Invocation};
pub use settings::{CatalogArn, GlueTable, ParquetCompression};
pub use table_delivery::{Rejected, TableDelivery, TableSettings};

/// Why the delivery streams cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("open the store of delivery streams")]
pub struct FirehoseError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// The endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Firehose {
    store: crate::store::Store<error::Error>,
    bells: Bells,
    neighbours: FirehoseNeighbours,
    ambient: Ambient,
}

/// A request, taken apart.
struct Call<'a> {
    firehose: &'a Firehose,
    caller: &'a Caller,
    body: &'a [u8],
}

impl Firehose {
    /// Opens the delivery streams in `folder`, which is theirs. May block.
    pub fn open(folder: &Path, neighbours: FirehoseNeighbours, ambient: Ambient) -> Result<Self, FirehoseError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| FirehoseError(error);
        std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
        let steps = [include_str!("firehose/schema.sql")];
        let store = crate::store::Store::open(&folder.join("firehose.sqlite"), "firehose-store", &steps);
        let store = store.map_err(|error| failed(error.into()))?;
        Ok(Self { store, bells: Bells::default(), neighbours, ambient })
    }

    pub fn json(&self) -> Arc<dyn JsonService> {
        Arc::new(self.clone())
    }

    /// Processes records and writes objects until `shutdown`.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut changes = self.bells.listen(bells::CHANGES);
        let mut running: HashMap<i64, CancellationToken> = HashMap::new();
        let mut tasks = JoinSet::new();
        loop {
            changes.borrow_and_update();
            let streams = match self.store.run(DeliveryStream::list).await {
                Ok(streams) => streams,
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "list the delivery streams");
                    Vec::new()
                }
            };
            for stream in &streams {
                running.entry(stream.number).or_insert_with(|| {
                    let ended = shutdown.child_token();
                    tasks.spawn(processing::run(self.clone(), stream.number, ended.clone()));
                    tasks.spawn(objects::run(self.clone(), stream.number, ended.clone()));
                    tasks.spawn(error_objects::run(self.clone(), stream.number, ended.clone()));
                    ended
                });
            }
            running.retain(|number, ended| {
                let is_there = streams.iter().any(|stream| stream.number == *number);
                if !is_there {
                    ended.cancel();
                    self.bells.forget(*number);
                }
                is_there
            });
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = changes.changed() => {}
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Waits until delivery streams or their lanes have changed since the last call with the same `seen`.
    pub async fn changed(&self, seen: &mut u64) {
        let mut changes = self.bells.listen(bells::CHANGES);
        if let Ok(rung) = changes.wait_for(|rung| *rung != *seen).await {
            *seen = *rung;
        }
    }
}

#[async_trait]
impl JsonService for Firehose {
    fn target_prefix(&self) -> &'static str {
        "Firehose_20150804"
    }

    fn json_version(&self) -> JsonVersion {
        JsonVersion::V1_1
    }

    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let call = Call { firehose: self, caller, body: &body };
        Ok(route(&call, operation).await?.to_string().into())
    }
}

async fn route(call: &Call<'_>, operation: &str) -> Result<Value> {
    match operation {
        "CreateDeliveryStream" => create::create(call).await,
        "DeleteDeliveryStream" => change::delete(call).await,
        "DescribeDeliveryStream" => describe::describe(call).await,
        "ListDeliveryStreams" => describe::list(call).await,
        "ListTagsForDeliveryStream" => tags::list(call).await,
        "PutRecord" => put::put(call).await,
        "PutRecordBatch" => put::put_batch(call).await,
        "StartDeliveryStreamEncryption" => encryption::start(call).await,
        "StopDeliveryStreamEncryption" => encryption::stop(call).await,
        "TagDeliveryStream" => tags::add(call).await,
        "UntagDeliveryStream" => tags::remove(call).await,
        "UpdateDestination" => change::update(call).await,
        unknown => Err(error::unknown_operation(unknown)),
    }
}

impl Call<'_> {
    fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let body = if self.body.is_empty() { b"{}".as_slice() } else { self.body };
        serde_json::from_slice(body).map_err(|error| error::invalid(format!("the body does not fit: {error}")))
    }

    fn now_ms(&self) -> i64 {
        self.firehose.ambient.now_ms()
    }
}
