//! GetRecords: a page of a shard, as the bytes that the log holds.

use std::sync::Arc;

use aws_wire::AwsError;
use bytes::Bytes;
use serde::Deserialize;

use super::iterator::{Position, ShardIterator};
use super::{drain_error, internal_error, limit_too_small, not_found, trimmed};
use crate::dynamodb::error::validation;
use crate::region::Region;
use crate::shard_log::Page;

const RECORDS_MAX: usize = 1_000;
const BYTES_MAX: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Request {
    shard_iterator: String,
    limit: Option<i64>,
}

pub(super) async fn call(region: &Arc<Region>, request: Request) -> Result<Bytes, AwsError> {
    let limit = limit(request.limit)?;
    let Some(iterator) = ShardIterator::decode(&request.shard_iterator) else {
        return Err(validation("Invalid ShardIterator"));
    };
    let now_ms = region.ambient.now_ms();
    if now_ms - iterator.issued_ms > region.options.iterator_life.as_millis() as i64 {
        return Err(AwsError::bad_request(
            "ExpiredIteratorException",
            format!("Iterator expired. It was issued at {} ms and is used at {now_ms} ms", iterator.issued_ms),
        ));
    }
    region.drain().await.map_err(drain_error)?;

    let catalog = region.log.catalog();
    let stream = catalog.streams.get(&iterator.stream);
    let Some(shard) = stream.and_then(|stream| stream.shards.get(&iterator.shard)).cloned() else {
        // Forgotten with its last record, so what the iterator pointed at is gone.
        return Err(if stream.is_some() { trimmed() } else { not_found("Requested resource not found".to_owned()) });
    };
    let oldest = shard.trimmed.map_or(shard.starting, |trimmed| trimmed + 1);
    let from = match iterator.position {
        Position::TrimHorizon => oldest,
        Position::From(sequence) if sequence < oldest && shard.trimmed.is_some() => return Err(trimmed()),
        Position::From(sequence) => sequence,
    };
    let reader = region.clone();
    let read_shard = shard.clone();
    let read = move || reader.log.read(iterator.stream, &read_shard, from, limit, BYTES_MAX);
    let page = tokio::task::spawn_blocking(read).await;
    let page = page.map_err(|error| internal_error(&error))?.map_err(|error| internal_error(&error))?;

    // Only a closed shard has an end; an open one goes on for ever.
    let is_finished = !shard.is_open() && page.next >= shard.end();
    let next = ShardIterator { position: Position::From(page.next), issued_ms: now_ms, ..iterator };
    Ok(render(&page, (!is_finished).then(|| next.encode())))
}

fn limit(limit: Option<i64>) -> Result<usize, AwsError> {
    match limit {
        None => Ok(RECORDS_MAX),
        Some(limit) if limit < 1 => Err(limit_too_small(limit)),
        Some(limit) => match usize::try_from(limit) {
            Ok(limit) if limit <= RECORDS_MAX => Ok(limit),
            _ => Err(AwsError::bad_request(
                "LimitExceededException",
                format!("GetRecords was called with a Limit of {limit}, which is more than {RECORDS_MAX}"),
            )),
        },
    }
}

fn render(page: &Page, next: Option<String>) -> Bytes {
    let mut answer = Vec::with_capacity(page.json.len() + 128);
    answer.extend_from_slice(b"{\"Records\":[");
    answer.extend_from_slice(&page.json);
    answer.push(b']');
    if let Some(next) = next {
        // The alphabet of base64 needs no escaping.
        answer.extend_from_slice(b",\"NextShardIterator\":\"");
        answer.extend_from_slice(next.as_bytes());
        answer.push(b'"');
    }
    answer.push(b'}');
    Bytes::from(answer)
}
