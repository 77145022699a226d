//! DescribeDeliveryStream and ListDeliveryStreams.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::firehose::Call;
use crate::firehose::error::{self, Result};
use crate::firehose::stream::{Address, DESTINATION_ID, DeliveryStream, Destination, Source};

const LISTED_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Describe {
    delivery_stream_name: String,
    limit: Option<usize>,
    exclusive_start_destination_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct List {
    limit: Option<usize>,
    delivery_stream_type: Option<String>,
    exclusive_start_delivery_stream_name: Option<String>,
}

pub(super) async fn describe(call: &Call<'_>) -> Result<Value> {
    let request: Describe = call.parse()?;
    if request.limit.is_some_and(|limit| !(1..=10_000).contains(&limit)) {
        return Err(error::invalid("Limit must be between 1 and 10000"));
    }
    let address = Address::of(call.caller, &request.delivery_stream_name)?;
    let found = call.firehose.store.run(move |connection| {
        let stream = DeliveryStream::get(connection, &address)?;
        let sql = "SELECT problem FROM lane WHERE stream = ? AND problem IS NOT NULL ORDER BY number LIMIT 1";
        let mut statement = connection.prepare_cached(sql)?;
        let problem: Option<String> = statement.query_map([stream.number], |row| row.get(0))?.next().transpose()?;
        Ok((stream, problem))
    });
    let (stream, problem) = found.await?;
    let mut description = description(&stream);
    if request.exclusive_start_destination_id.as_deref().is_some_and(|after| after >= DESTINATION_ID) {
        description["Destinations"] = json!([]);
    }
    // AWS tells here why a delivery stream could not be made. Ours also tells what its deliveries wait for.
    if let Some(problem) = problem {
        description["FailureDescription"] = json!({ "Type": "UNKNOWN_ERROR", "Details": problem });
    }
    Ok(json!({ "DeliveryStreamDescription": description }))
}

fn description(stream: &DeliveryStream) -> Value {
    let document = &stream.document;
    let mut description = json!({
        "DeliveryStreamName": stream.address.name,
        "DeliveryStreamARN": stream.address.arn(),
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamEncryptionConfiguration": document.encryption,
        "DeliveryStreamType": type_of(&document.source),
        "VersionId": document.version.to_string(),
        "CreateTimestamp": seconds(document.created_ms),
        "HasMoreDestinations": false,
    });
    if let Some(updated_ms) = document.updated_ms {
        description["LastUpdateTimestamp"] = seconds(updated_ms);
    }
    match &document.source {
        Source::DirectPut { throughput_hint_mbs: Some(hint) } => {
            description["Source"] = json!({ "DirectPutSourceDescription": { "ThroughputHintInMBs": hint } });
        }
        Source::DirectPut { .. } => {}
        Source::Kinesis { stream_arn, role_arn } => {
            description["Source"] = json!({ "KinesisStreamSourceDescription": {
                "KinesisStreamARN": stream_arn,
                "RoleARN": role_arn,
                "DeliveryStartTimestamp": seconds(document.created_ms),
            }});
        }
    }
    let mut destination = match &document.destination {
        Destination::Iceberg(settings) => {
            let mut settings = json!(settings);
            let s3 = settings.as_object_mut().and_then(|members| members.remove("S3Configuration"));
            settings["S3DestinationDescription"] = s3.unwrap_or_default();
            json!({ "IcebergDestinationDescription": settings })
        }
        Destination::S3 { settings, is_extended } => {
            let mut settings = json!(settings);
            if let Some(backup) = settings.as_object_mut().and_then(|members| members.remove("S3BackupConfiguration")) {
                settings["S3BackupDescription"] = backup;
            }
            match is_extended {
                true => json!({ "ExtendedS3DestinationDescription": settings }),
                false => json!({ "S3DestinationDescription": settings }),
            }
        }
    };
    destination["DestinationId"] = DESTINATION_ID.into();
    description["Destinations"] = json!([destination]);
    description
}

fn type_of(source: &Source) -> &'static str {
    match source {
        Source::DirectPut { .. } => "DirectPut",
        Source::Kinesis { .. } => "KinesisStreamAsSource",
    }
}

/// As the JSON protocol writes times.
fn seconds(time_ms: i64) -> Value {
    json!(time_ms as f64 / 1_000.0)
}

pub(super) async fn list(call: &Call<'_>) -> Result<Value> {
    let request: List = call.parse()?;
    let limit = request.limit.unwrap_or(10);
    if !(1..=LISTED_MAX).contains(&limit) {
        return Err(error::invalid(format!("Limit must be between 1 and {LISTED_MAX}")));
    }
    let streams = call.firehose.store.run(DeliveryStream::list).await?;
    let after = request.exclusive_start_delivery_stream_name.unwrap_or_default();
    let is_wanted = |stream: &DeliveryStream| {
        stream.address.account == call.caller.identity.account_id
            && stream.address.region == call.caller.region
            && stream.address.name > after
            && request.delivery_stream_type.as_deref().is_none_or(|kind| kind == type_of(&stream.document.source))
    };
    let mut names: Vec<String> =
        streams.into_iter().filter(|stream| is_wanted(stream)).map(|stream| stream.address.name).collect();
    names.sort();
    let has_more = names.len() > limit;
    names.truncate(limit);
    Ok(json!({ "DeliveryStreamNames": names, "HasMoreDeliveryStreams": has_more }))
}
