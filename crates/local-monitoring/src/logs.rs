//! CloudWatch Logs' endpoint: groups, streams, events, and metrics that lines describe.

mod embedded_metrics;
mod events;
mod filter;
mod groups;
mod streams;

use std::sync::Arc;

use ambient::Ambient;
use async_trait::async_trait;
use aws_wire::{AwsError, Caller, JsonService, JsonVersion};
use bytes::Bytes;

use crate::call::{Answer, Call, internal, region_key};
use crate::store::Store;

/// The endpoint. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Logs {
    pub store: Arc<Store>,
    pub ambient: Ambient,
}

#[async_trait]
impl JsonService for Logs {
    fn target_prefix(&self) -> &'static str {
        "Logs_20140328"
    }

    fn json_version(&self) -> JsonVersion {
        JsonVersion::V1_1
    }

    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let (service, caller, operation) = (self.clone(), caller.clone(), operation.to_owned());
        let answer = tokio::task::spawn_blocking(move || {
            let region = region_key(&caller.identity.account_id, &caller.region);
            let now_ms = service.ambient.now_ms();
            route(&Call { store: &service.store, caller: &caller, region, body: &body, now_ms }, &operation)
        });
        let answer = answer.await.unwrap_or_else(|panic| Err(internal(&panic)))?;
        Ok(answer.to_string().into())
    }
}

fn route(call: &Call<'_>, operation: &str) -> Answer {
    match operation {
        "CreateLogGroup" => groups::create(call),
        "CreateLogStream" => streams::create(call),
        "DeleteLogGroup" => groups::delete(call),
        "DeleteLogStream" => streams::delete(call),
        "DeleteRetentionPolicy" => groups::delete_retention(call),
        "DescribeLogGroups" => groups::describe(call),
        "DescribeLogStreams" => streams::describe(call),
        "FilterLogEvents" => events::filter(call),
        "GetLogEvents" => events::get(call),
        "ListTagsForResource" => groups::list_tags(call),
        "PutLogEvents" => events::put(call),
        "PutRetentionPolicy" => groups::put_retention(call),
        "TagResource" => groups::tag(call),
        "UntagResource" => groups::untag(call),
        unknown => Err(AwsError::bad_request(
            "UnknownOperationException",
            format!("The operation '{unknown}' of CloudWatch Logs is not served here."),
        )),
    }
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::bad_request("InvalidParameterException", message)
}

fn not_found(what: &str) -> AwsError {
    AwsError::bad_request("ResourceNotFoundException", format!("The specified log {what} does not exist."))
}

fn exists(what: &str) -> AwsError {
    AwsError::bad_request("ResourceAlreadyExistsException", format!("The specified log {what} already exists"))
}
