//! Tags of tables.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use dynoxide::Database;
use serde_json::Value;

use super::error::{unknown_operation, validation};
use super::table::{engine_call, object};
use crate::region::Region;

pub(super) async fn call(region: &Arc<Region>, operation: &str, body: &Bytes) -> Result<Bytes, AwsError> {
    let body = object(region, operation, body)?;
    if let Some(arn) = body["ResourceArn"].as_str() {
        check_is_here(region, arn)?;
    }
    if !body["NextToken"].is_null() {
        // A table has at most 50 tags, which one answer holds: no token is ever given out.
        return Err(validation("Invalid NextToken"));
    }
    let answer = match operation {
        "TagResource" => engine_call(region, operation, body, Database::tag_resource).await?,
        "UntagResource" => engine_call(region, operation, body, Database::untag_resource).await?,
        "ListTagsOfResource" => engine_call(region, operation, body, Database::list_tags_of_resource).await?,
        _ => return Err(unknown_operation(operation)),
    };
    // The two that change tags have an empty body on AWS.
    Ok(if is_empty(&answer) { Bytes::new() } else { Bytes::from(answer.to_string()) })
}

fn is_empty(answer: &Value) -> bool {
    answer.as_object().is_none_or(serde_json::Map::is_empty)
}

/// The engine knows one region only, so the ARN's is checked in front of it.
fn check_is_here(region: &Region, arn: &str) -> Result<(), AwsError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "dynamodb", name, account, _] if name != region.name || account != region.account => {
            let message = format!("Requested resource not found: ResourcArn: {arn} not found");
            Err(AwsError::bad_request("ResourceNotFoundException", message))
        }
        _ => Ok(()),
    }
}
