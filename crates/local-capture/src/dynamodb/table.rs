//! Creating, altering, describing and deleting tables.
//!
//! The engine records changes with both images while a stream is on; what the caller asked for, its ARN and its label
//! are kept in the shard log, and put into every description of a table.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde_json::{Value, json};

use super::description::description;
use super::error::{from_engine, validation};
use super::request;
use super::stream_specification::{Wanted, confirm, disable, enable, forget, wanted_stream};
use crate::region::Region;
use crate::shard_log::stream::StreamViewType;
use crate::streams::drain_error;

pub(super) async fn change(region: &Arc<Region>, operation: &str, body: &Bytes) -> Result<Bytes, AwsError> {
    match operation {
        "CreateTable" => create_table(region, body).await,
        "UpdateTable" => update_table(region, body).await,
        "DeleteTable" => delete_table(region, body).await,
        _ => super::kinesis_destination::change(region, operation, body).await,
    }
}

async fn create_table(region: &Arc<Region>, body: &Bytes) -> Result<Bytes, AwsError> {
    let mut body = object(region, "CreateTable", body)?;
    refuse_members("CreateTable", &body, &CREATE_TABLE_UNSERVED)?;
    let wanted = wanted_stream(&body)?;
    let Some(Wanted::On(view_type)) = wanted else {
        let answer = engine_call(region, "CreateTable", body, Database::create_table).await?;
        return description(region, "TableDescription", answer);
    };
    let table_name = text(&body, "TableName");
    let _alone = region.stop_writers().await;
    if exists(region, &table_name).await? {
        // The engine words the refusal.
        let answer = engine_call(region, "CreateTable", body, Database::create_table).await?;
        return description(region, "TableDescription", answer);
    }
    let key_schema = body["KeySchema"].clone();
    let id = enable(region, &table_name, view_type, key_schema, None).await?;
    body["StreamSpecification"] = engine_specification();
    match engine_call(region, "CreateTable", body, Database::create_table).await {
        Ok(answer) => {
            let table_id = answer["TableDescription"]["TableId"].as_str().map(str::to_owned);
            confirm(region, id, table_id).await?;
            description(region, "TableDescription", answer)
        }
        Err(error) => {
            forget(region, id).await?;
            Err(error)
        }
    }
}

pub(super) async fn describe_table(region: &Arc<Region>, body: &Bytes) -> Result<Bytes, AwsError> {
    let body = object(region, "DescribeTable", body)?;
    let answer = engine_call(region, "DescribeTable", body, Database::describe_table).await?;
    description(region, "Table", answer)
}

async fn update_table(region: &Arc<Region>, body: &Bytes) -> Result<Bytes, AwsError> {
    let body = object(region, "UpdateTable", body)?;
    refuse_members("UpdateTable", &body, &UPDATE_TABLE_UNSERVED)?;
    let Some(wanted) = wanted_stream(&body)? else {
        let answer = engine_call(region, "UpdateTable", body, Database::update_table).await?;
        return description(region, "TableDescription", answer);
    };
    let table_name = text(&body, "TableName");
    let _alone = region.stop_writers().await;
    region.drain().await.map_err(drain_error)?;
    let current = region.log.catalog().writable(&table_name).cloned();
    match (wanted, current) {
        (Wanted::On(_), Some(_)) => {
            Err(validation(format!("Table already has an enabled stream: TableName: {table_name}")))
        }
        (Wanted::Off, None) if exists(region, &table_name).await? => {
            Err(validation(format!("Table has no stream to disable: TableName: {table_name}")))
        }
        (Wanted::Off, None) => {
            let answer = engine_call(region, "UpdateTable", body, Database::update_table).await?;
            description(region, "TableDescription", answer)
        }
        (Wanted::Off, Some(stream)) if region.has_destination(&table_name) => {
            let answer = engine_keeps_recording(region, body).await?;
            disable(region, stream.id).await?;
            description(region, "TableDescription", answer)
        }
        (Wanted::Off, Some(stream)) => {
            let answer = engine_call(region, "UpdateTable", body, Database::update_table).await?;
            disable(region, stream.id).await?;
            description(region, "TableDescription", answer)
        }
        (Wanted::On(view_type), None) => switch_on(region, &table_name, view_type, body).await,
    }
}

