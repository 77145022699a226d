//! What clients ask of the account rather than of a table's items.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde_json::json;

use super::table::{describe, object, text};
use crate::region::Region;

/// The quotas of a new AWS account; nothing here throttles.
pub(super) fn describe_limits() -> Bytes {
    let limits = json!({
        "AccountMaxReadCapacityUnits": 80_000,
        "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": 40_000,
        "TableMaxWriteCapacityUnits": 40_000,
    });
    Bytes::from(limits.to_string())
}

/// The endpoint that the client already speaks to.
pub(super) fn describe_endpoints(host: &str) -> Bytes {
    let endpoints = json!({"Endpoints": [{"Address": host, "CachePeriodInMinutes": 1440}]});
    Bytes::from(endpoints.to_string())
}

/// There are no backups here, and a table says so.
pub(super) async fn describe_continuous_backups(region: &Arc<Region>, body: &Bytes) -> Result<Bytes, AwsError> {
    let body = object(region, "DescribeContinuousBackups", body)?;
    let table_name = text(&body, "TableName");
    if let Err(mut error) = describe(region, &table_name).await {
        if error.code == "ResourceNotFoundException" {
            error.code = "TableNotFoundException".into();
            error.message = format!("Table not found: {table_name}");
        }
        return Err(error);
    }
    let description = json!({
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "DISABLED",
            "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
        }
    });
    Ok(Bytes::from(description.to_string()))
}
