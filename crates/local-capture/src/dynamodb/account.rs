//! What clients ask of the account rather than of a table's items.

use bytes::Bytes;
use serde_json::json;

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
