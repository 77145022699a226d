//! Log events are put, read and looked for.

use serde::Deserialize;
use serde_json::{Value, json};

use super::embedded_metrics;
use super::filter::Filter;
use super::streams::group_of;
use super::{invalid, not_found};
use crate::call::{Answer, Call};
use crate::store::{Event, EventQuery};

/// What one call may bring: events, and bytes with 26 for each event.
const EVENTS_MAX: usize = 10_000;
const BYTES_MAX: usize = 1_048_576;
const EVENT_BYTES: usize = 26;
/// How far from now an event may be, and how far from each other those of one call.
const PAST_MS: i64 = 14 * 24 * 60 * 60 * 1_000;
const FUTURE_MS: i64 = 2 * 60 * 60 * 1_000;
const SPAN_MS: i64 = 24 * 60 * 60 * 1_000;
const EVENTS_PER_PAGE_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Put {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputEvent>,
    // Since 2023 tokens are taken and not looked at.
    #[serde(rename = "sequenceToken")]
    _sequence_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InputEvent {
    timestamp: i64,
    message: String,
}

/// Events that are too old or too new are passed over, and told of; the others are kept.
pub(super) fn put(call: &Call<'_>) -> Answer {
    let request: Put = call.parse()?;
    let (group, stream) = (&request.log_group_name, &request.log_stream_name);
    if !call.store.has_log_group(&call.region, group)? {
        return Err(not_found("group"));
    }
    let Some(number) = call.store.log_stream_number(&call.region, group, stream)? else {
        return Err(not_found("stream"));
    };
    let events = &request.log_events;
    if !(1..=EVENTS_MAX).contains(&events.len()) {
        return Err(invalid(format!("logEvents must have 1 to {EVENTS_MAX} members.")));
    }
    let bytes: usize = events.iter().map(|event| event.message.len() + EVENT_BYTES).sum();
    if bytes > BYTES_MAX {
        return Err(invalid(format!("Upload too large: {bytes} bytes exceeds limit of {BYTES_MAX}")));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    if events[events.len() - 1].timestamp - events[0].timestamp > SPAN_MS {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    let too_old = events.partition_point(|event| event.timestamp < call.now_ms - PAST_MS);
    let too_new = events.partition_point(|event| event.timestamp <= call.now_ms + FUTURE_MS);
    let kept: Vec<(i64, &str)> =
        events[too_old..too_new].iter().map(|event| (event.timestamp, event.message.as_str())).collect();
    call.store.put_events(number, &kept, call.now_ms)?;
    embedded_metrics::extract(call, &kept)?;
    let mut answer = json!({ "nextSequenceToken": number.to_string() });
    if too_old > 0 {
        answer["rejectedLogEventsInfo"]["tooOldLogEventEndIndex"] = too_old.into();
    }
    if too_new < events.len() {
        answer["rejectedLogEventsInfo"]["tooNewLogEventStartIndex"] = too_new.into();
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Get {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    start_from_head: bool,
}

/// A page from the head, or from the tail. A token is `f/N` or `b/N`: the event, among those of its time, to go on at.
pub(super) fn get(call: &Call<'_>) -> Answer {
    let request: Get = call.parse()?;
    let group = group_of(request.log_group_name.as_deref(), request.log_group_identifier.as_deref())?;
    if call.store.log_stream_number(&call.region, group, &request.log_stream_name)?.is_none() {
        let is_there = call.store.has_log_group(&call.region, group)?;
        return Err(not_found(if is_there { "stream" } else { "group" }));
    }
    let size = page_size(request.limit)?;
    let events = call.store.events(&EventQuery {
        region: &call.region,
        group,
        stream: Some(&request.log_stream_name),
        from_ms: request.start_time.unwrap_or(0),
        to_ms: request.end_time.unwrap_or(i64::MAX),
    })?;
    let token = request.next_token.as_deref().map(|token| {
        let (way, at) = token.split_once('/').ok_or(())?;
        Ok::<_, ()>((way == "f", at.parse::<usize>().map_err(|_| ())?))
    });
    let bad_token = |()| invalid("The specified nextToken is invalid.");
    let (from, to) = match token.transpose().map_err(bad_token)? {
        Some((true, at)) => (at.min(events.len()), (at + size).min(events.len())),
        Some((false, at)) => (at.saturating_sub(size), at.min(events.len())),
        None if request.start_from_head => (0, size.min(events.len())),
        None => (events.len().saturating_sub(size), events.len()),
    };
    let shown: Vec<Value> = events[from..to]
        .iter()
        .map(|it| json!({ "timestamp": it.time_ms, "message": it.message, "ingestionTime": it.ingested_ms }))
        .collect();
    Ok(json!({ "events": shown, "nextForwardToken": format!("f/{to}"), "nextBackwardToken": format!("b/{from}") }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Search {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
    // Deprecated: events of all streams have been in one order since 2019.
    #[serde(rename = "interleaved")]
    _interleaved: Option<bool>,
}

pub(super) fn filter(call: &Call<'_>) -> Answer {
    let request: Search = call.parse()?;
    let group = group_of(request.log_group_name.as_deref(), request.log_group_identifier.as_deref())?;
    if !call.store.has_log_group(&call.region, group)? {
        return Err(not_found("group"));
    }
    if request.log_stream_names.is_some() && request.log_stream_name_prefix.is_some() {
        return Err(invalid("Give logStreamNames or logStreamNamePrefix, and not both."));
    }
    let filter = Filter::parse(request.filter_pattern.as_deref().unwrap_or_default()).map_err(invalid)?;
    let size = page_size(request.limit)?;
    let mut events = call.store.events(&EventQuery {
        region: &call.region,
        group,
        stream: None,
        from_ms: request.start_time.unwrap_or(0),
        to_ms: request.end_time.map_or(i64::MAX, |end_ms| end_ms.saturating_add(1)),
    })?;
    events.retain(|event| {
        request.log_stream_names.as_ref().is_none_or(|names| names.contains(&event.stream))
            && request.log_stream_name_prefix.as_ref().is_none_or(|prefix| event.stream.starts_with(prefix))
            && filter.matches(&event.message)
    });
    let skipped: usize = match &request.next_token {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid("The specified nextToken is invalid."))?,
    };
    let shown: Vec<Value> = events.iter().skip(skipped).take(size).map(found).collect();
    let mut answer = json!({ "events": shown, "searchedLogStreams": [] });
    if events.len() > skipped + size {
        answer["nextToken"] = (skipped + size).to_string().into();
    }
    Ok(answer)
}

fn found(event: &Event) -> Value {
    json!({
        "logStreamName": event.stream,
        "timestamp": event.time_ms,
        "message": event.message,
        "ingestionTime": event.ingested_ms,
        "eventId": format!("{:056}", event.number),
    })
}

fn page_size(limit: Option<usize>) -> Result<usize, aws_wire::AwsError> {
    let size = limit.unwrap_or(EVENTS_PER_PAGE_MAX);
    match (1..=EVENTS_PER_PAGE_MAX).contains(&size) {
        true => Ok(size),
        false => Err(invalid(format!("limit must be from 1 to {EVENTS_PER_PAGE_MAX}."))),
    }
}
