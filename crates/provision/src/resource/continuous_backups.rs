//! Point-in-time recovery of a DynamoDB table.
//! Amazon DynamoDB Developer Guide, "Enable point-in-time recovery in DynamoDB".

use serde_json::{Value, json};

use super::dynamodb_table::{about, arn};
use super::found;
use crate::call::Services;
use crate::error::Result;

/// Whether the table can be brought back to any moment of the last days. A table that is not there has nothing to lack.
pub(super) async fn is_recoverable(services: &Services, table: &str) -> Result<bool> {
    let arn = arn(services, table);
    let body = json!({ "TableName": table });
    let described = services.json(about("DescribeContinuousBackups", &arn), body).await;
    let described = found(described, &["TableNotFoundException"])?;
    let status = |answer: &Value| {
        answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"].clone()
    };
    Ok(described.is_none_or(|answer| status(&answer) == "ENABLED"))
}

/// Switches it on, as soon as a new table lets that happen.
pub(super) async fn make_recoverable(services: &Services, table: &str) -> Result<()> {
    let arn = arn(services, table);
    let specification = json!({ "PointInTimeRecoveryEnabled": true });
    let body = json!({ "TableName": table, "PointInTimeRecoverySpecification": specification });
    let is_on = || async {
        match services.json(about("UpdateContinuousBackups", &arn), body.clone()).await {
            Ok(_) => Ok(true),
            // Backups of a table that was made a moment ago are still being switched on.
            Err(error) if error.is(&["ContinuousBackupsUnavailableException"]) => Ok(false),
            Err(error) => Err(error),
        }
    };
    services.until(&format!("dynamodb table {table}"), "ready for point-in-time recovery", is_on).await
}
