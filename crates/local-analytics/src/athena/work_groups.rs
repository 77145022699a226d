//! Work groups: where results go, what may be scanned, and whether the caller has a say in it.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::athena::execution::without_nulls;
use crate::athena::failure::invalid;
use crate::athena::{Answer, Call, executions};
use crate::json::seconds;
use crate::store::Document;

/// The work group that is always there.
pub(super) const PRIMARY: &str = "primary";
const BYTES_SCANNED_CUTOFF_MIN: u64 = 10_000_000;
const PAGE_MAX: usize = 50;

/// Kept as it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WorkGroup {
    pub output_location: Option<String>,
    /// The settings here overrule those of a query.
    pub is_enforced: bool,
    pub bytes_scanned_cutoff_per_query: Option<u64>,
    pub is_enabled: bool,
    pub publishes_metrics: bool,
    pub description: String,
    pub created_ms: i64,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl Document for WorkGroup {
    const KIND: &'static str = "work group";
}

impl WorkGroup {
    fn primary() -> Self {
        Self {
            output_location: None,
            is_enforced: false,
            bytes_scanned_cutoff_per_query: None,
            is_enabled: true,
            publishes_metrics: false,
            description: String::new(),
            created_ms: 0,
            tags: BTreeMap::new(),
        }
    }

    fn state(&self) -> &'static str {
        if self.is_enabled { "ENABLED" } else { "DISABLED" }
    }

    fn shown(&self, name: &str) -> Value {
        let output = self.output_location.as_ref().map(|location| json!({ "OutputLocation": location }));
        json!({
            "Name": name,
            "State": self.state(),
            "Configuration": without_nulls(json!({
                "ResultConfiguration": output.unwrap_or_else(|| json!({})),
                "EnforceWorkGroupConfiguration": self.is_enforced,
                "PublishCloudWatchMetricsEnabled": self.publishes_metrics,
                "BytesScannedCutoffPerQuery": self.bytes_scanned_cutoff_per_query,
                "RequesterPaysEnabled": false,
                "EngineVersion": engine_version(),
            })),
            "Description": self.description,
            "CreationTime": seconds(self.created_ms),
        })
    }
}

pub(super) fn engine_version() -> Value {
    json!({ "SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3" })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    output_location: Option<String>,
    #[serde(default)]
    remove_output_location: bool,
}

/// Settings of a new work group, or changes to those of an old one; the API has two names for the first member.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    #[serde(alias = "ResultConfigurationUpdates")]
    result_configuration: Option<Output>,
    enforce_work_group_configuration: Option<bool>,
    publish_cloud_watch_metrics_enabled: Option<bool>,
    bytes_scanned_cutoff_per_query: Option<u64>,
    #[serde(default)]
    remove_bytes_scanned_cutoff_per_query: bool,
}

