//! TagResource, UntagResource, ListTagsForResource, for table buckets and tables.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::json;

use crate::catalog::{TableArn, TableBucketArn};
use crate::rest;
use crate::s3_tables::{Answer, Call, error, no_content, ok};

/// As for every AWS resource.
const TAG_COUNT_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagResourceRequest {
    tags: BTreeMap<String, String>,
}

enum Resource {
    TableBucket(TableBucketArn),
    Table(TableArn),
}

pub(super) fn list(call: &Call<'_>, arn: &str) -> Answer {
    ok(&json!({ "tags": read(call, &parse(arn)?)? }))
}

pub(super) fn tag(call: &Call<'_>, arn: &str) -> Answer {
    let resource = parse(arn)?;
    let request: TagResourceRequest = call.body()?;
    let mut tags = read(call, &resource)?;
    tags.extend(request.tags);
    check(&tags)?;
    write(call, &resource, &tags)?;
    ok(&json!({}))
}

pub(super) fn untag(call: &Call<'_>, arn: &str) -> Answer {
    let resource = parse(arn)?;
    let mut tags = read(call, &resource)?;
    for key in rest::query_values(call.request.uri(), "tagKeys") {
        tags.remove(&key);
    }
    write(call, &resource, &tags)?;
    no_content()
}

/// Checks tags that a resource is to have.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
    let is_valid = |key: &str, value: &str| {
        (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256 && !key.starts_with("aws:")
    };
    if let Some((key, _)) = tags.iter().find(|(key, value)| !is_valid(key, value)) {
        return Err(error::bad_request(format!(
            "The tag {key:?} is not valid: keys have 1 to 128 characters and do not begin with aws:, values have up to 256"
        )));
    }
    if tags.len() > TAG_COUNT_MAX {
        return Err(error::bad_request(format!("A resource has at most {TAG_COUNT_MAX} tags")));
    }
    Ok(())
}

fn parse(arn: &str) -> Result<Resource, AwsError> {
    if arn.contains("/table/") {
        return Ok(Resource::Table(TableArn::parse(arn)?));
    }
    Ok(Resource::TableBucket(TableBucketArn::parse(arn)?))
}

fn read(call: &Call<'_>, resource: &Resource) -> Result<BTreeMap<String, String>, AwsError> {
    Ok(match resource {
        Resource::TableBucket(arn) => call.catalog.table_bucket(arn)?.tags,
        Resource::Table(arn) => call.catalog.table_by_arn(arn)?.tags,
    })
}

fn write(call: &Call<'_>, resource: &Resource, tags: &BTreeMap<String, String>) -> Result<(), AwsError> {
    match resource {
        Resource::TableBucket(arn) => call.catalog.set_table_bucket_tags(arn, tags)?,
        Resource::Table(arn) => call.catalog.set_table_tags(arn, tags)?,
    }
    Ok(())
}
