//! UpdateDestination and DeleteDeliveryStream.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::firehose::error::{self, Result};
use crate::firehose::stream::{Address, DESTINATION_ID, DeliveryStream, Destination};
use crate::firehose::{Call, bells, create};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    delivery_stream_name: String,
    current_delivery_stream_version_id: String,
    destination_id: String,
    iceberg_destination_update: Option<Map<String, Value>>,
    extended_s3_destination_update: Option<Map<String, Value>>,
    s3_destination_update: Option<Map<String, Value>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Delete {
    delivery_stream_name: String,
    /// Nothing here keeps a grant that could be in the way.
    #[serde(default, rename = "AllowForceDelete")]
    _allow_force_delete: bool,
}

/// Members that are given replace those that were there; records that are on their way go where they were routed.
pub(super) async fn update(call: &Call<'_>) -> Result<Value> {
    let request: Update = call.parse()?;
    if let Some(other) = request.others.keys().next() {
        return Err(error::not_served(other, "IcebergDestinationUpdate or ExtendedS3DestinationUpdate"));
    }
    let address = Address::of(call.caller, &request.delivery_stream_name)?;
    let now_ms = call.now_ms();
    let updated = call.firehose.store.run(move |connection| {
        let mut stream = DeliveryStream::get(connection, &address)?;
        let version = stream.document.version.to_string();
        if request.current_delivery_stream_version_id != version {
            return Err(error::concurrent_modification(format!(
                "Cannot update firehose {} since the current version id {version} and specified version id {} do not \
                 match",
                address.name, request.current_delivery_stream_version_id
            )));
        }
        if request.destination_id != DESTINATION_ID {
            let message = format!("Destination Id {} not found", request.destination_id);
            return Err(error::invalid(message));
        }
        let changed = changed(&stream.document.destination, &request)?;
        let is_objects = matches!(changed, Destination::S3 { .. });
        if is_objects && stream.document.destination.backup().is_some() && changed.backup().is_none() {
            return Err(error::invalid("S3BackupMode cannot be changed to Disabled once it is Enabled"));
        }
        if changed != stream.document.destination {
            stream.document.destination = changed;
        }
        stream.document.version += 1;
        stream.document.updated_ms = Some(now_ms);
        stream.save(connection)?;
        Ok(stream.number)
    });
    let number = updated.await?;
    call.firehose.bells.ring(number);
    call.firehose.bells.ring(bells::CHANGES);
    Ok(json!({}))
}

fn changed(destination: &Destination, update: &Update) -> Result<Destination> {
    let given =
        (&update.iceberg_destination_update, &update.extended_s3_destination_update, &update.s3_destination_update);
    match (destination, given) {
        (Destination::Iceberg(settings), (Some(update), None, None)) => {
            create::iceberg_of(merged(json!(settings), update))
        }
        (Destination::S3 { settings, is_extended }, (None, Some(update), None)) => {
            let mut update = update.clone();
            if let Some(backup) = update.remove("S3BackupUpdate") {
                update.insert("S3BackupConfiguration".to_owned(), backup);
            }
            create::s3_of(merged(json!(settings), &update), *is_extended || !update.is_empty())
        }
        (Destination::S3 { settings, is_extended }, (None, None, Some(update))) => {
            create::s3_of(merged(json!(settings), update), *is_extended)
        }
        (_, (None, None, None)) => Err(error::invalid("exactly one destination update must be given; there is none")),
        _ => Err(error::not_served("a change of the kind of destination", "another delivery stream")),
    }
}

/// The places of objects are merged member by member, everything else is replaced whole.
fn merged(mut settings: Value, update: &Map<String, Value>) -> Value {
    for (name, value) in update {
        let is_place = matches!(name.as_str(), "S3Configuration" | "S3BackupConfiguration");
        match (is_place, settings.get(name), value) {
            (true, Some(before @ Value::Object(_)), Value::Object(members)) => {
                settings[name] = merged(before.clone(), members);
            }
            _ => settings[name] = value.clone(),
        }
    }
    settings
}

/// What is on its way is lost, as on AWS.
pub(super) async fn delete(call: &Call<'_>) -> Result<Value> {
    let request: Delete = call.parse()?;
    let address = Address::of(call.caller, &request.delivery_stream_name)?;
    let deleted = call.firehose.store.run(move |connection| {
        let stream = DeliveryStream::get(connection, &address)?;
        connection.execute("DELETE FROM delivery_stream WHERE number = ?", [stream.number])?;
        Ok(stream.number)
    });
    let number = deleted.await?;
    call.firehose.bells.ring(number);
    call.firehose.bells.ring(bells::CHANGES);
    Ok(json!({}))
}
