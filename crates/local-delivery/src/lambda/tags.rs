//! TagResource, UntagResource, ListTags, for functions.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::json;

use crate::lambda::error;
use crate::lambda::function::Function;
use crate::lambda::function_name;
use crate::lambda::functions::find;
use crate::lambda::request::{Answer, Call, check_tags, no_content, ok};
use crate::lambda::service::Service;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagRequest {
    tags: BTreeMap<String, String>,
}

pub(crate) fn list(service: &Service, call: &Call, arn: &str) -> Answer {
    check_is_arn(arn)?;
    ok(&json!({ "Tags": find(service, call, arn)?.tags }))
}

pub(crate) fn tag(service: &Service, call: &Call, arn: &str) -> Answer {
    let request: TagRequest = call.body(&["Tags"])?;
    change(service, call, arn, |tags| tags.extend(request.tags))
}

pub(crate) fn untag(service: &Service, call: &Call, arn: &str) -> Answer {
    change(service, call, arn, |tags| {
        for key in call.parameters("tagKeys") {
            tags.remove(key);
        }
    })
}

/// Tags are no part of a function's revision.
fn change(service: &Service, call: &Call, arn: &str, change: impl FnOnce(&mut BTreeMap<String, String>)) -> Answer {
    check_is_arn(arn)?;
    let name = function_name::parse(&call.region, arn, None)?;
    let changed = service.store.update(&call.region.key(), &name, |function: &mut Function| {
        change(&mut function.tags);
        check_tags(&function.tags)
    })?;
    changed.map_or_else(|| Err(error::function_not_found(arn)), |_| no_content())
}

fn check_is_arn(arn: &str) -> Result<(), AwsError> {
    match arn.starts_with("arn:") {
        true if arn.contains(":event-source-mapping:") => {
            Err(error::not_served("A tag of an event source mapping", "tags of its function"))
        }
        true => Ok(()),
        false => Err(error::constraint(arn, "resource", "Member must be the ARN of a function")),
    }
}