impl Configuration {
    fn apply(self, group: &mut WorkGroup) -> Result<(), AwsError> {
        let output = self.result_configuration.unwrap_or_default();
        if output.remove_output_location {
            group.output_location = None;
        }
        if let Some(location) = output.output_location.filter(|location| !location.is_empty()) {
            super::start::parse_location(&location)?;
            group.output_location = Some(location);
        }
        if self.remove_bytes_scanned_cutoff_per_query {
            group.bytes_scanned_cutoff_per_query = None;
        }
        if let Some(cutoff) = self.bytes_scanned_cutoff_per_query {
            if cutoff < BYTES_SCANNED_CUTOFF_MIN {
                return Err(invalid(format!("BytesScannedCutoffPerQuery must be at least {BYTES_SCANNED_CUTOFF_MIN}")));
            }
            group.bytes_scanned_cutoff_per_query = Some(cutoff);
        }
        group.is_enforced = self.enforce_work_group_configuration.unwrap_or(group.is_enforced);
        group.publishes_metrics = self.publish_cloud_watch_metrics_enabled.unwrap_or(group.publishes_metrics);
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    pub key: String,
    pub value: String,
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        name: String,
        configuration: Option<Configuration>,
        #[serde(default)]
        description: String,
        #[serde(default)]
        tags: Vec<Tag>,
    }
    let request: Request = call.parse()?;
    check_name(&request.name)?;
    administrators_only(call)?;
    let mut group = WorkGroup {
        // Of a work group that says nothing, AWS enforces the settings.
        is_enforced: true,
        publishes_metrics: true,
        description: request.description,
        created_ms: call.athena.ambient.now_ms(),
        tags: request.tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        ..WorkGroup::primary()
    };
    request.configuration.unwrap_or_default().apply(&mut group)?;
    if request.name == PRIMARY || !call.store().insert(&call.region.key(), &request.name, &group)? {
        return Err(invalid("WorkGroup is already created"));
    }
    Ok(executions::done())
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let name = named(call)?;
    Ok(json!({ "WorkGroup": find(call, &name)?.shown(&name) }))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        work_group: String,
        description: Option<String>,
        configuration_updates: Option<Configuration>,
        state: Option<String>,
    }
    let request: Request = call.parse()?;
    administrators_only(call)?;
    let mut group = find(call, &request.work_group)?;
    request.configuration_updates.unwrap_or_default().apply(&mut group)?;
    group.description = request.description.unwrap_or(group.description);
    match request.state.as_deref() {
        None => {}
        Some("ENABLED") => group.is_enabled = true,
        Some("DISABLED") => group.is_enabled = false,
        Some(other) => return Err(invalid(format!("State must be ENABLED or DISABLED, not {other}"))),
    }
    call.store().put(&call.region.key(), &request.work_group, &group)?;
    Ok(executions::done())
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        work_group: String,
        #[serde(default)]
        recursive_delete_option: bool,
    }
    let request: Request = call.parse()?;
    administrators_only(call)?;
    if request.work_group == PRIMARY {
        return Err(invalid("The primary WorkGroup cannot be deleted"));
    }
    find(call, &request.work_group)?;
    let region = call.region.key();
    let is_used = !call.store().executions(&region, &request.work_group, i64::MAX, 1)?.is_empty();
    if is_used && !request.recursive_delete_option {
        return Err(invalid(format!("WorkGroup {} is not empty", request.work_group)));
    }
    call.store().delete::<WorkGroup>(&region, &request.work_group)?;
    Ok(executions::done())
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let mut groups: BTreeMap<String, WorkGroup> = call.store().list(&call.region.key(), "")?.into_iter().collect();
    groups.entry(PRIMARY.to_owned()).or_insert_with(WorkGroup::primary);
    let shown = groups.iter().map(|(name, group)| {
        let summary = json!({
            "Name": name,
            "State": group.state(),
            "Description": group.description,
            "CreationTime": seconds(group.created_ms),
            "EngineVersion": engine_version(),
        });
        (name.clone(), summary)
    });
    super::paging::page(call, "WorkGroups", shown.collect(), PAGE_MAX)
}

pub(super) fn list_engine_versions(_call: &Call<'_>) -> Answer {
    Ok(json!({ "EngineVersions": [engine_version()] }))
}

pub(super) fn find(call: &Call<'_>, name: &str) -> Result<WorkGroup, AwsError> {
    let found = call.store().get(&call.region.key(), name)?;
    match found {
        Some(group) => Ok(group),
        None if name == PRIMARY => Ok(WorkGroup::primary()),
        None => Err(invalid("WorkGroup is not found.")),
    }
}

/// A work group that takes queries.
pub(super) fn enabled(call: &Call<'_>, name: &str) -> Result<WorkGroup, AwsError> {
    let group = find(call, name)?;
    if group.is_enabled { Ok(group) } else { Err(invalid(format!("WorkGroup {name} is disabled."))) }
}

/// Refuses those whom settings are to bind.
pub(super) fn administrators_only(call: &Call<'_>) -> Result<(), AwsError> {
    let identity = &call.caller.identity;
    if identity.is_administrator {
        return Ok(());
    }
    let message = format!("User: {} is not authorized to perform this operation", identity.arn);
    Err(AwsError::bad_request("AccessDeniedException", message))
}

fn named(call: &Call<'_>) -> Result<String, AwsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        work_group: String,
    }
    let Request { work_group } = call.parse()?;
    Ok(work_group)
}

fn check_name(name: &str) -> Result<(), AwsError> {
    let is_valid = (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if is_valid { Ok(()) } else { Err(invalid(format!("{name} is not a valid name of a WorkGroup"))) }
}
