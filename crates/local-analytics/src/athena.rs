//! Amazon Athena: queries that run in the background, and their results in S3.
//!
//! `start` takes a query, `run` carries it out, `execution` is what is known of it, `executions` tells it, `results` pages
//! through what it left.
//! `statement` reads the kind of a statement and fills its parameters; `column`, `value` and `csv` spell results as Athena
//! does; `failure` puts the engine's complaints into Athena's words.

mod column;
mod csv;
mod execution;
mod executions;
mod failure;
mod paging;
mod results;
mod run;
mod sight;
mod start;
mod statement;
mod value;
mod work_groups;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ambient::Ambient;
use async_trait::async_trait;
use aws_wire::{AwsError, Caller, JsonService, JsonVersion};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::json;
use crate::lakehouse::{Lakehouse, Region};
use crate::store::Store;

/// Queries that run at the same time; more wait as QUEUED.
const RUNNING_MAX: usize = 8;

/// The endpoint. Cheap to clone: queries outlive the requests that start them.
#[derive(Clone)]
pub(crate) struct Athena {
    store: Arc<Store>,
    lakehouse: Arc<dyn Lakehouse>,
    ambient: Ambient,
    /// The queries that are queued or run. Whoever takes an entry out writes how the query ended.
    running: Arc<Mutex<HashMap<String, run::Running>>>,
    places: Arc<Semaphore>,
}

/// A request, taken apart.
struct Call<'a> {
    athena: &'a Athena,
    caller: &'a Caller,
    region: Region,
    body: &'a [u8],
}

type Answer = Result<Value, AwsError>;

impl Athena {
    pub(crate) fn new(store: Arc<Store>, lakehouse: Arc<dyn Lakehouse>, ambient: Ambient) -> Self {
        let (running, places) = (Arc::default(), Arc::new(Semaphore::new(RUNNING_MAX)));
        Self { store, lakehouse, ambient, running, places }
    }
}

#[async_trait]
impl JsonService for Athena {
    fn target_prefix(&self) -> &'static str {
        "AmazonAthena"
    }

    fn json_version(&self) -> JsonVersion {
        JsonVersion::V1_1
    }

    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let answer = match operation {
            "GetQueryResults" => results::get(self, caller, &body).await?,
            _ => {
                let (athena, caller, operation) = (self.clone(), caller.clone(), operation.to_owned());
                let runtime = Handle::current();
                let answered = tokio::task::spawn_blocking(move || {
                    // Queries that are started go on on the runtime.
                    let _entered = runtime.enter();
                    let call = Call { athena: &athena, caller: &caller, region: json::region(&caller), body: &body };
                    route(&call, &operation)
                });
                answered.await.map_err(|panic| json::internal("InternalServerException", &panic))??
            }
        };
        Ok(answer.to_string().into())
    }
}

fn route(call: &Call<'_>, operation: &str) -> Answer {
    match operation {
        "StartQueryExecution" => start::start(call),
        "StopQueryExecution" => run::stop(call),
        "GetQueryExecution" => executions::get(call),
        "BatchGetQueryExecution" => executions::batch_get(call),
        "ListQueryExecutions" => executions::list(call),
        "GetQueryRuntimeStatistics" => executions::runtime_statistics(call),
        "CreateWorkGroup" => work_groups::create(call),
        "GetWorkGroup" => work_groups::get(call),
        "UpdateWorkGroup" => work_groups::update(call),
        "DeleteWorkGroup" => work_groups::delete(call),
        "ListWorkGroups" => work_groups::list(call),
        "ListEngineVersions" => work_groups::list_engine_versions(call),
        unknown => Err(AwsError::bad_request(
            "UnknownOperationException",
            format!("{unknown} is not an operation of Athena that this endpoint serves"),
        )),
    }
}

impl Call<'_> {
    fn parse<T: DeserializeOwned>(&self) -> Result<T, AwsError> {
        json::parse(self.body)
    }

    fn store(&self) -> &Store {
        &self.athena.store
    }
}
