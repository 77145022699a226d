//! DescribeAlarmHistory.

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{invalid_token, validation};
use crate::call::{Answer, Call, milliseconds, seconds};
use crate::store::HistoryItem;

const ITEMS_PER_PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    alarm_name: Option<String>,
    alarm_types: Option<Vec<String>>,
    history_item_type: Option<String>,
    start_date: Option<f64>,
    end_date: Option<f64>,
    max_records: Option<usize>,
    next_token: Option<String>,
    scan_by: Option<String>,
}

pub(super) fn describe(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let is_ascending = match request.scan_by.as_deref() {
        None | Some("TimestampDescending") => false,
        Some("TimestampAscending") => true,
        Some(other) => return Err(validation(format!("ScanBy {other} is not known"))),
    };
    let size = request.max_records.unwrap_or(ITEMS_PER_PAGE);
    if !(1..=ITEMS_PER_PAGE).contains(&size) {
        return Err(validation(format!("MaxRecords must be from 1 to {ITEMS_PER_PAGE}")));
    }
    let skipped: usize = match &request.next_token {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid_token())?,
    };
    let wants_metric_alarms =
        request.alarm_types.as_ref().is_none_or(|types| types.iter().any(|kind| kind == "MetricAlarm"));
    let is_wanted = |item: &HistoryItem| {
        wants_metric_alarms
            && request.history_item_type.as_ref().is_none_or(|kind| *kind == item.kind)
            && request.start_date.is_none_or(|start| item.time_ms >= milliseconds(start))
            && request.end_date.is_none_or(|end| item.time_ms <= milliseconds(end))
    };
    let mut items = call.store.history(&call.region, request.alarm_name.as_deref())?;
    items.retain(is_wanted);
    if is_ascending {
        items.reverse();
    }
    let page: Vec<Value> = items.iter().skip(skipped).take(size).map(shown).collect();
    let mut answer = json!({ "AlarmHistoryItems": page });
    if items.len() > skipped + size {
        answer["NextToken"] = (skipped + size).to_string().into();
    }
    Ok(answer)
}

fn shown(item: &HistoryItem) -> Value {
    json!({
        "AlarmName": item.alarm,
        "AlarmType": "MetricAlarm",
        "Timestamp": seconds(item.time_ms),
        "HistoryItemType": item.kind,
        "HistorySummary": item.summary,
        "HistoryData": item.data,
    })
}
