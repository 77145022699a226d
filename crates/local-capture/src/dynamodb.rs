//! The `DynamoDB_20120810` service: which operation goes where.
//!
//! Item operations pass through to the engine; [`table`] takes those that create, alter, describe or
//! delete tables, since streams ([`stream_specification`]) and ARNs ([`description`]) are ours; [`error`] turns the engine's errors into AWS's.

mod account;
mod continuous_backups;
mod description;
pub(crate) mod error;
mod kinesis_destination;
mod request;
mod stream_specification;
mod table;
mod tags;

use std::sync::Arc;

use async_trait::async_trait;
use aws_wire::{AwsError, Caller, JsonService, JsonVersion};
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::region::Region;
use crate::regions::Regions;

pub(crate) struct DynamoDb {
    regions: Arc<Regions>,
}

impl DynamoDb {
    pub(crate) fn new(regions: Arc<Regions>) -> Self {
        Self { regions }
    }
}

#[async_trait]
impl JsonService for DynamoDb {
    fn target_prefix(&self) -> &'static str {
        "DynamoDB_20120810"
    }

    fn json_version(&self) -> JsonVersion {
        JsonVersion::V1_0
    }

    fn error_namespace(&self) -> Option<&'static str> {
        Some("com.amazonaws.dynamodb.v20120810")
    }

    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let region = self.regions.of(caller).await?;
        let call = Call { region: &region, operation, body };
        match operation {
            "GetItem" => call.read(Database::get_item).await,
            "BatchGetItem" => call.read(Database::batch_get_item).await,
            "TransactGetItems" => call.read(Database::transact_get_items).await,
            "Query" => call.read(Database::query).await,
            "Scan" => call.read(Database::scan).await,
            "SearchVectors" => call.read(Database::search_vectors).await,
            "ListTables" => call.read(Database::list_tables).await,
            "DescribeTimeToLive" => call.read(Database::describe_time_to_live).await,
            "PutItem" => call.write(Database::put_item).await,
            "UpdateItem" => call.write(Database::update_item).await,
            "DeleteItem" => call.write(Database::delete_item).await,
            "BatchWriteItem" => call.write(Database::batch_write_item).await,
            "TransactWriteItems" => call.write(Database::transact_write_items).await,
            "ExecuteStatement" => call.write(Database::execute_statement).await,
            "ExecuteTransaction" => call.write(Database::execute_transaction).await,
            "BatchExecuteStatement" => call.write(Database::batch_execute_statement).await,
            "UpdateTimeToLive" => call.write(Database::update_time_to_live).await,
            "DescribeTable" => table::describe_table(&region, &call.body).await,
            "TagResource" | "UntagResource" | "ListTagsOfResource" => tags::call(&region, operation, &call.body).await,
            "DescribeLimits" => Ok(account::describe_limits()),
            "DescribeEndpoints" => Ok(account::describe_endpoints(&caller.host)),
            "DescribeContinuousBackups" => continuous_backups::describe_continuous_backups(&region, &call.body).await,
            "UpdateContinuousBackups" => continuous_backups::update_continuous_backups(&region, &call.body).await,
            "DescribeKinesisStreamingDestination" => {
                kinesis_destination::describe_destinations(&region, &call.body).await
            }
            "EnableKinesisStreamingDestination"
            | "DisableKinesisStreamingDestination"
            | "UpdateKinesisStreamingDestination"
            | "CreateTable"
            | "UpdateTable"
            | "DeleteTable" => {
                // Several steps over two stores: a client that hangs up must not stop them half-way.
                let (operation, body) = (operation.to_owned(), call.body);
                let change = tokio::spawn(async move { table::change(&region, &operation, &body).await });
                change.await.unwrap_or_else(|error| Err(crate::streams::internal_error(&error)))
            }
            _ => Err(error::unknown_operation(operation)),
        }
    }
}

struct Call<'a> {
    region: &'a Arc<Region>,
    operation: &'a str,
    body: Bytes,
}

impl Call<'_> {
    async fn read<Request: DeserializeOwned + 'static, Answer: Serialize + 'static>(
        self,
        call: fn(&Database, Request) -> Result<Answer, DynoxideError>,
    ) -> Result<Bytes, AwsError> {
        let body = self.body;
        let outcome = self.region.read(move |engine| answer(engine, &body, call)).await;
        outcome.map_err(|error| error::from_engine(self.region, self.operation, &error))
    }

    async fn write<Request: DeserializeOwned + 'static, Answer: Serialize + 'static>(
        self,
        call: fn(&Database, Request) -> Result<Answer, DynoxideError>,
    ) -> Result<Bytes, AwsError> {
        let body = self.body;
        let outcome = self.region.write(move |engine| answer(engine, &body, call)).await;
        outcome.map_err(|error| error::from_engine(self.region, self.operation, &error))
    }
}

/// Parses, runs and renders on the engine's thread: all three recurse with the depth of the request.
fn answer<Request: DeserializeOwned, Answer: Serialize>(
    engine: &Database,
    body: &[u8],
    call: fn(&Database, Request) -> Result<Answer, DynoxideError>,
) -> Result<Bytes, DynoxideError> {
    let answer = call(engine, request::parse(body)?)?;
    let json = serde_json::to_vec(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))?;
    Ok(Bytes::from(json))
}