/// Makes the other changes of an update that ends a table's stream: a Kinesis destination still needs the records.
async fn engine_keeps_recording(region: &Arc<Region>, mut body: Value) -> Result<Value, AwsError> {
    body["StreamSpecification"] = engine_specification();
    engine_call(region, "UpdateTable", body, Database::update_table).await
}

async fn switch_on(
    region: &Arc<Region>,
    table_name: &str,
    view_type: StreamViewType,
    mut body: Value,
) -> Result<Bytes, AwsError> {
    let described = describe(region, table_name).await?;
    let table_id = described["TableId"].as_str().map(str::to_owned);
    let id = enable(region, table_name, view_type, described["KeySchema"].clone(), table_id.clone()).await?;
    body["StreamSpecification"] = engine_specification();
    match engine_call(region, "UpdateTable", body, Database::update_table).await {
        Ok(answer) => {
            confirm(region, id, table_id).await?;
            description(region, "TableDescription", answer)
        }
        Err(error) => {
            forget(region, id).await?;
            Err(error)
        }
    }
}

/// The engine records both images whatever the caller wants to see.
pub(super) fn engine_specification() -> Value {
    json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"})
}

async fn delete_table(region: &Arc<Region>, body: &Bytes) -> Result<Bytes, AwsError> {
    let body = object(region, "DeleteTable", body)?;
    let table_name = text(&body, "TableName");
    let _alone = region.stop_writers().await;
    region.drain().await.map_err(drain_error)?;
    let current = region.log.catalog().writable(&table_name).cloned();
    let answer = engine_call(region, "DeleteTable", body, Database::delete_table).await?;
    if let Some(stream) = current {
        disable(region, stream.id).await?;
    }
    super::kinesis_destination::forget(region, &table_name).await?;
    super::continuous_backups::forget(region, &table_name)?;
    description(region, "TableDescription", answer)
}

/// Members that the engine would pass over in silence.
const CREATE_TABLE_UNSERVED: [&str; 4] =
    ["WarmThroughput", "ResourcePolicy", "GlobalTableSourceArn", "GlobalTableSettingsReplicationMode"];
const UPDATE_TABLE_UNSERVED: [&str; 7] = [
    "SSESpecification",
    "ReplicaUpdates",
    "MultiRegionConsistency",
    "GlobalTableWitnessUpdates",
    "WarmThroughput",
    "GlobalTableSettingsReplicationMode",
    "DisassociationProtectionEnabled",
];

fn refuse_members(operation: &str, body: &Value, members: &[&str]) -> Result<(), AwsError> {
    match members.iter().find(|member| body.get(**member).is_some_and(|value| !value.is_null())) {
        Some(member) => Err(validation(format!("{operation} with {member} is not served here"))),
        None => Ok(()),
    }
}

async fn exists(region: &Arc<Region>, table_name: &str) -> Result<bool, AwsError> {
    let name = table_name.to_owned();
    let metadata = region.read(move |engine| engine.get_table_metadata(&name)).await;
    let metadata = metadata.map_err(|error| from_engine(region, "DescribeTable", &error))?;
    Ok(metadata.is_some())
}

pub(super) async fn describe(region: &Arc<Region>, table_name: &str) -> Result<Value, AwsError> {
    let body = json!({"TableName": table_name});
    let mut answer = engine_call(region, "DescribeTable", body, Database::describe_table).await?;
    Ok(answer["Table"].take())
}

pub(super) async fn engine_call<Request, Answer>(
    region: &Arc<Region>,
    operation: &str,
    body: Value,
    call: fn(&Database, Request) -> Result<Answer, DynoxideError>,
) -> Result<Value, AwsError>
where
    Request: serde::de::DeserializeOwned + 'static,
    Answer: Serialize + 'static,
{
    let outcome = region.read(move |engine| {
        let answer = call(engine, request::from_value(body)?)?;
        serde_json::to_value(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
    });
    outcome.await.map_err(|error| from_engine(region, operation, &error))
}

pub(super) fn object(region: &Region, operation: &str, body: &[u8]) -> Result<Value, AwsError> {
    let parsed = request::parse(body).and_then(|value: Value| match value {
        Value::Object(_) => Ok(value),
        _ => Err(DynoxideError::SerializationException("Unexpected value type in payload".to_owned())),
    });
    parsed.map_err(|error| from_engine(region, operation, &error))
}

pub(super) fn text(body: &Value, member: &str) -> String {
    body[member].as_str().unwrap_or_default().to_owned()
}
