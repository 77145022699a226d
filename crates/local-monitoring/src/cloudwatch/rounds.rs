//! Evaluates alarms, and changes their states.

use serde_json::json;
use tracing::info;

use super::alarm::Alarm;
use crate::evaluation::State;
use crate::statistic::by_period;
use crate::store::{HistoryItem, Result, Store};

/// Brings every alarm into the state that its metric asks for. May block.
pub(crate) fn evaluate_all(store: &Store, now_ms: i64) -> Result<()> {
    for (region, alarm) in store.alarms::<Alarm>()? {
        evaluate(store, &region, &alarm, now_ms)?;
    }
    Ok(())
}

fn evaluate(store: &Store, region: &str, alarm: &Alarm, now_ms: i64) -> Result<()> {
    let definition = &alarm.definition;
    let Some(statistic) = definition.statistic() else { return Ok(()) };
    let rule = definition.rule();
    let (from_ms, to_ms) = rule.range_ms(now_ms);
    let data = store.data(region, &definition.series(), definition.unit.as_deref(), from_ms, to_ms)?;
    let values = by_period(statistic, &data, rule.period_ms);
    let Some(state) = rule.decide(&values).filter(|state| *state != alarm.state) else { return Ok(()) };
    let reason = alarm.reason_for(state, &values);
    let recent: Vec<f64> = values.values().rev().take(rule.periods).copied().collect();
    let reason_data = json!({
        "version": "1.0",
        "statistic": definition.statistic.as_ref().or(definition.extended_statistic.as_ref()),
        "period": definition.period,
        "recentDatapoints": recent,
        "threshold": definition.threshold,
    });
    change(store, region, alarm, Change { state, reason, reason_data: Some(reason_data.to_string()), now_ms })
}

/// Into which state an alarm goes, and why.
pub(super) struct Change {
    pub state: State,
    pub reason: String,
    pub reason_data: Option<String>,
    pub now_ms: i64,
}

/// Changes the state of an alarm, unless somebody else changed the alarm meanwhile.
pub(super) fn change(store: &Store, region: &str, alarm: &Alarm, change: Change) -> Result<()> {
    let Change { state, reason, reason_data, now_ms } = change;
    let name = &alarm.definition.alarm_name;
    let after = Alarm { state, reason, reason_data, state_ms: now_ms, ..alarm.clone() };
    if !store.replace_alarm(region, name, alarm, &after)? {
        return Ok(());
    }
    let (from, to) = (alarm.state.name(), state.name());
    info!(alarm = name, from, to, "an alarm changed its state");
    let item = |kind: &str, summary: String, data: serde_json::Value| HistoryItem {
        alarm: name.clone(),
        time_ms: now_ms,
        kind: kind.to_owned(),
        summary,
        data: data.to_string(),
    };
    let data = json!({
        "version": "1.0",
        "oldState": { "stateValue": from, "stateReason": alarm.reason },
        "newState": { "stateValue": to, "stateReason": after.reason },
    });
    store.remember(region, &item("StateUpdate", format!("Alarm updated from {from} to {to}"), data))?;
    if alarm.definition.actions_enabled {
        for action in alarm.definition.actions_of(state) {
            // The services that actions name (SNS and others) are not served: that is said, not passed over.
            let summary = format!("Failed to execute action {action}");
            let data = json!({ "actionState": "Failed", "notificationResource": action, "error": "not served here" });
            store.remember(region, &item("Action", summary, data))?;
        }
    }
    Ok(())
}
