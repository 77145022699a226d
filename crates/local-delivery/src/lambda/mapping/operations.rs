//! CreateEventSourceMapping, GetEventSourceMapping, ListEventSourceMappings, UpdateEventSourceMapping,
//! DeleteEventSourceMapping.

use aws_wire::AwsError;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::change::{CHANGE, MappingChange};
use super::event_source_mapping::{Mapping, MappingSettings, SourceKind};
use super::stream;
use super::stream_service::Stream;
use crate::lambda::error;
use crate::lambda::functions::find;
use crate::lambda::request::{Answer, Call, json, ok};
use crate::lambda::service::{Service, blocking};

const PAGE_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateRequest {
    function_name: String,
    event_source_arn: Option<String>,
    starting_position: Option<String>,
    /// Seconds since the Unix epoch.
    starting_position_timestamp: Option<f64>,
    #[serde(flatten)]
    change: MappingChange,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateRequest {
    function_name: Option<String>,
    #[serde(flatten)]
    change: MappingChange,
}

pub(crate) async fn create(service: &Service, call: &Call) -> Answer {
    let own = ["FunctionName", "EventSourceArn", "StartingPosition", "StartingPositionTimestamp"];
    let served: Vec<&str> = own.into_iter().chain(CHANGE).collect();
    let request: CreateRequest = call.body(&served)?;
    let arn = request.event_source_arn.ok_or_else(|| error::invalid("EventSourceArn is required"))?;
    let source = SourceKind::of_arn(&arn)?;
    check_starting_position(source, request.starting_position.as_deref())?;
    let now_ms = service.ambient.now_ms();
    let position = request.starting_position.as_deref();
    let starting_timestamp_ms = starting_timestamp_ms(position, request.starting_position_timestamp, now_ms)?;
    let mut settings = MappingSettings::default_of(source);
    request.change.apply(source, &mut settings)?;
    let function = find(service, call, &request.function_name)?;
    let mapping = Mapping {
        uuid: service.ambient.uuid().to_string(),
        function: function.name,
        source_arn: arn,
        starting_position: request.starting_position,
        starting_timestamp_ms,
        settings,
        last_modified_ms: now_ms,
        revision_id: service.ambient.uuid().to_string(),
    };
    match source {
        SourceKind::DynamoDbStream | SourceKind::KinesisStream => {
            Stream::of(service, &call.region, &mapping).check().await?;
        }
        SourceKind::Queue { .. } => drop(service.neighbours.queue_url(&call.region, &mapping.source_arn).await?),
    }
    if mapping.starting_position.as_deref() == Some("LATEST") {
        // From here on nothing is missed, whenever the poller comes to it.
        stream::begin_at_latest(service, &call.region, &mapping).await?;
    }
    let shown = mapping.configuration(&call.region, "Creating", "No records processed");
    let (owned, region) = (service.clone(), call.region.clone());
    blocking(move || {
        refuse_duplicate(&owned, &region.key(), &mapping)?;
        Ok(owned.store.put(&region.key(), &mapping.uuid, &mapping)?)
    })
    .await?;
    service.mappings.wake();
    json(StatusCode::ACCEPTED, &shown)
}

pub(crate) fn get(service: &Service, call: &Call, uuid: &str) -> Answer {
    let mapping: Mapping = service.store.get(&call.region.key(), uuid)?.ok_or_else(not_found)?;
    ok(&mapping.configuration(&call.region, mapping.state(), &service.mappings.last_result(uuid)))
}

pub(crate) fn list(service: &Service, call: &Call) -> Answer {
    let (after, count_max) = call.page(PAGE_MAX)?;
    let function = call.parameter("FunctionName").map(|name| find(service, call, name)).transpose()?;
    let mut mappings: Vec<Mapping> = service.store.list(&call.region.key())?;
    mappings.retain(|mapping| {
        function.as_ref().is_none_or(|function| function.name == mapping.function)
            && call.parameter("EventSourceArn").is_none_or(|arn| arn == mapping.source_arn)
            && after.is_none_or(|after| mapping.uuid.as_str() > after)
    });
    let has_more = mappings.len() > count_max;
    mappings.truncate(count_max);
    let shown = mappings.iter().map(|mapping| {
        mapping.configuration(&call.region, mapping.state(), &service.mappings.last_result(&mapping.uuid))
    });
    let mut answer = json!({ "EventSourceMappings": shown.collect::<Vec<_>>() });
    if let Some(last) = mappings.last().filter(|_| has_more) {
        answer["NextMarker"] = last.uuid.as_str().into();
    }
    ok(&answer)
}

pub(crate) fn update(service: &Service, call: &Call, uuid: &str) -> Answer {
    let served: Vec<&str> = ["FunctionName"].into_iter().chain(CHANGE).collect();
    let request: UpdateRequest = call.body(&served)?;
    let function = request.function_name.map(|name| find(service, call, &name)).transpose()?;
    let changed = service.store.update(&call.region.key(), uuid, |mapping: &mut Mapping| {
        request.change.apply(mapping.source()?, &mut mapping.settings)?;
        if let Some(function) = function {
            mapping.function = function.name;
        }
        mapping.last_modified_ms = service.ambient.now_ms();
        mapping.revision_id = service.ambient.uuid().to_string();
        Ok::<(), AwsError>(())
    })?;
    let mapping = changed.ok_or_else(not_found)?;
    service.mappings.wake();
    json(StatusCode::ACCEPTED, &mapping.configuration(&call.region, "Updating", &service.mappings.last_result(uuid)))
}

pub(crate) fn delete(service: &Service, call: &Call, uuid: &str) -> Answer {
    let mapping: Mapping = service.store.get(&call.region.key(), uuid)?.ok_or_else(not_found)?;
    service.store.delete::<Mapping>(&call.region.key(), uuid)?;
    service.mappings.wake();
    let last_result = service.mappings.last_result(uuid);
    json(StatusCode::ACCEPTED, &mapping.configuration(&call.region, "Deleting", &last_result))
}

fn check_starting_position(source: SourceKind, position: Option<&str>) -> Result<(), AwsError> {
    match (source, position) {
        (SourceKind::DynamoDbStream, Some("TRIM_HORIZON" | "LATEST"))
        | (SourceKind::KinesisStream, Some("TRIM_HORIZON" | "LATEST" | "AT_TIMESTAMP"))
        | (SourceKind::Queue { .. }, None) => Ok(()),
        (SourceKind::DynamoDbStream | SourceKind::KinesisStream, None) => {
            Err(error::constraint("null", "startingPosition", "Member must not be null"))
        }
        (SourceKind::DynamoDbStream, Some(other)) => {
            Err(error::invalid(format!("Unsupported starting position for stream type DynamoDB: {other}")))
        }
        (SourceKind::KinesisStream, Some(other)) => {
            let rule = "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]";
            Err(error::constraint(other, "startingPosition", rule))
        }
        (SourceKind::Queue { .. }, Some(_)) => {
            Err(error::invalid("StartingPosition is not valid for SQS event sources."))
        }
    }
}

/// The moment that AT_TIMESTAMP means, and no other position has.
fn starting_timestamp_ms(
    position: Option<&str>,
    timestamp_s: Option<f64>,
    now_ms: i64,
) -> Result<Option<i64>, AwsError> {
    let at_ms = timestamp_s.map(|seconds| (seconds * 1000.0) as i64);
    match (position, at_ms) {
        (Some("AT_TIMESTAMP"), None) => {
            Err(error::invalid("StartingPosition AT_TIMESTAMP needs a StartingPositionTimestamp"))
        }
        (Some("AT_TIMESTAMP"), Some(at_ms)) if at_ms > now_ms => {
            Err(error::invalid("StartingPositionTimestamp cannot be in the future"))
        }
        (Some("AT_TIMESTAMP"), at_ms) => Ok(at_ms),
        (_, Some(_)) => Err(error::invalid("StartingPositionTimestamp is for StartingPosition AT_TIMESTAMP")),
        (_, None) => Ok(None),
    }
}

/// A function reads a source once.
fn refuse_duplicate(service: &Service, region: &str, mapping: &Mapping) -> Result<(), AwsError> {
    let existing = service.store.list::<Mapping>(region)?;
    let is_same = |other: &&Mapping| other.source_arn == mapping.source_arn && other.function == mapping.function;
    match existing.iter().find(is_same) {
        None => Ok(()),
        Some(other) => Err(error::conflict(format!(
            "The event source arn (\" {} \") and function (\" {} \") provided mapping already exists. Please update or \
             delete the existing mapping with UUID {}",
            mapping.source_arn, mapping.function, other.uuid
        ))),
    }
}

fn not_found() -> AwsError {
    error::not_found("The resource you requested does not exist.")
}
