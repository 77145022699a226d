//! Amazon Athena: queries that run in the background, and their results in S3.
//!
//! `start` takes a query, `names` says what its names mean, `sight` asks the engine, `run` carries it out, `execution` is what is known of it, `executions` tells it, `results` pages
//! through what it left in the `result_file`.
//! `statement` reads the kind of a statement and fills its parameters; `column`, `value` and `csv` spell results as Athena
//! does; `failure` puts the engine's complaints into Athena's words.

mod column;
mod csv;
mod data_catalogs;
mod execution;
mod executions;
mod failure;
mod named_queries;
mod names;
mod paging;
mod prepared;
mod prepared_statements;
mod result_file;
mod results;
mod run;
mod sight;
mod start;
mod statement;
mod tags;
mod unload;
mod value;
mod work_groups;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use ambient::Ambient;
use async_trait::async_trait;
use aws_wire::{AwsError, Caller, JsonService, JsonVersion};
use bytes::Bytes;
use query::{Engine, EngineOptions, Memory, NoCatalogs};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::audit::Entry;
use crate::grants::Grants;
use crate::json;
use crate::lakehouse::{Lakehouse, Region};
use crate::store::Store;
use crate::view::View;

pub(crate) use sight::AskError;

/// Queries that run at the same time; more wait as QUEUED.
const RUNNING_MAX: usize = 8;

/// The endpoint. Cheap to clone: queries outlive the requests that start them.
#[derive(Clone)]
pub(crate) struct Athena {
    store: Arc<Store>,
    lakehouse: Arc<dyn Lakehouse>,
    grants: Arc<Grants>,
    ambient: Ambient,
    engine: Engine,
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
    pub(crate) fn new(
        store: Arc<Store>,
        lakehouse: Arc<dyn Lakehouse>,
        grants: Arc<Grants>,
        memory: Memory,
        ambient: Ambient,
    ) -> query::Result<Self> {
        let places = Arc::new(Semaphore::new(memory.queries_at_once().min(RUNNING_MAX)));
        let options = EngineOptions { memory: Some(memory), ..EngineOptions::default() };
        let engine = Engine::over(NoCatalogs, ambient.clone(), options)?;
        Ok(Self { store, lakehouse, grants, ambient, engine, running: Arc::default(), places })
    }

    /// What it knows of the lake by.
    pub(crate) fn neighbours(&self) -> (&Store, &dyn Lakehouse, &Grants) {
        (&self.store, self.lakehouse.as_ref(), &self.grants)
    }

    /// Waits until the entry is in the audit log, on disk.
    pub(crate) async fn audit(&self, entry: &Entry<'_>) -> std::io::Result<()> {
        self.grants.audit.record_durably(entry).await
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
        "CreateNamedQuery" => named_queries::create(call),
        "GetNamedQuery" => named_queries::get(call),
        "UpdateNamedQuery" => named_queries::update(call),
        "DeleteNamedQuery" => named_queries::delete(call),
        "BatchGetNamedQuery" => named_queries::batch_get(call),
        "ListNamedQueries" => named_queries::list(call),
        "CreatePreparedStatement" => prepared_statements::create(call),
        "GetPreparedStatement" => prepared_statements::get(call),
        "UpdatePreparedStatement" => prepared_statements::update(call),
        "DeletePreparedStatement" => prepared_statements::delete(call),
        "BatchGetPreparedStatement" => prepared_statements::batch_get(call),
        "ListPreparedStatements" => prepared_statements::list(call),
        "CreateDataCatalog" => data_catalogs::create(call),
        "GetDataCatalog" => data_catalogs::get(call),
        "DeleteDataCatalog" => data_catalogs::delete(call),
        "ListDataCatalogs" => data_catalogs::list(call),
        "GetDatabase" => data_catalogs::get_database(call),
        "ListDatabases" => data_catalogs::list_databases(call),
        "GetTableMetadata" => data_catalogs::get_table_metadata(call),
        "ListTableMetadata" => data_catalogs::list_table_metadata(call),
        "TagResource" => tags::tag(call),
        "UntagResource" => tags::untag(call),
        "ListTagsForResource" => tags::list(call),
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

    /// The catalogs as the caller sees them.
    fn views(&self) -> View<'_> {
        View {
            store: &self.athena.store,
            lakehouse: self.athena.lakehouse.as_ref(),
            grants: &self.athena.grants,
            region: &self.region,
            identity: &self.caller.identity,
        }
    }
}
