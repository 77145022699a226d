//! Log streams.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{exists, invalid, not_found};
use crate::call::{Answer, Call};
use crate::store::LogStream;

const STREAMS_PER_PAGE_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    log_group_name: String,
    log_stream_name: String,
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let Named { log_group_name, log_stream_name } = call.parse()?;
    let is_valid = (1..=512).contains(&log_stream_name.len()) && !log_stream_name.contains([':', '*']);
    if !is_valid {
        return Err(invalid("logStreamName must have 1 to 512 characters, and none of ':' and '*'."));
    }
    if !call.store.has_log_group(&call.region, &log_group_name)? {
        return Err(not_found("group"));
    }
    match call.store.create_log_stream(&call.region, &log_group_name, &log_stream_name, call.now_ms)? {
        true => Ok(json!({})),
        false => Err(exists("stream")),
    }
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let Named { log_group_name, log_stream_name } = call.parse()?;
    match call.store.delete_log_stream(&call.region, &log_group_name, &log_stream_name)? {
        true => Ok(json!({})),
        false => Err(not_found("stream")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Describe {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

pub(super) fn describe(call: &Call<'_>) -> Answer {
    let request: Describe = call.parse()?;
    let group = group_of(request.log_group_name.as_deref(), request.log_group_identifier.as_deref())?;
    if !call.store.has_log_group(&call.region, group)? {
        return Err(not_found("group"));
    }
    let size = request.limit.unwrap_or(STREAMS_PER_PAGE_MAX);
    if !(1..=STREAMS_PER_PAGE_MAX).contains(&size) {
        return Err(invalid(format!("limit must be from 1 to {STREAMS_PER_PAGE_MAX}.")));
    }
    let mut streams = call.store.log_streams(&call.region, group)?;
    streams
        .retain(|stream| request.log_stream_name_prefix.as_ref().is_none_or(|prefix| stream.name.starts_with(prefix)));
    match request.order_by.as_deref() {
        None | Some("LogStreamName") => {}
        Some("LastEventTime") if request.log_stream_name_prefix.is_some() => {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        Some("LastEventTime") => streams.sort_by_key(|stream| stream.last_ms),
        Some(other) => return Err(invalid(format!("orderBy {other} is not known."))),
    }
    if request.descending {
        streams.reverse();
    }
    let skipped: usize = match &request.next_token {
        None => 0,
        Some(token) => token.parse().map_err(|_| invalid("The specified nextToken is invalid."))?,
    };
    let shown: Vec<Value> = streams.iter().skip(skipped).take(size).map(|stream| shown(call, group, stream)).collect();
    let mut answer = json!({ "logStreams": shown });
    if streams.len() > skipped + size {
        answer["nextToken"] = (skipped + size).to_string().into();
    }
    Ok(answer)
}

/// The name of a group that is given by its name or by its ARN.
pub(super) fn group_of<'a>(name: Option<&'a str>, identifier: Option<&'a str>) -> Result<&'a str, aws_wire::AwsError> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => {
            let identifier = identifier.trim_end_matches(":*");
            Ok(identifier.split_once(":log-group:").map_or(identifier, |(_, name)| name))
        }
        _ => Err(invalid("Give logGroupName or logGroupIdentifier, and not both.")),
    }
}

fn shown(call: &Call<'_>, group: &str, stream: &LogStream) -> Value {
    let mut shown = json!({
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "arn": call.arn("logs", &format!("log-group:{group}:log-stream:{}", stream.name)),
        // AWS stopped to count them in 2019.
        "storedBytes": 0,
        "uploadSequenceToken": stream.number.to_string(),
    });
    let times = [
        ("firstEventTimestamp", stream.first_ms),
        ("lastEventTimestamp", stream.last_ms),
        ("lastIngestionTime", stream.ingested_ms),
    ];
    for (name, time_ms) in times {
        if let Some(time_ms) = time_ms {
            shown[name] = time_ms.into();
        }
    }
    shown
}
