//! Log groups.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{exists, invalid, not_found};
use crate::call::{Answer, Call, internal, page};
use crate::store::LogGroup;

const GROUPS_PER_PAGE_MAX: usize = 50;
/// The retentions that CloudWatch Logs knows, in days.
const RETENTIONS: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Create {
    log_group_name: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    log_group_class: Option<String>,
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let Create { log_group_name: name, tags, log_group_class } = call.parse()?;
    check_name(&name)?;
    if log_group_class.as_deref().is_some_and(|class| class != "STANDARD") {
        return Err(invalid("Only logGroupClass STANDARD is served here."));
    }
    match call.store.create_log_group(&call.region, &name, &json!(tags).to_string(), call.now_ms)? {
        true => Ok(json!({})),
        false => Err(exists("group")),
    }
}

fn check_name(name: &str) -> Result<(), AwsError> {
    let is_known = |character: char| character.is_ascii_alphanumeric() || "._/#-".contains(character);
    match (1..=512).contains(&name.len()) && name.chars().all(is_known) {
        true => Ok(()),
        false => Err(invalid("logGroupName must have 1 to 512 of a-z, A-Z, 0-9, '_', '-', '/', '.' and '#'.")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    log_group_name: String,
    retention_in_days: Option<i64>,
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let Named { log_group_name, .. } = call.parse()?;
    match call.store.delete_log_group(&call.region, &log_group_name)? {
        true => Ok(json!({})),
        false => Err(not_found("group")),
    }
}

pub(super) fn put_retention(call: &Call<'_>) -> Answer {
    let Named { log_group_name, retention_in_days } = call.parse()?;
    let Some(days) = retention_in_days.filter(|days| RETENTIONS.contains(days)) else {
        let known: Vec<String> = RETENTIONS.iter().map(i64::to_string).collect();
        return Err(invalid(format!("retentionInDays must be one of {}.", known.join(", "))));
    };
    set_retention(call, &log_group_name, Some(days))
}

pub(super) fn delete_retention(call: &Call<'_>) -> Answer {
    let Named { log_group_name, .. } = call.parse()?;
    set_retention(call, &log_group_name, None)
}

fn set_retention(call: &Call<'_>, name: &str, days: Option<i64>) -> Answer {
    match call.store.set_retention(&call.region, name, days)? {
        true => Ok(json!({})),
        false => Err(not_found("group")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Describe {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    limit: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe(call: &Call<'_>) -> Answer {
    let request: Describe = call.parse()?;
    if request.log_group_name_prefix.is_some() && request.log_group_name_pattern.is_some() {
        return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
    }
    let size = request.limit.unwrap_or(GROUPS_PER_PAGE_MAX);
    if !(1..=GROUPS_PER_PAGE_MAX).contains(&size) {
        return Err(invalid(format!("limit must be from 1 to {GROUPS_PER_PAGE_MAX}.")));
    }
    let mut groups = call.store.log_groups(&call.region)?;
    groups.retain(|group| {
        request.log_group_name_prefix.as_ref().is_none_or(|prefix| group.name.starts_with(prefix))
            && request.log_group_name_pattern.as_ref().is_none_or(|pattern| group.name.contains(pattern))
    });
    let (groups, next) = page(groups, request.next_token.as_deref(), size, |group| group.name.clone());
    let shown: Vec<Value> = groups.iter().map(|group| shown(call, group)).collect();
    let mut answer = json!({ "logGroups": shown });
    if let Some(next) = next {
        answer["nextToken"] = next.into();
    }
    Ok(answer)
}

fn shown(call: &Call<'_>, group: &LogGroup) -> Value {
    let arn = call.arn("logs", &format!("log-group:{}", group.name));
    let mut shown = json!({
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "storedBytes": group.bytes,
        "logGroupClass": "STANDARD",
    });
    if let Some(days) = group.retention_days {
        shown["retentionInDays"] = days.into();
    }
    shown
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tags {
    resource_arn: String,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

pub(super) fn list_tags(call: &Call<'_>) -> Answer {
    let request: Tags = call.parse()?;
    let (_, tags) = tagged(call, &request.resource_arn)?;
    Ok(json!({ "tags": tags }))
}

pub(super) fn tag(call: &Call<'_>) -> Answer {
    let request: Tags = call.parse()?;
    let (name, mut tags) = tagged(call, &request.resource_arn)?;
    tags.extend(request.tags);
    call.store.set_log_group_tags(&call.region, &name, &json!(tags).to_string())?;
    Ok(json!({}))
}

pub(super) fn untag(call: &Call<'_>) -> Answer {
    let request: Tags = call.parse()?;
    let (name, mut tags) = tagged(call, &request.resource_arn)?;
    tags.retain(|key, _| !request.tag_keys.contains(key));
    call.store.set_log_group_tags(&call.region, &name, &json!(tags).to_string())?;
    Ok(json!({}))
}

/// The group of an ARN, and its tags.
fn tagged(call: &Call<'_>, arn: &str) -> Result<(String, BTreeMap<String, String>), AwsError> {
    let arn = arn.trim_end_matches(":*");
    let groups = call.store.log_groups(&call.region)?;
    let of_arn = |group: &&LogGroup| call.arn("logs", &format!("log-group:{}", group.name)) == arn;
    let group = groups.iter().find(of_arn).ok_or_else(|| not_found("group"))?;
    Ok((group.name.clone(), serde_json::from_str(&group.tags).map_err(|error| internal(&error))?))
}
