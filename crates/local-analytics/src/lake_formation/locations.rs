//! Places in S3 that are registered with Lake Formation. Nothing here depends on them: they are kept and shown.

use aws_wire::AwsError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::json::seconds;
use crate::lake_formation::{Answer, Call, not_found};
use crate::store::Document;

/// Kept as it is here; the ARN is the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Location {
    role_arn: Option<String>,
    with_federation: bool,
    hybrid_access_enabled: bool,
    modified_ms: i64,
}

impl Document for Location {
    const KIND: &'static str = "registered location";
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    resource_arn: String,
    role_arn: Option<String>,
    #[serde(default)]
    with_federation: bool,
    #[serde(default)]
    hybrid_access_enabled: bool,
}

impl Request {
    fn location(&self, call: &Call<'_>) -> Location {
        Location {
            role_arn: self.role_arn.clone(),
            with_federation: self.with_federation,
            hybrid_access_enabled: self.hybrid_access_enabled,
            modified_ms: call.service.ambient.now_ms(),
        }
    }
}

pub(super) fn register(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    call.administrators_only()?;
    let location = request.location(call);
    if call.service.store.insert(&call.region.key(), &request.resource_arn, &location)? {
        return Ok(json!({}));
    }
    Err(AwsError::bad_request("AlreadyExistsException", "Resource is already registered"))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    call.administrators_only()?;
    find(call, &request.resource_arn)?;
    call.service.store.put(&call.region.key(), &request.resource_arn, &request.location(call))?;
    Ok(json!({}))
}

pub(super) fn deregister(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    call.administrators_only()?;
    find(call, &request.resource_arn)?;
    call.service.store.delete::<Location>(&call.region.key(), &request.resource_arn)?;
    Ok(json!({}))
}

pub(super) fn describe(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let location = find(call, &request.resource_arn)?;
    Ok(json!({ "ResourceInfo": shown(&request.resource_arn, &location) }))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let locations: Vec<(String, Location)> = call.service.store.list(&call.region.key(), "")?;
    let shown: Vec<Value> = locations.iter().map(|(arn, location)| shown(arn, location)).collect();
    Ok(json!({ "ResourceInfoList": shown }))
}

fn find(call: &Call<'_>, arn: &str) -> Result<Location, AwsError> {
    call.service.store.get(&call.region.key(), arn)?.ok_or_else(|| not_found("Entity not found"))
}

fn shown(arn: &str, location: &Location) -> Value {
    json!({
        "ResourceArn": arn,
        "RoleArn": location.role_arn.clone().unwrap_or_default(),
        "LastModified": seconds(location.modified_ms),
        "WithFederation": location.with_federation,
        "HybridAccessEnabled": location.hybrid_access_enabled,
    })
}
