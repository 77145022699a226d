//! Tags of work groups and data catalogs.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::athena::data_catalogs::DataCatalog;
use crate::athena::work_groups::{self, Tag, WorkGroup, administrators_only};
use crate::athena::{Answer, Call, executions};

const TAGS_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

/// What may have tags.
enum Tagged {
    WorkGroup(String, WorkGroup),
    DataCatalog(String, DataCatalog),
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let mut tagged = find(call, &request.resource_arn)?;
    let tags: Vec<Value> = tagged.tags().iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    Ok(json!({ "Tags": tags }))
}

pub(super) fn tag(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    change(call, &request.resource_arn, |tags| {
        tags.extend(request.tags.into_iter().map(|tag| (tag.key, tag.value)));
    })
}

pub(super) fn untag(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    change(call, &request.resource_arn, |tags| tags.retain(|key, _| !request.tag_keys.contains(key)))
}

fn change(call: &Call<'_>, arn: &str, edit: impl FnOnce(&mut BTreeMap<String, String>)) -> Answer {
    administrators_only(call)?;
    let mut tagged = find(call, arn)?;
    edit(tagged.tags());
    if tagged.tags().len() > TAGS_MAX {
        return Err(super::failure::invalid(format!("A resource has at most {TAGS_MAX} tags")));
    }
    let region = call.region.key();
    match tagged {
        Tagged::WorkGroup(name, group) => call.store().put(&region, &name, &group)?,
        Tagged::DataCatalog(name, catalog) => call.store().put(&region, &name, &catalog)?,
    }
    Ok(executions::done())
}

impl Tagged {
    fn tags(&mut self) -> &mut BTreeMap<String, String> {
        match self {
            Self::WorkGroup(_, group) => &mut group.tags,
            Self::DataCatalog(_, catalog) => &mut catalog.tags,
        }
    }
}

/// `arn:aws:athena:<region>:<account>:workgroup/<name>`, or `…:datacatalog/<name>`.
fn find(call: &Call<'_>, arn: &str) -> Result<Tagged, AwsError> {
    let not_found = || AwsError::bad_request("ResourceNotFoundException", format!("Resource {arn} was not found"));
    let prefix = format!("arn:aws:athena:{}:{}:", call.region.name, call.region.account_id);
    let (kind, name) = arn.strip_prefix(&prefix).and_then(|rest| rest.split_once('/')).ok_or_else(not_found)?;
    match kind {
        "workgroup" => Ok(Tagged::WorkGroup(name.to_owned(), work_groups::find(call, name).map_err(|_| not_found())?)),
        "datacatalog" => {
            let catalog = call.store().get(&call.region.key(), name)?.ok_or_else(not_found)?;
            Ok(Tagged::DataCatalog(name.to_owned(), catalog))
        }
        _ => Err(not_found()),
    }
}
