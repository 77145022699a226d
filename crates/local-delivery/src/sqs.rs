//! Amazon SQS: queues of messages, standard and FIFO, over the JSON protocol of today and the query protocol of before.
//!
//! [`Sqs`] is the endpoint; `json` and `query` are its two protocols, and `route` finds the operation. `store` is the
//! SQLite file, which one thread writes to; `queue` and `settings` are what it says of a queue, `message` and
//! `message_attribute` what a message may hold. `arrivals` wakes those who wait for a message, `in_flight` knows how
//! many more may be received, `redrive` moves what was received too often, and `move_tasks` brings it back.

mod arrivals;
mod batch;
mod delete;
mod error;
mod in_flight;
mod message;
mod message_attribute;
mod move_tasks;
mod permissions;
mod query;
mod queue;
mod queue_attributes;
mod queues;
mod receipt;
mod receive;
mod redrive;
mod redrive_policy;
mod send;
mod settings;
mod store;
mod tags;
mod visibility;

use std::path::Path;
use std::sync::Arc;

use ambient::Ambient;
use async_trait::async_trait;
use aws_wire::{AwsError, Caller, JsonService, JsonVersion, QueryService};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use arrivals::Arrivals;
use error::Result;
use in_flight::InFlight;
use store::Store;

/// Why the queues cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("open the store of the queues")]
pub struct SqsError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// The endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Sqs {
    store: Store,
    arrivals: Arc<Arrivals>,
    in_flight: Arc<InFlight>,
    ambient: Ambient,
    shutdown: CancellationToken,
}

/// A request, taken apart.
struct Call<'a> {
    sqs: &'a Sqs,
    caller: &'a Caller,
    body: &'a [u8],
}

impl Sqs {
    /// Opens the queues in `folder`, which is theirs, and goes on with the move tasks that were running. Whoever waits
    /// for a message stops to at `shutdown`. May block; needs a runtime.
    pub fn open(folder: &Path, ambient: Ambient, shutdown: CancellationToken) -> Result<Self, SqsError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| SqsError(error);
        std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
        let store = store::open(&folder.join("sqs.sqlite")).map_err(|error| failed(error.into()))?;
        let sqs = Self { store, arrivals: Arc::default(), in_flight: Arc::default(), ambient, shutdown };
        tokio::spawn(move_tasks::resume(sqs.clone()));
        Ok(sqs)
    }

    pub fn json(&self) -> Arc<dyn JsonService> {
        Arc::new(self.clone())
    }

    pub fn query(&self) -> Arc<dyn QueryService> {
        Arc::new(self.clone())
    }

    /// Answers an operation for `caller`, as both protocols do; `body` is the request's JSON.
    pub async fn call(&self, caller: &Caller, operation: &str, body: &[u8]) -> Result<Value, AwsError> {
        let call = Call { sqs: self, caller, body };
        Ok(route(&call, operation).await?)
    }
}

#[async_trait]
impl JsonService for Sqs {
    fn target_prefix(&self) -> &'static str {
        "AmazonSQS"
    }

    fn json_version(&self) -> JsonVersion {
        JsonVersion::V1_0
    }

    fn error_namespace(&self) -> Option<&'static str> {
        Some("com.amazonaws.sqs")
    }

    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let answer = Sqs::call(self, caller, operation, &body).await?;
        Ok(answer.to_string().into())
    }
}

async fn route(call: &Call<'_>, operation: &str) -> Result<Value> {
    match operation {
        "AddPermission" => permissions::add(call).await,
        "CancelMessageMoveTask" => move_tasks::cancel(call).await,
        "ChangeMessageVisibility" => visibility::change(call).await,
        "ChangeMessageVisibilityBatch" => visibility::change_batch(call).await,
        "CreateQueue" => queues::create(call).await,
        "DeleteMessage" => delete::delete(call).await,
        "DeleteMessageBatch" => delete::delete_batch(call).await,
        "DeleteQueue" => queues::delete(call).await,
        "GetQueueAttributes" => queue_attributes::get(call).await,
        "GetQueueUrl" => queues::url(call).await,
        "ListDeadLetterSourceQueues" => redrive::list_sources(call).await,
        "ListMessageMoveTasks" => move_tasks::list(call).await,
        "ListQueueTags" => tags::list(call).await,
        "ListQueues" => queues::list(call).await,
        "PurgeQueue" => queues::purge(call).await,
        "ReceiveMessage" => receive::receive(call).await,
        "RemovePermission" => permissions::remove(call).await,
        "SendMessage" => send::send(call).await,
        "SendMessageBatch" => send::send_batch(call).await,
        "SetQueueAttributes" => queue_attributes::set(call).await,
        "StartMessageMoveTask" => move_tasks::start(call).await,
        "TagQueue" => tags::tag(call).await,
        "UntagQueue" => tags::untag(call).await,
        unknown => Err(error::unknown_operation(unknown)),
    }
}

impl Call<'_> {
    fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let body = if self.body.is_empty() { b"{}".as_slice() } else { self.body };
        serde_json::from_slice(body).map_err(|error| error::unreadable(&error))
    }

    fn now_ms(&self) -> i64 {
        self.sqs.ambient.now_ms()
    }
}

/// What an operation answers that has nothing to say.
fn done() -> Value {
    Value::Object(serde_json::Map::new())
}
