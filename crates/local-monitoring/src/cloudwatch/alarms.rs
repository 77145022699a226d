//! Alarms are put, shown, set and deleted.

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::alarm::{Alarm, Definition, Tag};
use super::error::{invalid_token, no_alarm, validation};
use super::read::Metric;
use super::rounds::{Change, change};
use crate::call::{Answer, Call, internal, page};
use crate::evaluation::State;
use crate::metric::Dimension;
use crate::store::HistoryItem;

const ALARMS_PER_PAGE: usize = 50;
const ALARMS_PER_PAGE_MAX: usize = 100;
const NAMES_MAX: usize = 100;
const TAGS_MAX: usize = 50;

/// Makes an alarm, or gives one that is there another definition and keeps its state.
pub(super) fn put(call: &Call<'_>) -> Answer {
    let definition: Definition = call.parse()?;
    definition.check()?;
    let name = definition.alarm_name.clone();
    let arn = call.arn("cloudwatch", &format!("alarm:{name}"));
    let before: Option<Alarm> = call.store.alarm(&call.region, &name)?;
    let summary = format!("Alarm \"{name}\" {}", if before.is_some() { "updated" } else { "created" });
    let alarm = match before {
        // Tags of an alarm that is there are not changed by putting it.
        Some(before) => {
            let definition = Definition { tags: before.definition.tags.clone(), ..definition };
            Alarm { definition, configured_ms: call.now_ms, ..before }
        }
        None => Alarm::new(definition, arn, call.now_ms),
    };
    call.store.put_alarm(&call.region, &name, &alarm)?;
    remember(call, &name, summary)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Names {
    alarm_names: Vec<String>,
}

/// Names that no alarm has are passed over, as AWS does.
pub(super) fn delete(call: &Call<'_>) -> Answer {
    let Names { alarm_names } = call.parse()?;
    if alarm_names.len() > NAMES_MAX {
        return Err(validation(format!("AlarmNames must have at most {NAMES_MAX} members")));
    }
    call.store.delete_alarms(&call.region, &alarm_names)?;
    Ok(json!({}))
}

pub(super) fn set_actions(call: &Call<'_>, enabled: bool) -> Answer {
    let Names { alarm_names } = call.parse()?;
    for name in &alarm_names {
        if let Some(mut alarm) = call.store.alarm::<Alarm>(&call.region, name)? {
            alarm.definition.actions_enabled = enabled;
            call.store.put_alarm(&call.region, name, &alarm)?;
        }
    }
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Describe {
    alarm_names: Option<Vec<String>>,
    alarm_name_prefix: Option<String>,
    alarm_types: Option<Vec<String>>,
    state_value: Option<State>,
    action_prefix: Option<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe(call: &Call<'_>) -> Answer {
    let request: Describe = call.parse()?;
    let size = request.max_records.unwrap_or(ALARMS_PER_PAGE);
    if !(1..=ALARMS_PER_PAGE_MAX).contains(&size) {
        return Err(validation(format!("MaxRecords must be from 1 to {ALARMS_PER_PAGE_MAX}")));
    }
    if request.alarm_names.is_some() && request.alarm_name_prefix.is_some() {
        return Err(validation("Give AlarmNames or AlarmNamePrefix, and not both"));
    }
    let wants_metric_alarms =
        request.alarm_types.as_ref().is_none_or(|types| types.iter().any(|kind| kind == "MetricAlarm"));
    let is_wanted = |alarm: &Alarm| {
        let definition = &alarm.definition;
        let name = &definition.alarm_name;
        let has_action = |prefix: &String| {
            let actions = [&definition.ok_actions, &definition.alarm_actions, &definition.insufficient_data_actions];
            actions.into_iter().flatten().any(|action| action.starts_with(prefix))
        };
        wants_metric_alarms
            && request.alarm_names.as_ref().is_none_or(|names| names.contains(name))
            && request.alarm_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
            && request.state_value.is_none_or(|state| state == alarm.state)
            && request.action_prefix.as_ref().is_none_or(has_action)
    };
    let mut alarms = of_region(call)?;
    alarms.retain(is_wanted);
    let is_token = |token: &str| alarms.iter().any(|alarm| alarm.definition.alarm_name == token);
    if request.next_token.as_deref().is_some_and(|token| !is_token(token)) {
        return Err(invalid_token());
    }
    let name = |alarm: &Alarm| alarm.definition.alarm_name.clone();
    let (alarms, next) = page(alarms, request.next_token.as_deref(), size, name);
    let mut answer = json!({ "CompositeAlarms": [], "MetricAlarms": shown(&alarms)? });
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ForMetric {
    metric_name: String,
    namespace: String,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    period: Option<i64>,
    unit: Option<String>,
}

pub(super) fn describe_for_metric(call: &Call<'_>) -> Answer {
    let ForMetric { metric_name, namespace, statistic, extended_statistic, dimensions, period, unit } = call.parse()?;
    let series = Metric { namespace, metric_name, dimensions }.series();
    let mut alarms = of_region(call)?;
    alarms.retain(|Alarm { definition, .. }| {
        definition.series() == series
            && (statistic.is_none() || definition.statistic == statistic)
            && (extended_statistic.is_none() || definition.extended_statistic == extended_statistic)
            && period.is_none_or(|period| definition.period == period)
            && (unit.is_none() || definition.unit == unit)
    });
    Ok(json!({ "MetricAlarms": shown(&alarms)? }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SetState {
    alarm_name: String,
    state_value: State,
    state_reason: String,
    state_reason_data: Option<String>,
}

/// Sets a state by hand. The next evaluation sets the one that the metric asks for.
pub(super) fn set_state(call: &Call<'_>) -> Answer {
    let SetState { alarm_name, state_value, state_reason, state_reason_data } = call.parse()?;
    let alarm: Alarm = call.store.alarm(&call.region, &alarm_name)?.ok_or_else(|| no_alarm(&alarm_name))?;
    let (state, reason, reason_data) = (state_value, state_reason, state_reason_data);
    change(call.store, &call.region, &alarm, Change { state, reason, reason_data, now_ms: call.now_ms })?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Tags {
    #[serde(rename = "ResourceARN")]
    resource_arn: String,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    tag_keys: Vec<String>,
}

pub(super) fn list_tags(call: &Call<'_>) -> Answer {
    let request: Tags = call.parse()?;
    Ok(json!({ "Tags": by_arn(call, &request.resource_arn)?.definition.tags }))
}

pub(super) fn tag(call: &Call<'_>) -> Answer {
    let Tags { resource_arn, tags: added, .. } = call.parse()?;
    change_tags(call, &resource_arn, |tags| {
        tags.retain(|tag| added.iter().all(|other| other.key != tag.key));
        tags.extend(added);
    })
}

pub(super) fn untag(call: &Call<'_>) -> Answer {
    let Tags { resource_arn, tag_keys, .. } = call.parse()?;
    change_tags(call, &resource_arn, |tags| tags.retain(|tag| !tag_keys.contains(&tag.key)))
}

fn change_tags(call: &Call<'_>, arn: &str, edit: impl FnOnce(&mut Vec<Tag>)) -> Answer {
    let mut alarm = by_arn(call, arn)?;
    edit(&mut alarm.definition.tags);
    if alarm.definition.tags.len() > TAGS_MAX {
        return Err(validation(format!("A resource has at most {TAGS_MAX} tags")));
    }
    call.store.put_alarm(&call.region, &alarm.definition.alarm_name, &alarm)?;
    Ok(json!({}))
}

fn by_arn(call: &Call<'_>, arn: &str) -> Result<Alarm, AwsError> {
    of_region(call)?.into_iter().find(|alarm| alarm.arn == arn).ok_or_else(|| no_alarm(arn))
}

/// The caller's alarms by name.
fn of_region(call: &Call<'_>) -> Result<Vec<Alarm>, AwsError> {
    let alarms = call.store.alarms::<Alarm>()?.into_iter();
    Ok(alarms.filter(|(region, _)| *region == call.region).map(|(_, alarm)| alarm).collect())
}

fn shown(alarms: &[Alarm]) -> Result<Vec<Value>, AwsError> {
    alarms.iter().map(Alarm::describe).collect::<Result<_, _>>().map_err(|error| internal(&error))
}

fn remember(call: &Call<'_>, alarm: &str, summary: String) -> Result<(), AwsError> {
    let kind = "ConfigurationUpdate".to_owned();
    let item = HistoryItem { alarm: alarm.to_owned(), time_ms: call.now_ms, kind, summary, data: "{}".to_owned() };
    Ok(call.store.remember(&call.region, &item)?)
}
