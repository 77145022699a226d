//! What the owner of a table asked S3 Tables to look after.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_s3Buckets_GetTableMaintenanceConfiguration.html>

use std::time::Duration;

use http::Method;
use iceberg::TableIdent;
use lake::maintain::compact::{CompactionPolicy, Strategy};
use lake::maintain::expire::SnapshotPolicy;
use lake::maintain::sweep::SweepPolicy;
use provision::{About, Service, encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Aws;
use crate::failure::{Exit, Failure, Outcome};
use crate::wiring::Policies;

#[derive(Deserialize)]
struct Configuration<T> {
    configuration: T,
}

#[derive(Deserialize)]
struct Job<T> {
    status: String,
    settings: Option<T>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfTable {
    iceberg_compaction: Option<Job<CompactionSettings>>,
    iceberg_snapshot_management: Option<Job<SnapshotSettings>>,
}

#[derive(Deserialize)]
struct OfBucket {
    #[serde(rename = "icebergUnreferencedFileRemoval")]
    removal: Option<Job<RemovalSettings>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompactionSettings {
    iceberg_compaction: Compaction,
}

#[derive(Deserialize)]
struct Compaction {
    #[serde(rename = "targetFileSizeMB")]
    target_file_size_mb: Option<u64>,
    strategy: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotSettings {
    iceberg_snapshot_management: Snapshots,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snapshots {
    min_snapshots_to_keep: Option<u32>,
    max_snapshot_age_hours: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemovalSettings {
    iceberg_unreferenced_file_removal: Removal,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Removal {
    unreferenced_days: Option<u32>,
    non_current_days: Option<u32>,
}

impl Aws {
    /// The settings of a table of the table bucket `arn`.
    pub async fn maintenance_policies(&self, arn: &str, table: &TableIdent) -> Outcome<Policies> {
        let (calls, bucket) = (self.calls()?, encode(arn));
        let of_table = About { service: Service::S3Tables, action: "GetTableMaintenanceConfiguration", resource: arn };
        let of_bucket = About { action: "GetTableBucketMaintenanceConfiguration", ..of_table };
        let path = format!("/tables/{bucket}/{}/{}/maintenance", table.namespace().to_url_string(), table.name());
        let of_table: Configuration<OfTable> = read(calls.rest(of_table, Method::GET, &path, None).await?)?;
        let path = format!("/buckets/{bucket}/maintenance");
        let of_bucket: Configuration<OfBucket> = read(calls.rest(of_bucket, Method::GET, &path, None).await?)?;
        let OfTable { iceberg_compaction, iceberg_snapshot_management } = of_table.configuration;
        Ok(Policies {
            compaction: enabled(iceberg_compaction, |settings: Option<CompactionSettings>| {
                let asked = settings.map(|settings| settings.iceberg_compaction);
                let default = CompactionPolicy::default();
                let megabytes = asked.as_ref().and_then(|asked| asked.target_file_size_mb);
                let strategy = asked.and_then(|asked| asked.strategy);
                CompactionPolicy {
                    target_file_bytes: megabytes.map_or(default.target_file_bytes, |megabytes| megabytes << 20),
                    strategy: strategy.map_or(default.strategy, |name| strategy_named(&name)),
                }
            }),
            snapshots: enabled(iceberg_snapshot_management, |settings: Option<SnapshotSettings>| {
                let asked = settings.map(|settings| settings.iceberg_snapshot_management);
                let default = SnapshotPolicy::default();
                let hours = asked.as_ref().and_then(|asked| asked.max_snapshot_age_hours);
                SnapshotPolicy {
                    snapshots_min: asked.and_then(|asked| asked.min_snapshots_to_keep).unwrap_or(default.snapshots_min),
                    age_max: hours.map_or(default.age_max, |hours| Duration::from_secs(hours * 60 * 60)),
                }
            }),
            unreferenced_files: enabled(of_bucket.configuration.removal, |settings: Option<RemovalSettings>| {
                let asked = settings.map(|settings| settings.iceberg_unreferenced_file_removal);
                let default = SweepPolicy::default();
                let days = asked.as_ref().and_then(|asked| asked.unreferenced_days);
                SweepPolicy {
                    unreferenced_days: days.unwrap_or(default.unreferenced_days),
                    noncurrent_days: asked.and_then(|asked| asked.non_current_days).unwrap_or(default.noncurrent_days),
                }
            }),
        })
    }
}

fn read<T: DeserializeOwned>(answer: Value) -> Outcome<T> {
    let read = serde_json::from_value(answer);
    read.map_err(|error| Failure::new(Exit::Service, format!("read the settings of maintenance: {error}")))
}

/// The policy of a job that is not off. What S3 Tables does not say has its default.
fn enabled<T, P>(job: Option<Job<T>>, policy: impl FnOnce(Option<T>) -> P) -> Option<P> {
    match job {
        None => Some(policy(None)),
        Some(job) => (job.status == "enabled").then(|| policy(job.settings)),
    }
}

fn strategy_named(name: &str) -> Strategy {
    match name {
        "binpack" => Strategy::BinPack,
        "sort" => Strategy::Sort,
        "z-order" => Strategy::ZOrder,
        _ => Strategy::Auto,
    }
}
