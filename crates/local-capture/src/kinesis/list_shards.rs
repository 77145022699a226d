//! ListShards: the shards of a stream, page by page, all of them or those of a moment.

use std::sync::Arc;

use aws_wire::AwsError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{invalid_argument, not_found, within};
use super::stream::{Shard, Stream, shard_index};
use super::{Named, answer, describe_shard, millis};
use crate::region::Region;

const SHARDS_MAX: i64 = 10_000;
const SHARDS_DEFAULT: i64 = 1_000;
const TOKEN_LIFE_MS: i64 = 300_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Request {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    next_token: Option<String>,
    exclusive_start_shard_id: Option<String>,
    max_results: Option<i64>,
    stream_creation_timestamp: Option<f64>,
    shard_filter: Option<ShardFilter>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ShardFilter {
    #[serde(rename = "Type")]
    filter_type: String,
    shard_id: Option<String>,
    timestamp: Option<f64>,
}

/// Carries all that the next page needs.
#[derive(Serialize, Deserialize)]
struct Token {
    stream: u64,
    after: u32,
    filter: Option<ShardFilter>,
    issued_ms: i64,
}

pub(super) fn call(region: &Arc<Region>, request: Request) -> Result<Bytes, AwsError> {
    let limit = within("maxResults", request.max_results.unwrap_or(SHARDS_DEFAULT), 1, SHARDS_MAX)? as usize;
    let now_ms = region.ambient.now_ms();
    let (stream, after, filter) = match &request.next_token {
        Some(token) => continued(region, &request, token, now_ms)?,
        None => begun(region, request)?,
    };
    let start = after.map_or(0, |after| after.saturating_add(1));
    let is_wanted = wanted(&stream, filter.as_ref(), now_ms)?;
    let mut shards: Vec<&Shard> =
        stream.shards.range(start..).map(|(_, shard)| shard).filter(|shard| is_wanted(shard)).collect();
    let has_more = shards.len() > limit;
    shards.truncate(limit);
    let mut page = json!({"Shards": shards.iter().map(|shard| describe_shard(shard)).collect::<Vec<Value>>()});
    if let Some(last) = shards.last().filter(|_| has_more) {
        let token = Token { stream: stream.id, after: last.index, filter, issued_ms: now_ms };
        let token = serde_json::to_vec(&token).expect("numbers and text serialise");
        page["NextToken"] = URL_SAFE_NO_PAD.encode(token).into();
    }
    Ok(answer(&page))
}

type Listing = (Arc<Stream>, Option<u32>, Option<ShardFilter>);

fn begun(region: &Region, request: Request) -> Result<Listing, AwsError> {
    let stream = Named::new(request.stream_name, request.stream_arn).find(region)?;
    if let Some(timestamp) = request.stream_creation_timestamp
        && millis(timestamp) / 1000 != stream.created_ms / 1000
    {
        return Err(not_found(format!("Stream {} was not made at {timestamp}", stream.name)));
    }
    let after = match &request.exclusive_start_shard_id {
        Some(id) => Some(shard_index(id).ok_or_else(|| invalid_argument(format!("Invalid ShardId: {id}")))?),
        None => None,
    };
    Ok((stream, after, request.shard_filter))
}

fn continued(region: &Region, request: &Request, token: &str, now_ms: i64) -> Result<Listing, AwsError> {
    if request.stream_name.is_some() || request.stream_arn.is_some() {
        return Err(invalid_argument("NextToken and StreamName cannot be provided together."));
    }
    if request.exclusive_start_shard_id.is_some()
        || request.stream_creation_timestamp.is_some()
        || request.shard_filter.is_some()
    {
        return Err(invalid_argument("NextToken already says which shards are listed"));
    }
    let token: Option<Token> = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let token = token.ok_or_else(|| invalid_argument("NextToken is invalid."))?;
    if now_ms - token.issued_ms > TOKEN_LIFE_MS {
        return Err(AwsError::bad_request("ExpiredNextTokenException", "NextToken has expired."));
    }
    let stream = region.kinesis.catalog().streams.get(&token.stream).cloned();
    let stream = stream.ok_or_else(|| not_found("The stream of this NextToken is not there any more"))?;
    Ok((stream, Some(token.after), token.filter))
}

type IsWanted = Box<dyn Fn(&Shard) -> bool>;

/// Which shards a filter lets through.
fn wanted(stream: &Stream, filter: Option<&ShardFilter>, now_ms: i64) -> Result<IsWanted, AwsError> {
    let horizon_ms = (now_ms - stream.retention_ms()).max(stream.created_ms);
    let is_within = |shard: &Shard, at_ms: i64| shard.closed.is_none_or(|closed| closed.at_ms >= at_ms);
    let Some(filter) = filter else { return Ok(Box::new(move |shard| is_within(shard, horizon_ms))) };
    let timestamp = || {
        let timestamp = filter.timestamp.map(millis);
        timestamp
            .ok_or_else(|| invalid_argument(format!("ShardFilter of type {} needs a Timestamp", filter.filter_type)))
    };
    Ok(match filter.filter_type.as_str() {
        "AFTER_SHARD_ID" => {
            let id = filter.shard_id.as_deref().unwrap_or_default();
            let after = shard_index(id).ok_or_else(|| invalid_argument("ShardFilter needs the ShardId of a shard"))?;
            Box::new(move |shard| shard.index > after)
        }
        "AT_LATEST" => Box::new(Shard::is_open),
        "AT_TRIM_HORIZON" => Box::new(move |shard| shard.opened_ms <= horizon_ms && is_within(shard, horizon_ms)),
        "FROM_TRIM_HORIZON" => Box::new(move |shard| is_within(shard, horizon_ms)),
        "AT_TIMESTAMP" => {
            let at_ms = timestamp()?.max(horizon_ms);
            Box::new(move |shard| shard.opened_ms <= at_ms && is_within(shard, at_ms))
        }
        "FROM_TIMESTAMP" => {
            let at_ms = timestamp()?.max(horizon_ms);
            Box::new(move |shard| is_within(shard, at_ms))
        }
        other => return Err(invalid_argument(format!("Invalid ShardFilter type: {other}"))),
    })
}
