//! Tags of streams and consumers.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::consumers::Resource;
use super::error::{invalid_argument, validation, within};
use super::{Named, answer, nothing};
use crate::region::Region;

const TAGS_MAX: usize = 50;

type Tags = BTreeMap<String, String>;

/// 1 to 128 characters a key, up to 256 a value, at most 50 of them.
pub(super) fn check_tags(tags: &Tags) -> Result<(), AwsError> {
    for (key, value) in tags {
        if !(1..=128).contains(&key.chars().count()) {
            return Err(validation(format!("Tag key '{key}' must have 1 to 128 characters")));
        }
        if value.chars().count() > 256 {
            return Err(validation(format!("The value of tag '{key}' must have at most 256 characters")));
        }
        let is_allowed = |char: char| char.is_alphanumeric() || char.is_whitespace() || "_./:=+-@".contains(char);
        if !key.chars().all(is_allowed) || !value.chars().all(is_allowed) {
            return Err(invalid_argument(
                "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, \
                 _ . / : = + - @.",
            ));
        }
        if key.starts_with("aws:") {
            return Err(invalid_argument("Tag keys that begin with aws: are reserved"));
        }
    }
    check_count(tags)
}

fn check_count(tags: &Tags) -> Result<(), AwsError> {
    match tags.len() {
        0..=TAGS_MAX => Ok(()),
        count => Err(invalid_argument(format!("{count} tags are more than the {TAGS_MAX} that a resource can have"))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Add {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    tags: Tags,
}

pub(super) async fn add_to_stream(region: &Arc<Region>, request: Add) -> Result<Bytes, AwsError> {
    let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
    add(region, &Resource::Stream(stream), request.tags).await
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Remove {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    tag_keys: Vec<String>,
}

pub(super) async fn remove_from_stream(region: &Arc<Region>, request: Remove) -> Result<Bytes, AwsError> {
    let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
    remove(region, &Resource::Stream(stream), request.tag_keys).await
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListForStream {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    exclusive_start_tag_key: Option<String>,
    limit: Option<i64>,
}

pub(super) fn list_for_stream(region: &Arc<Region>, request: ListForStream) -> Result<Bytes, AwsError> {
    let limit = within("limit", request.limit.unwrap_or(TAGS_MAX as i64), 1, TAGS_MAX as i64)? as usize;
    let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
    let start = request.exclusive_start_tag_key.unwrap_or_default();
    let tags: Vec<_> = stream.settings.tags.iter().filter(|(key, _)| **key > start).collect();
    let page: Vec<Value> = tags.iter().take(limit).map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(answer(&json!({"Tags": page, "HasMoreTags": tags.len() > limit})))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    tags: Tags,
}

pub(super) async fn tag_resource(region: &Arc<Region>, request: TagResource) -> Result<Bytes, AwsError> {
    add(region, &Resource::find(region, &request.resource_arn)?, request.tags).await
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct UntagResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    tag_keys: Vec<String>,
}

pub(super) async fn untag_resource(region: &Arc<Region>, request: UntagResource) -> Result<Bytes, AwsError> {
    remove(region, &Resource::find(region, &request.resource_arn)?, request.tag_keys).await
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ListForResource {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
}

pub(super) fn list_for_resource(region: &Arc<Region>, request: ListForResource) -> Result<Bytes, AwsError> {
    let resource = Resource::find(region, &request.resource_arn)?;
    let tags = resource.tags().iter().map(|(key, value)| json!({"Key": key, "Value": value}));
    Ok(answer(&json!({"Tags": tags.collect::<Vec<Value>>()})))
}

async fn add(region: &Arc<Region>, resource: &Resource, tags: Tags) -> Result<Bytes, AwsError> {
    if tags.is_empty() {
        return Err(validation("Value '{}' at 'tags' failed to satisfy constraint: Member must not be empty"));
    }
    check_tags(&tags)?;
    resource
        .change(region, move |parts| {
            let mut all = parts.tags.clone();
            all.extend(tags);
            check_count(&all)?;
            *parts.tags = all;
            Ok(())
        })
        .await?;
    Ok(nothing())
}

async fn remove(region: &Arc<Region>, resource: &Resource, keys: Vec<String>) -> Result<Bytes, AwsError> {
    if keys.is_empty() || keys.len() > TAGS_MAX {
        return Err(validation("Value at 'tagKeys' failed to satisfy constraint: Member must have 1 to 50 members"));
    }
    resource
        .change(region, move |parts| {
            parts.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await?;
    Ok(nothing())
}
