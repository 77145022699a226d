//! The Kinesis streaming destinations of tables: enabled, shown, changed and disabled.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use dynoxide::Database;
use serde_json::{Value, json};

use super::error::{unknown_operation, validation};
use super::table::{describe, engine_call, engine_specification, object, text};
use crate::kinesis::destination::{Destination, DestinationStatus, Precision};
use crate::kinesis::stream_name_of;
use crate::region::Region;
use crate::streams::drain_error;

/// Streams that a table's changes can go to at one time.
const DESTINATIONS_MAX: usize = 2;

pub(super) async fn change(region: &Arc<Region>, operation: &str, body: &Bytes) -> Result<Bytes, AwsError> {
    let body = object(region, operation, body)?;
    let table_name = text(&body, "TableName");
    let _alone = region.stop_writers().await;
    let table = describe(region, &table_name).await?;
    let table_name = text(&table, "TableName");
    // What was written before belongs to the destinations as they were.
    region.drain().await.map_err(drain_error)?;
    match operation {
        "EnableKinesisStreamingDestination" => enable(region, &table_name, &table, &body).await,
        "DisableKinesisStreamingDestination" => disable(region, &table_name, &body).await,
        "UpdateKinesisStreamingDestination" => update(region, &table_name, &body).await,
        _ => Err(unknown_operation(operation)),
    }
}

pub(super) async fn describe_destinations(region: &Arc<Region>, body: &Bytes) -> Result<Bytes, AwsError> {
    let body = object(region, "DescribeKinesisStreamingDestination", body)?;
    let table = describe(region, &text(&body, "TableName")).await?;
    let table_name = text(&table, "TableName");
    let catalog = region.kinesis.catalog();
    let shown = |destination: &Destination| {
        let is_gone = !catalog.streams.contains_key(&destination.stream);
        let mut shown = json!({
            "StreamArn": destination.stream_arn,
            "DestinationStatus": if is_gone { "DISABLED" } else { status(destination.status) },
            "ApproximateCreationDateTimePrecision": destination.precision.as_str(),
        });
        if is_gone {
            shown["DestinationStatusDescription"] = "The Kinesis stream was deleted".into();
        }
        shown
    };
    let of_table = catalog.destinations.iter().filter(|destination| destination.table_name == table_name);
    let answer = json!({
        "TableName": table_name,
        "KinesisDataStreamDestinations": of_table.map(shown).collect::<Vec<Value>>(),
    });
    Ok(Bytes::from(answer.to_string()))
}

async fn enable(region: &Arc<Region>, table_name: &str, table: &Value, body: &Value) -> Result<Bytes, AwsError> {
    let precision = precision(body, "EnableKinesisStreamingConfiguration")?.unwrap_or_default();
    let stream_arn = text(body, "StreamArn");
    let stream_name = stream_name_of(region, &stream_arn)?;
    let catalog = region.kinesis.catalog();
    let stream = catalog.named(stream_name).ok_or_else(|| {
        let message = format!("Requested resource not found: Stream: {stream_arn} not found");
        AwsError::bad_request("ResourceNotFoundException", message)
    })?;
    let mut active = catalog
        .destinations
        .iter()
        .filter(|destination| destination.takes(table_name) && catalog.streams.contains_key(&destination.stream));
    if active.clone().any(|destination| destination.stream == stream.id) {
        return Err(validation(
            "Table is not in a valid state to enable Kinesis Streaming Destination: \
             EnableKinesisStreamingDestination must be DISABLED or ENABLE_FAILED to perform ENABLE operation.",
        ));
    }
    if active.nth(DESTINATIONS_MAX - 1).is_some() {
        let message = format!("Table {table_name} has {DESTINATIONS_MAX} Kinesis streaming destinations already");
        return Err(AwsError::bad_request("LimitExceededException", message));
    }
    let destination = Destination {
        table_name: table_name.to_owned(),
        table_id: table["TableId"].as_str().map(str::to_owned),
        stream: stream.id,
        stream_arn: stream_arn.clone(),
        precision,
        status: DestinationStatus::Enabling,
    };
    // Written down before the engine records: no change can come before its destination.
    set(region, destination.clone()).await?;
    if !table["StreamSpecification"]["StreamEnabled"].as_bool().unwrap_or(false) {
        let update = json!({"TableName": table_name, "StreamSpecification": engine_specification()});
        if let Err(error) = engine_call(region, "UpdateTable", update, Database::update_table).await {
            set(region, Destination { status: DestinationStatus::Disabled, ..destination }).await?;
            return Err(error);
        }
    }
    set(region, Destination { status: DestinationStatus::Active, ..destination }).await?;
    Ok(answer(table_name, &stream_arn, "ENABLING", "EnableKinesisStreamingConfiguration", precision))
}

