//! GetShardIterator: a position in a shard, fixed when it is issued.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::error::{internal_failure, invalid_argument, shard_not_found, validation};
use super::stream::{Shard, Stream, shard_index};
use super::{Named, answer, millis, parse_sequence, sequence_of_time};
use crate::region::Region;
use crate::streams::iterator::{Position, ShardIterator};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Request {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
    shard_id: String,
    shard_iterator_type: String,
    starting_sequence_number: Option<String>,
    timestamp: Option<f64>,
}

pub(super) async fn call(region: &Arc<Region>, request: Request) -> Result<Bytes, AwsError> {
    region.drain().await.map_err(|error| internal_failure(&error))?;
    let named = Named::new(request.stream_name, request.stream_arn);
    let stream = named.find(region)?;
    let shard = find_shard(region, &stream, &request.shard_id)?;
    let now_ms = region.ambient.now_ms();
    let start = Start {
        kind: &request.shard_iterator_type,
        sequence_number: request.starting_sequence_number.as_deref(),
        timestamp: request.timestamp,
    };
    let position = start.position(region, &stream, &shard, now_ms)?;
    let iterator = ShardIterator { stream: stream.id, shard: shard.index, position, issued_ms: now_ms };
    Ok(answer(&json!({"ShardIterator": iterator.encode()})))
}

pub(super) fn find_shard(region: &Region, stream: &Stream, id: &str) -> Result<Shard, AwsError> {
    let index = shard_index(id).ok_or_else(|| shard_not_found(region, &stream.name, id))?;
    stream.shards.get(&index).copied().ok_or_else(|| shard_not_found(region, &stream.name, id))
}

/// Where a reader wants to begin, as GetShardIterator and SubscribeToShard say it.
pub(super) struct Start<'a> {
    pub kind: &'a str,
    pub sequence_number: Option<&'a str>,
    pub timestamp: Option<f64>,
}

impl Start<'_> {
    pub(super) fn position(
        &self,
        region: &Region,
        stream: &Stream,
        shard: &Shard,
        now_ms: i64,
    ) -> Result<Position, AwsError> {
        match (self.kind, self.sequence_number) {
            ("TRIM_HORIZON", None) => Ok(Position::TrimHorizon),
            ("LATEST", None) => Ok(Position::From(shard.end())),
            ("AT_SEQUENCE_NUMBER", Some(text)) => Ok(Position::From(sequence(region, stream, shard, text)?)),
            ("AFTER_SEQUENCE_NUMBER", Some(text)) => Ok(Position::From(sequence(region, stream, shard, text)? + 1)),
            ("AT_TIMESTAMP", None) => self.at_timestamp(now_ms),
            ("TRIM_HORIZON" | "LATEST" | "AT_TIMESTAMP", Some(_)) => Err(mismatch(self.kind, "also a")),
            ("AT_SEQUENCE_NUMBER" | "AFTER_SEQUENCE_NUMBER", None) => Err(mismatch(self.kind, "no")),
            (other, _) => Err(validation(format!(
                "Value '{other}' at 'shardIteratorType' failed to satisfy constraint: Member must satisfy enum value \
                 set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"
            ))),
        }
    }

    fn at_timestamp(&self, now_ms: i64) -> Result<Position, AwsError> {
        let Some(timestamp) = self.timestamp else {
            return Err(invalid_argument(
                "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no \
                 timestamp parameter.",
            ));
        };
        let at_ms = millis(timestamp);
        if at_ms > now_ms {
            return Err(invalid_argument(format!(
                "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. \
                 timestampInMillis: {at_ms}, currentTimestampInMillis: {now_ms}"
            )));
        }
        // Before the horizon it is TRIM_HORIZON: reading passes over what has expired.
        Ok(Position::From(sequence_of_time(at_ms).max(1)))
    }
}

fn mismatch(kind: &str, has: &str) -> AwsError {
    invalid_argument(format!(
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or \
         (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified {kind} and {has} \
         StartingSequenceNumber."
    ))
}

/// The request's sequence number. One that was never given would make a reader skip all that comes before it.
fn sequence(region: &Region, stream: &Stream, shard: &Shard, text: &str) -> Result<u128, AwsError> {
    if text == "0" {
        return Ok(0);
    }
    let last = shard.closed.map_or(shard.last.unwrap_or(shard.starting), |closed| closed.ending);
    match parse_sequence(text) {
        Some(sequence) if (shard.starting..=last).contains(&sequence) => Ok(sequence),
        _ => Err(invalid_argument(format!(
            "StartingSequenceNumber {text} used in GetShardIterator on shard {} in stream {} under account {} is \
             invalid.",
            shard.id(),
            stream.name,
            region.account
        ))),
    }
}
