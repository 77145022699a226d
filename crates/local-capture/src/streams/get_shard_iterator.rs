//! GetShardIterator: a position in a shard, fixed when it is issued.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde::Deserialize;

use super::iterator::{Position, ShardIterator};
use super::{drain_error, find, not_found, trimmed};
use crate::dynamodb::error::validation;
use crate::region::Region;
use crate::shard_log::stream::Shard;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Request {
    stream_arn: String,
    shard_id: String,
    shard_iterator_type: String,
    sequence_number: Option<String>,
}

pub(super) async fn call(region: &Arc<Region>, request: Request) -> Result<Bytes, AwsError> {
    region.drain().await.map_err(drain_error)?;
    let stream = find(region, &request.stream_arn)?;
    let Some(shard) = stream.shards.values().find(|shard| shard.id == request.shard_id) else {
        return Err(not_found(format!(
            "Requested resource not found: Shard: {} in Stream: {} not found",
            request.shard_id, request.stream_arn
        )));
    };
    let iterator = ShardIterator {
        stream: stream.id,
        shard: shard.index,
        position: position(&request, shard)?,
        issued_ms: region.ambient.now_ms(),
    };
    let answer = serde_json::json!({"ShardIterator": iterator.encode()});
    Ok(Bytes::from(answer.to_string()))
}

fn position(request: &Request, shard: &Shard) -> Result<Position, AwsError> {
    let iterator_type = request.shard_iterator_type.as_str();
    if request.sequence_number.is_some() && matches!(iterator_type, "TRIM_HORIZON" | "LATEST") {
        return Err(validation(
            "One or more parameter values were invalid: SequenceNumber should not be passed for this iterator type",
        ));
    }
    match iterator_type {
        "TRIM_HORIZON" => Ok(Position::TrimHorizon),
        "LATEST" => Ok(Position::From(shard.end())),
        "AT_SEQUENCE_NUMBER" => Ok(Position::From(sequence_number(request, shard)?)),
        "AFTER_SEQUENCE_NUMBER" => Ok(Position::From(sequence_number(request, shard)? + 1)),
        other => Err(validation(format!(
            "1 validation error detected: Value '{other}' at 'shardIteratorType' failed to satisfy constraint: \
             Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"
        ))),
    }
}

/// The request's sequence number, which must lie in the shard and not be trimmed.
fn sequence_number(request: &Request, shard: &Shard) -> Result<u128, AwsError> {
    let Some(text) = &request.sequence_number else {
        return Err(validation("One or more parameter values were invalid: Invalid SequenceNumber"));
    };
    if !(21..=40).contains(&text.len()) {
        return Err(validation(format!(
            "1 validation error detected: Value '{text}' at 'sequenceNumber' failed to satisfy constraint: \
             Member must have length between 21 and 40"
        )));
    }
    let Ok(sequence) = text.parse::<u128>() else {
        // Forty digits may be more than any number of ours.
        return Err(validation("Invalid SequenceNumber for the shard"));
    };
    if shard.trimmed.is_some_and(|trimmed| sequence <= trimmed) {
        return Err(trimmed());
    }
    // A number that was never given would make a reader skip all that comes before it.
    if sequence < shard.starting || sequence > shard.last.unwrap_or(shard.starting) {
        return Err(validation("Invalid SequenceNumber for the shard"));
    }
    Ok(sequence)
}
