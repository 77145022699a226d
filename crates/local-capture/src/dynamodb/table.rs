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

use super::error::{from_engine, validation};
use super::request;
use crate::region::Region;
use crate::shard_log::stream::{Stream, StreamStatus, StreamViewType};
use crate::streams::{drain_error, label};

pub(super) async fn change(region: &Arc<Region>, operation: &str, body: &Bytes) -> Result<Bytes, AwsError> {
    match operation {
        "CreateTable" => create_table(region, body).await,
        "UpdateTable" => update_table(region, body).await,
        "DeleteTable" => delete_table(region, body).await,
        _ => Err(super::error::unknown_operation(operation)),
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
    body["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"});
    match engine_call(region, "CreateTable", body, Database::create_table).await {
        Ok(answer) => {
            let table_id = answer["TableDescription"]["TableId"].as_str().map(str::to_owned);
            confirm(region, id, table_id).await?;
            description(region, "TableDescription", answer)
        }
        Err(error) => {
            region.edit(move |edit| edit.remove(id)).await.map_err(drain_error)?;
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
    let mut body = object(region, "UpdateTable", body)?;
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
        (Wanted::Off, Some(stream)) => {
            let answer = engine_call(region, "UpdateTable", body, Database::update_table).await?;
            disable(region, stream.id).await?;
            description(region, "TableDescription", answer)
        }
        (Wanted::On(view_type), None) => {
            let described = describe(region, &table_name).await?;
            let table_id = described["TableId"].as_str().map(str::to_owned);
            let id = enable(region, &table_name, view_type, described["KeySchema"].clone(), table_id.clone()).await?;
            body["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"});
            match engine_call(region, "UpdateTable", body, Database::update_table).await {
                Ok(answer) => {
                    confirm(region, id, table_id).await?;
                    description(region, "TableDescription", answer)
                }
                Err(error) => {
                    region.edit(move |edit| edit.remove(id)).await.map_err(drain_error)?;
                    Err(error)
                }
            }
        }
    }
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

enum Wanted {
    On(StreamViewType),
    Off,
}

fn wanted_stream(body: &Value) -> Result<Option<Wanted>, AwsError> {
    let specification = &body["StreamSpecification"];
    if specification.is_null() {
        return Ok(None);
    }
    match specification["StreamEnabled"].as_bool() {
        Some(false) => Ok(Some(Wanted::Off)),
        Some(true) => match specification["StreamViewType"].as_str() {
            None => Err(validation(
                "Invalid StreamViewType: Stream ViewType must not be null or empty when enabling streams.",
            )),
            Some(view_type) => match StreamViewType::parse(view_type) {
                Some(view_type) => Ok(Some(Wanted::On(view_type))),
                None => Err(validation(format!(
                    "1 validation error detected: Value '{view_type}' at 'streamSpecification.streamViewType' failed to \
                     satisfy constraint: Member must satisfy enum value set: \
                     [NEW_AND_OLD_IMAGES, OLD_IMAGE, KEYS_ONLY, NEW_IMAGE]"
                ))),
            },
        },
        None => Err(validation(
            "1 validation error detected: Value null at 'streamSpecification.streamEnabled' failed to satisfy \
             constraint: Member must not be null",
        )),
    }
}

/// Writes the stream down before the engine is asked to record: no change can come before its stream.
async fn enable(
    region: &Arc<Region>,
    table_name: &str,
    view_type: StreamViewType,
    key_schema: Value,
    table_id: Option<String>,
) -> Result<u64, AwsError> {
    let now_ms = region.ambient.now_ms();
    let catalog = region.log.catalog();
    let id = region.ambient.random();
    let id = (id >> 64) as u64 ^ id as u64;
    let mut stream = Stream {
        id,
        table_name: table_name.to_owned(),
        table_id,
        label: label::free(&catalog, table_name, now_ms),
        view_type,
        key_schema,
        created_ms: now_ms,
        status: StreamStatus::Enabling,
        open_shard_count: region.options.shards_per_table.max(1),
        next_sequence: catalog.next_sequence(table_name),
        shards: Default::default(),
    };
    stream.open_shards(now_ms);
    region.edit(move |edit| edit.insert(stream)).await.map_err(drain_error)?;
    Ok(id)
}

async fn confirm(region: &Arc<Region>, id: u64, table_id: Option<String>) -> Result<(), AwsError> {
    let confirm = move |edit: &mut crate::shard_log::catalog::Edit| {
        if let Some(stream) = edit.change(id) {
            stream.table_id = table_id;
            stream.status = StreamStatus::Enabled;
        }
    };
    region.edit(confirm).await.map_err(drain_error)
}

async fn disable(region: &Arc<Region>, id: u64) -> Result<(), AwsError> {
    let now_ms = region.ambient.now_ms();
    let disable = move |edit: &mut crate::shard_log::catalog::Edit| {
        if let Some(stream) = edit.change(id) {
            stream.disable(now_ms);
        }
    };
    region.edit(disable).await.map_err(drain_error)
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

/// Puts our ARNs and our stream into the engine's description of a table.
fn description(region: &Region, member: &str, mut answer: Value) -> Result<Bytes, AwsError> {
    let table = &mut answer[member];
    localise(region, &mut table["TableArn"]);
    for indexes in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes", "VectorIndexes"] {
        let Some(indexes) = table.get_mut(indexes).and_then(Value::as_array_mut) else { continue };
        for index in indexes {
            localise(region, &mut index["IndexArn"]);
        }
    }
    if let Some(key) = table.get_mut("SSEDescription").and_then(|sse| sse.get_mut("KMSMasterKeyArn")) {
        localise(region, key);
    }
    let Some(table) = table.as_object_mut() else { return Ok(render(&answer)) };
    for member in ["StreamSpecification", "LatestStreamArn", "LatestStreamLabel"] {
        table.remove(member);
    }
    let table_name = table["TableName"].as_str().unwrap_or_default();
    let table_id = table.get("TableId").and_then(Value::as_str);
    if let Some(stream) = region.log.catalog().latest(table_name, table_id).cloned() {
        table.insert("LatestStreamArn".to_owned(), stream.arn(&region.account, &region.name).into());
        table.insert("LatestStreamLabel".to_owned(), stream.label.clone().into());
        if stream.is_writable() {
            let specification = json!({"StreamEnabled": true, "StreamViewType": stream.view_type.as_str()});
            table.insert("StreamSpecification".to_owned(), specification);
        }
    }
    Ok(render(&answer))
}

fn render(answer: &Value) -> Bytes {
    Bytes::from(answer.to_string())
}

/// Replaces the engine's region and account in an ARN.
fn localise(region: &Region, arn: &mut Value) {
    let Some(text) = arn.as_str() else { return };
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    if let [arn_word, partition, service, engine_region, _, resource] = parts[..]
        && engine_region == dynoxide::streams::LOCAL_REGION
    {
        let Region { name, account, .. } = region;
        *arn = format!("{arn_word}:{partition}:{service}:{name}:{account}:{resource}").into();
    }
}
