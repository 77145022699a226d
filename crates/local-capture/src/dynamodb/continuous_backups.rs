//! Point-in-time recovery: switched on and off, and told.
//! Amazon DynamoDB API Reference, "UpdateContinuousBackups" and "DescribeContinuousBackups".

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde_json::{Value, json};

use super::error::validation;
use super::table::{describe, object, text};
use crate::region::{PointInTimeRecovery, Region};
use crate::streams::internal_error;

/// How far back a table can be brought: the default, and the most.
const DAYS_MAX: u64 = 35;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// The last minutes cannot be recovered.
const LATEST_MS: i64 = 5 * 60 * 1000;

pub(super) async fn describe_continuous_backups(region: &Arc<Region>, body: &Bytes) -> Result<Bytes, AwsError> {
    let body = object(region, "DescribeContinuousBackups", body)?;
    let table = found(region, &text(&body, "TableName")).await?;
    Ok(answer(region, &table))
}

pub(super) async fn update_continuous_backups(region: &Arc<Region>, body: &Bytes) -> Result<Bytes, AwsError> {
    let body = object(region, "UpdateContinuousBackups", body)?;
    let table = found(region, &text(&body, "TableName")).await?;
    let table_name = text(&table, "TableName");
    let specification = &body["PointInTimeRecoverySpecification"];
    let Some(is_on) = specification["PointInTimeRecoveryEnabled"].as_bool() else {
        return Err(validation(
            "1 validation error detected: Value null at \
             'pointInTimeRecoverySpecification.pointInTimeRecoveryEnabled' failed to satisfy constraint: Member must \
             not be null",
        ));
    };
    let days = specification["RecoveryPeriodInDays"].as_u64().unwrap_or(DAYS_MAX);
    let days = u32::try_from(days).ok().filter(|days| (1..=DAYS_MAX).contains(&u64::from(*days)));
    let Some(days) = days else {
        return Err(validation(format!("RecoveryPeriodInDays must be between 1 and {DAYS_MAX}")));
    };
    let table_id = table["TableId"].as_str();
    let before = region.backups.of(&table_name, table_id);
    let since_ms = before.map_or_else(|| region.ambient.now_ms(), |before| before.since_ms);
    let setting = is_on.then(|| PointInTimeRecovery { table_id: table_id.map(str::to_owned), since_ms, days });
    let (keeper, name) = (region.clone(), table_name);
    let kept = tokio::task::spawn_blocking(move || keeper.backups.set(&name, setting)).await;
    kept.map_err(|error| internal_error(&error))?.map_err(|error| internal_error(&error))?;
    Ok(answer(region, &table))
}

/// Forgets the setting of a table that was deleted.
pub(super) fn forget(region: &Region, table_name: &str) -> Result<(), AwsError> {
    region.backups.set(table_name, None).map_err(|error| internal_error(&error))
}

/// The table's description; these two operations have a code of their own for a table that is not there.
async fn found(region: &Arc<Region>, table_name: &str) -> Result<Value, AwsError> {
    describe(region, table_name).await.map_err(|mut error| {
        if error.code == "ResourceNotFoundException" {
            error.code = "TableNotFoundException".into();
            error.message = format!("Table not found: {table_name}");
        }
        error
    })
}

fn answer(region: &Region, table: &Value) -> Bytes {
    let setting = region.backups.of(table["TableName"].as_str().unwrap_or_default(), table["TableId"].as_str());
    let recovery = match setting {
        None => json!({ "PointInTimeRecoveryStatus": "DISABLED" }),
        Some(PointInTimeRecovery { since_ms, days, .. }) => {
            let now_ms = region.ambient.now_ms();
            let seconds = |ms: i64| ms as f64 / 1000.0;
            json!({
                "PointInTimeRecoveryStatus": "ENABLED",
                "RecoveryPeriodInDays": days,
                "EarliestRestorableDateTime": seconds(since_ms.max(now_ms - i64::from(days) * DAY_MS)),
                "LatestRestorableDateTime": seconds(since_ms.max(now_ms - LATEST_MS)),
            })
        }
    };
    // On for every table from its creation, says AWS; what is chosen is how far they reach back.
    let description = json!({ "ContinuousBackupsStatus": "ENABLED", "PointInTimeRecoveryDescription": recovery });
    Bytes::from(json!({ "ContinuousBackupsDescription": description }).to_string())
}
