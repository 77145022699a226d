//! A stream's retention, mode, encryption, monitoring and record size.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::error::{invalid_argument, stream_not_found, validation, within};
use super::log::horizon;
use super::stream::Stream;
use super::streams::StreamModeDetails;
use super::{Named, answer, nothing};
use crate::region::Region;

const RETENTION_HOURS_MIN: i64 = 24;
const RETENTION_HOURS_MAX: i64 = 8_760;
const SHARD_LEVEL_METRICS: [&str; 7] = [
    "IncomingBytes",
    "IncomingRecords",
    "IteratorAgeMilliseconds",
    "OutgoingBytes",
    "OutgoingRecords",
    "ReadProvisionedThroughputExceeded",
    "WriteProvisionedThroughputExceeded",
];

/// Changes the stream as it is when its turn comes.
pub(super) async fn change<T: Send + 'static>(
    region: &Arc<Region>,
    stream: &Stream,
    change: impl FnOnce(&mut Stream) -> Result<T, AwsError> + Send + 'static,
) -> Result<T, AwsError> {
    let (id, gone) = (stream.id, stream_not_found(region, &stream.name));
    region
        .kinesis
        .edit(move |draft| {
            let mut stream = (**draft.catalog.streams.get(&id).ok_or(gone)?).clone();
            let value = change(&mut stream)?;
            draft.insert(stream);
            Ok(value)
        })
        .await
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Retention {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    retention_period_hours: i64,
}

pub(super) async fn increase_retention(region: &Arc<Region>, request: Retention) -> Result<Bytes, AwsError> {
    let hours = check_hours(request.retention_period_hours)?;
    let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
    let now_ms = region.ambient.now_ms();
    change(region, &stream, move |stream| {
        if stream.retention_hours > hours {
            return Err(invalid_argument(format!(
                "Requested retention period ({hours} hours) for stream {} can not be shorter than existing retention \
                 period ({} hours). Use DecreaseRetentionPeriod API.",
                stream.name, stream.retention_hours
            )));
        }
        // What has expired stays expired.
        stream.trimmed_before = horizon(stream, now_ms);
        stream.retention_hours = hours;
        Ok(())
    })
    .await?;
    Ok(nothing())
}

pub(super) async fn decrease_retention(region: &Arc<Region>, request: Retention) -> Result<Bytes, AwsError> {
    let hours = check_hours(request.retention_period_hours)?;
    let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
    let now_ms = region.ambient.now_ms();
    change(region, &stream, move |stream| {
        if stream.retention_hours < hours {
            return Err(invalid_argument(format!(
                "Requested retention period ({hours} hours) for stream {} can not be longer than existing retention \
                 period ({} hours). Use IncreaseRetentionPeriod API.",
                stream.name, stream.retention_hours
            )));
        }
        stream.retention_hours = hours;
        stream.trimmed_before = horizon(stream, now_ms);
        Ok(())
    })
    .await?;
    Ok(nothing())
}

fn check_hours(hours: i64) -> Result<u32, AwsError> {
    let fails = |bound: &str, word: &str| {
        Err(invalid_argument(format!("{bound} hours. Requested retention period ({hours} hours) is too {word}.")))
    };
    match hours {
        ..RETENTION_HOURS_MIN => fails("Minimum allowed retention period is 24", "short"),
        RETENTION_HOURS_MIN..=RETENTION_HOURS_MAX => Ok(hours as u32),
        _ => fails("Maximum allowed retention period is 8760", "long"),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateMode {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    stream_mode_details: StreamModeDetails,
}

pub(super) async fn update_mode(region: &Arc<Region>, request: UpdateMode) -> Result<Bytes, AwsError> {
    let stream = Named::new(None, Some(request.stream_arn)).find(region)?;
    let mode = request.stream_mode_details.stream_mode;
    change(region, &stream, move |stream| {
        stream.mode = mode;
        Ok(())
    })
    .await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UpdateRecordSize {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_size_in_ki_b: i64,
}

pub(super) async fn update_record_size(region: &Arc<Region>, request: UpdateRecordSize) -> Result<Bytes, AwsError> {
    let kib_max = within("maxRecordSizeInKiB", request.max_record_size_in_ki_b, 1024, 10_240)?;
    let stream = Named::new(None, Some(request.stream_arn)).find(region)?;
    change(region, &stream, move |stream| {
        stream.settings.record_kib_max = kib_max as u32;
        Ok(())
    })
    .await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Encryption {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    encryption_type: String,
    key_id: String,
}

pub(super) async fn start_encryption(region: &Arc<Region>, request: Encryption) -> Result<Bytes, AwsError> {
    check_kms(&request)?;
    set_encryption(region, Named::new(request.stream_name, request.stream_arn), Some(request.key_id)).await
}

pub(super) async fn stop_encryption(region: &Arc<Region>, request: Encryption) -> Result<Bytes, AwsError> {
    check_kms(&request)?;
    set_encryption(region, Named::new(request.stream_name, request.stream_arn), None).await
}

fn check_kms(request: &Encryption) -> Result<(), AwsError> {
    match request.encryption_type.as_str() {
        "KMS" if (1..=2048).contains(&request.key_id.len()) => Ok(()),
        "KMS" => {
            Err(validation("Value at 'keyId' failed to satisfy constraint: Member must have length from 1 to 2048"))
        }
        "NONE" => Err(invalid_argument("EncryptionType must be KMS")),
        other => Err(validation(format!(
            "Value '{other}' at 'encryptionType' failed to satisfy constraint: Member must satisfy enum value set: \
             [NONE, KMS]"
        ))),
    }
}

async fn set_encryption(region: &Arc<Region>, named: Named, key: Option<String>) -> Result<Bytes, AwsError> {
    let stream = named.find(region)?;
    change(region, &stream, move |stream| {
        stream.settings.encryption_key = key;
        Ok(())
    })
    .await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Monitoring {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_level_metrics: Vec<String>,
}

pub(super) async fn enable_monitoring(region: &Arc<Region>, request: Monitoring) -> Result<Bytes, AwsError> {
    set_monitoring(region, request, |current, asked| current.union(asked).cloned().collect()).await
}

pub(super) async fn disable_monitoring(region: &Arc<Region>, request: Monitoring) -> Result<Bytes, AwsError> {
    set_monitoring(region, request, |current, asked| current.difference(asked).cloned().collect()).await
}

async fn set_monitoring(
    region: &Arc<Region>,
    request: Monitoring,
    desired: fn(&BTreeSet<String>, &BTreeSet<String>) -> BTreeSet<String>,
) -> Result<Bytes, AwsError> {
    let asked = metrics(request.shard_level_metrics)?;
    let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
    let (before, after) = change(region, &stream, move |stream| {
        let before = stream.settings.shard_level_metrics.clone();
        stream.settings.shard_level_metrics = desired(&before, &asked);
        Ok((before, stream.settings.shard_level_metrics.clone()))
    })
    .await?;
    Ok(answer(&json!({
        "StreamName": stream.name,
        "StreamARN": stream.arn(&region.account, &region.name),
        "CurrentShardLevelMetrics": before,
        "DesiredShardLevelMetrics": after,
    })))
}

fn metrics(names: Vec<String>) -> Result<BTreeSet<String>, AwsError> {
    if names.is_empty() {
        return Err(validation(
            "Value '[]' at 'shardLevelMetrics' failed to satisfy constraint: Member must not be empty",
        ));
    }
    let mut metrics = BTreeSet::new();
    for name in names {
        match name.as_str() {
            "ALL" => metrics.extend(SHARD_LEVEL_METRICS.map(str::to_owned)),
            known if SHARD_LEVEL_METRICS.contains(&known) => drop(metrics.insert(name)),
            other => {
                return Err(validation(format!(
                    "Value '[{other}]' at 'shardLevelMetrics' failed to satisfy constraint: Member must satisfy enum \
                     value set: [{}, ALL]",
                    SHARD_LEVEL_METRICS.join(", ")
                )));
            }
        }
    }
    Ok(metrics)
}
