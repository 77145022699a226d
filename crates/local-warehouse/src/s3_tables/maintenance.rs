//! Put- and GetTableMaintenanceConfiguration, Put- and GetTableBucketMaintenanceConfiguration,
//! GetTableMaintenanceJobStatus.

use std::ops::RangeInclusive;

use aws_wire::AwsError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::catalog::{MaintenanceRun, TableBucketArn};
use crate::maintenance::{Compaction, CompactionStrategy, MaintenanceJob, SnapshotManagement, UnreferencedFileRemoval};
use crate::s3_tables::tables::table_name;
use crate::s3_tables::{Answer, Call, date_time, error, no_content, ok};

const TARGET_FILE_SIZE_MB: RangeInclusive<i64> = 64..=512;
/// The `PositiveInteger` of the API.
const POSITIVE: RangeInclusive<i64> = 1..=i32::MAX as i64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutRequest {
    value: ConfigurationValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigurationValue {
    status: Option<String>,
    /// A union: one member, named after the type.
    #[serde(default)]
    settings: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CompactionSettings {
    #[serde(rename = "targetFileSizeMB")]
    target_file_size_mb: Option<i64>,
    strategy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SnapshotManagementSettings {
    min_snapshots_to_keep: Option<i64>,
    max_snapshot_age_hours: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UnreferencedFileRemovalSettings {
    unreferenced_days: Option<i64>,
    non_current_days: Option<i64>,
}

/// Replaces the whole configuration of one type: what the request leaves out has its default again.
pub(super) fn put(call: &Call<'_>, arn: &str, namespace: &str, name: &str, r#type: &str) -> Answer {
    let (arn, name) = (TableBucketArn::parse(arn)?, table_name(namespace, name)?);
    let job = job(r#type, &[MaintenanceJob::Compaction, MaintenanceJob::SnapshotManagement])?;
    let PutRequest { value } = call.body()?;
    match job {
        MaintenanceJob::Compaction => call.catalog.set_compaction(&arn, &name, &compaction(value)?)?,
        _ => call.catalog.set_snapshot_management(&arn, &name, &snapshot_management(value)?)?,
    }
    no_content()
}

pub(super) fn get(call: &Call<'_>, arn: &str, namespace: &str, name: &str) -> Answer {
    let of = call.catalog.table_maintenance(&TableBucketArn::parse(arn)?, &table_name(namespace, name)?)?;
    let configurations = [
        configuration(
            MaintenanceJob::Compaction,
            of.compaction.is_enabled,
            json!({
                "targetFileSizeMB": of.compaction.target_file_size_mb,
                "strategy": of.compaction.strategy.name(),
            }),
        ),
        configuration(
            MaintenanceJob::SnapshotManagement,
            of.snapshot_management.is_enabled,
            json!({
                "minSnapshotsToKeep": of.snapshot_management.min_snapshots_to_keep,
                "maxSnapshotAgeHours": of.snapshot_management.max_snapshot_age_hours,
            }),
        ),
    ];
    ok(&json!({ "tableARN": of.table.to_string(), "configuration": Map::from_iter(configurations) }))
}

/// Replaces the whole configuration, as [`put`] does.
pub(super) fn put_bucket(call: &Call<'_>, arn: &str, r#type: &str) -> Answer {
    let arn = TableBucketArn::parse(arn)?;
    job(r#type, &[MaintenanceJob::UnreferencedFileRemoval])?;
    let PutRequest { value } = call.body()?;
    call.catalog.set_unreferenced_file_removal(&arn, &unreferenced_file_removal(value)?)?;
    no_content()
}

pub(super) fn get_bucket(call: &Call<'_>, arn: &str) -> Answer {
    let arn = TableBucketArn::parse(arn)?;
    let removal = call.catalog.unreferenced_file_removal(&arn)?;
    let configuration = configuration(
        MaintenanceJob::UnreferencedFileRemoval,
        removal.is_enabled,
        json!({ "unreferencedDays": removal.unreferenced_days, "nonCurrentDays": removal.non_current_days }),
    );
    ok(&json!({ "tableBucketARN": arn.to_string(), "configuration": Map::from_iter([configuration]) }))
}

pub(super) fn job_status(call: &Call<'_>, arn: &str, namespace: &str, name: &str) -> Answer {
    let of = call.catalog.table_maintenance(&TableBucketArn::parse(arn)?, &table_name(namespace, name)?)?;
    let statuses = MaintenanceJob::ALL.map(|job| {
        let is_enabled = match job {
            MaintenanceJob::Compaction => of.compaction.is_enabled,
            MaintenanceJob::SnapshotManagement => of.snapshot_management.is_enabled,
            MaintenanceJob::UnreferencedFileRemoval => of.unreferenced_file_removal.is_enabled,
        };
        (job.name().to_owned(), status(is_enabled, of.runs.get(&job)))
    });
    ok(&json!({ "tableARN": of.table.to_string(), "status": Map::from_iter(statuses) }))
}

fn status(is_enabled: bool, run: Option<&MaintenanceRun>) -> Value {
    let mut status = match run {
        _ if !is_enabled => json!({ "status": "Disabled" }),
        None => json!({ "status": "Not_Yet_Run" }),
        Some(MaintenanceRun { failure: None, .. }) => json!({ "status": "Successful" }),
        Some(MaintenanceRun { failure: Some(message), .. }) => json!({ "status": "Failed", "failureMessage": message }),
    };
    if let Some(run) = run {
        status["lastRunTimestamp"] = date_time(run.at_ms).into();
    }
    status
}

fn configuration(job: MaintenanceJob, is_enabled: bool, settings: Value) -> (String, Value) {
    let status = if is_enabled { "enabled" } else { "disabled" };
    (job.name().to_owned(), json!({ "status": status, "settings": { job.name(): settings } }))
}

fn compaction(value: ConfigurationValue) -> Result<Compaction, AwsError> {
    let (is_enabled, settings): (_, CompactionSettings) = value.of(MaintenanceJob::Compaction)?;
    let default = Compaction::default();
    let strategy = match settings.strategy {
        None => default.strategy,
        Some(name) => CompactionStrategy::parse(&name).ok_or_else(|| {
            let known = CompactionStrategy::ALL.map(CompactionStrategy::name).join(", ");
            error::bad_request(format!("strategy must be one of {known}, not {name}"))
        })?,
    };
    let size = settings.target_file_size_mb;
    let target_file_size_mb = number("targetFileSizeMB", size, TARGET_FILE_SIZE_MB, default.target_file_size_mb)?;
    Ok(Compaction { is_enabled, target_file_size_mb, strategy })
}

fn snapshot_management(value: ConfigurationValue) -> Result<SnapshotManagement, AwsError> {
    let (is_enabled, settings): (_, SnapshotManagementSettings) = value.of(MaintenanceJob::SnapshotManagement)?;
    let default = SnapshotManagement::default();
    let (count, age) = (settings.min_snapshots_to_keep, settings.max_snapshot_age_hours);
    Ok(SnapshotManagement {
        is_enabled,
        min_snapshots_to_keep: number("minSnapshotsToKeep", count, POSITIVE, default.min_snapshots_to_keep)?,
        max_snapshot_age_hours: number("maxSnapshotAgeHours", age, POSITIVE, default.max_snapshot_age_hours)?,
    })
}

fn unreferenced_file_removal(value: ConfigurationValue) -> Result<UnreferencedFileRemoval, AwsError> {
    let (is_enabled, settings): (_, UnreferencedFileRemovalSettings) =
        value.of(MaintenanceJob::UnreferencedFileRemoval)?;
    let default = UnreferencedFileRemoval::default();
    let (unreferenced, non_current) = (settings.unreferenced_days, settings.non_current_days);
    Ok(UnreferencedFileRemoval {
        is_enabled,
        unreferenced_days: number("unreferencedDays", unreferenced, POSITIVE, default.unreferenced_days)?,
        non_current_days: number("nonCurrentDays", non_current, POSITIVE, default.non_current_days)?,
    })
}

impl ConfigurationValue {
    /// Whether the job is enabled, and its settings as they were sent.
    fn of<T: Default + DeserializeOwned>(mut self, job: MaintenanceJob) -> Result<(bool, T), AwsError> {
        let name = job.name();
        let is_enabled = match self.status.as_deref() {
            None | Some("enabled") => true,
            Some("disabled") => false,
            Some(other) => {
                return Err(error::bad_request(format!("status must be enabled or disabled, not {other}")));
            }
        };
        let settings = self.settings.remove(name);
        if let Some(other) = self.settings.keys().next() {
            return Err(error::bad_request(format!("The settings of type {name} must be in {name}, not in {other}")));
        }
        let settings = settings.map(serde_json::from_value).transpose();
        let settings =
            settings.map_err(|cause| error::bad_request(format!("The {name} settings are not valid: {cause}")))?;
        Ok((is_enabled, settings.unwrap_or_default()))
    }
}

fn job(r#type: &str, allowed: &[MaintenanceJob]) -> Result<MaintenanceJob, AwsError> {
    allowed.iter().copied().find(|job| job.name() == r#type).ok_or_else(|| {
        let known: Vec<&str> = allowed.iter().map(|job| job.name()).collect();
        error::bad_request(format!("type must be {}, not {}", known.join(" or "), r#type))
    })
}

fn number(name: &str, value: Option<i64>, range: RangeInclusive<i64>, default: u32) -> Result<u32, AwsError> {
    let Some(value) = value else { return Ok(default) };
    u32::try_from(value).ok().filter(|_| range.contains(&value)).ok_or_else(|| {
        error::bad_request(format!("{name} must be from {} to {}, not {value}", range.start(), range.end()))
    })
}