async fn disable(region: &Arc<Region>, table_name: &str, body: &Value) -> Result<Bytes, AwsError> {
    precision(body, "EnableKinesisStreamingConfiguration")?;
    let destination = find_active(region, table_name, &text(body, "StreamArn"), "DISABLE")?;
    let (stream_arn, precision) = (destination.stream_arn.clone(), destination.precision);
    set(region, Destination { status: DestinationStatus::Disabled, ..destination }).await?;
    if !region.is_recorded(table_name) {
        let update = json!({"TableName": table_name, "StreamSpecification": {"StreamEnabled": false}});
        engine_call(region, "UpdateTable", update, Database::update_table).await?;
    }
    Ok(answer(table_name, &stream_arn, "DISABLING", "EnableKinesisStreamingConfiguration", precision))
}

async fn update(region: &Arc<Region>, table_name: &str, body: &Value) -> Result<Bytes, AwsError> {
    let destination = find_active(region, table_name, &text(body, "StreamArn"), "UPDATE")?;
    let precision = precision(body, "UpdateKinesisStreamingConfiguration")?;
    let precision = precision.filter(|precision| *precision != destination.precision).ok_or_else(|| {
        validation("UpdateKinesisStreamingConfiguration must change the ApproximateCreationDateTimePrecision")
    })?;
    let stream_arn = destination.stream_arn.clone();
    set(region, Destination { precision, ..destination }).await?;
    Ok(answer(table_name, &stream_arn, "UPDATING", "UpdateKinesisStreamingConfiguration", precision))
}

fn find_active(region: &Region, table_name: &str, stream_arn: &str, operation: &str) -> Result<Destination, AwsError> {
    let catalog = region.kinesis.catalog();
    let is_it = |destination: &&Destination| destination.takes(table_name) && destination.stream_arn == stream_arn;
    catalog.destinations.iter().find(is_it).cloned().ok_or_else(|| {
        validation(format!(
            "Table is not in a valid state to change its Kinesis Streaming Destination: \
             the destination must be ACTIVE to perform {operation} operation."
        ))
    })
}

/// Makes `destination` the one of its table and stream.
async fn set(region: &Arc<Region>, destination: Destination) -> Result<(), AwsError> {
    region
        .kinesis
        .edit(move |draft| {
            draft.set_destination(destination);
            Ok(())
        })
        .await
}

/// Forgets the destinations of a table that was deleted.
pub(super) async fn forget(region: &Arc<Region>, table_name: &str) -> Result<(), AwsError> {
    if !region.kinesis.catalog().destinations.iter().any(|destination| destination.table_name == table_name) {
        return Ok(());
    }
    let table_name = table_name.to_owned();
    region
        .kinesis
        .edit(move |draft| {
            draft.retain_destinations(|destination| destination.table_name != table_name);
            Ok(())
        })
        .await
}

fn precision(body: &Value, member: &str) -> Result<Option<Precision>, AwsError> {
    match body[member]["ApproximateCreationDateTimePrecision"].as_str() {
        None => Ok(None),
        Some("MILLISECOND") => Ok(Some(Precision::Millisecond)),
        Some("MICROSECOND") => Ok(Some(Precision::Microsecond)),
        Some(other) => Err(validation(format!(
            "1 validation error detected: Value '{other}' at 'approximateCreationDateTimePrecision' failed to satisfy \
             constraint: Member must satisfy enum value set: [MILLISECOND, MICROSECOND]"
        ))),
    }
}

fn status(status: DestinationStatus) -> &'static str {
    match status {
        DestinationStatus::Enabling => "ENABLING",
        DestinationStatus::Active => "ACTIVE",
        DestinationStatus::Disabled => "DISABLED",
    }
}

fn answer(table_name: &str, stream_arn: &str, status: &str, member: &str, precision: Precision) -> Bytes {
    let mut answer = json!({"TableName": table_name, "StreamArn": stream_arn, "DestinationStatus": status});
    answer[member] = json!({"ApproximateCreationDateTimePrecision": precision.as_str()});
    Bytes::from(answer.to_string())
}
