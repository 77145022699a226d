//! Resource policies of streams and consumers: kept and shown, not enforced.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::consumers::Resource;
use super::error::{invalid_argument, not_found};
use super::{answer, nothing};
use crate::region::Region;

const POLICY_BYTES_MAX: usize = 20 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Put {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    policy: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct OfResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
}

pub(super) async fn put(region: &Arc<Region>, request: Put) -> Result<Bytes, AwsError> {
    let is_object = serde_json::from_str::<serde_json::Map<_, _>>(&request.policy).is_ok();
    if !is_object || request.policy.len() > POLICY_BYTES_MAX {
        return Err(invalid_argument("Policy must be a JSON document of at most 20 KB"));
    }
    set(region, &request.resource_arn, Some(request.policy)).await
}

pub(super) fn get(region: &Arc<Region>, request: OfResource) -> Result<Bytes, AwsError> {
    let resource = Resource::find(region, &request.resource_arn)?;
    let policy = resource.policy().ok_or_else(|| no_policy(&request.resource_arn))?;
    Ok(answer(&json!({"Policy": policy})))
}

pub(super) async fn delete(region: &Arc<Region>, request: OfResource) -> Result<Bytes, AwsError> {
    if Resource::find(region, &request.resource_arn)?.policy().is_none() {
        return Err(no_policy(&request.resource_arn));
    }
    set(region, &request.resource_arn, None).await
}

async fn set(region: &Arc<Region>, arn: &str, policy: Option<String>) -> Result<Bytes, AwsError> {
    let resource = Resource::find(region, arn)?;
    resource
        .change(region, move |parts| {
            *parts.policy = policy;
            Ok(())
        })
        .await?;
    Ok(nothing())
}

fn no_policy(arn: &str) -> AwsError {
    not_found(format!("No resource policy found for resource ARN {arn}"))
}
