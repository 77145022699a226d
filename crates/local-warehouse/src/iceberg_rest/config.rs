//! `GET v1/config`: which table bucket, and which operations there are.

use aws_wire::Action;
use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::catalog::{PageRequest, TableBucketArn};
use crate::governance::Reach;
use crate::iceberg_rest::error::RestError;
use crate::iceberg_rest::{Answer, Call, governed};
use crate::rest;

/// As the REST specification writes them.
const ENDPOINTS: [&str; 12] = [
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "DELETE /v1/{prefix}/namespaces/{namespace}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/tables/rename",
];

/// What may stand in a path segment as it is.
const PREFIX: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

pub(super) fn get(call: &Call<'_>) -> Answer {
    let bucket = warehouse(call)?;
    governed::allow(call, &bucket, Reach::Bucket(Action::Describe))?;
    call.catalog().table_bucket(&bucket)?;
    let prefix = utf8_percent_encode(&bucket.to_string(), PREFIX).to_string();
    let body = json!({ "defaults": {}, "overrides": { "prefix": prefix }, "endpoints": ENDPOINTS });
    Ok(rest::json(StatusCode::OK, &body))
}

/// The table bucket that the client calls its warehouse: by ARN or by name, or the only one there is.
fn warehouse(call: &Call<'_>) -> Result<TableBucketArn, RestError> {
    let account = call.account().to_owned();
    let region = call.caller.region.clone();
    match call.parameter("warehouse") {
        Some(arn) if arn.contains(':') || arn.contains("<<") => Ok(TableBucketArn::parse(arn)?),
        Some(name) if !name.is_empty() => Ok(TableBucketArn { region, account, name: name.to_owned() }),
        _ => {
            let page = PageRequest { prefix: String::new(), after: String::new(), count_max: 2 };
            let mut buckets = call.catalog().table_buckets(&account, &region, &page)?;
            match (buckets.pop(), buckets.is_empty()) {
                (Some(only), true) => Ok(only.arn),
                (None, _) => Err(RestError::bad_request(format!("There is no table bucket in {region} yet"))),
                (Some(_), false) => Err(RestError::bad_request(
                    "The parameter warehouse must be the ARN of a table bucket: there are several",
                )),
            }
        }
    }
}
