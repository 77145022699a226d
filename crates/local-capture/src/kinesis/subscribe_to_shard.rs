//! SubscribeToShard: records of a shard, sent to a registered consumer as they arrive.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_wire::{AwsError, Event, EventStream};
use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::consumers::find_consumer;
use super::error::{internal_failure, not_found, resource_in_use};
use super::get_records::{child_shards, page_bytes, render_records};
use super::get_shard_iterator::{Start, find_shard};
use super::log::{Page, horizon};
use super::sequence_text;
use super::stream::Shard;
use crate::region::Region;
use crate::streams::iterator::Position;

const LASTS_MS: i64 = 300_000;
/// How soon after a call the same consumer may not call again for the same shard.
const PAUSE_MS: i64 = 5_000;
const EVENT_RECORDS_MAX: usize = 10_000;
const EVENT_BYTES_MAX: usize = 1 << 20;
/// What a consumer gets of a shard.
const BYTES_PER_SECOND: usize = 2 << 20;
/// How often a consumer hears of a shard that has nothing new.
const QUIET_EVERY: Duration = Duration::from_secs(5);
/// How often changes of DynamoDB are looked for that nobody else has asked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Events on the way to a consumer that does not read them.
const EVENTS_WAITING_MAX: usize = 2;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Request {
    #[serde(rename = "ConsumerARN")]
    consumer_arn: String,
    shard_id: String,
    starting_position: StartingPosition,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StartingPosition {
    #[serde(rename = "Type")]
    kind: String,
    sequence_number: Option<String>,
    timestamp: Option<f64>,
}

/// Which subscription of a consumer to a shard is the one that counts.
#[derive(Default)]
pub(crate) struct Subscriptions {
    begun: Mutex<HashMap<(u64, String, u32), i64>>,
}

impl Subscriptions {
    /// Begins a subscription, which ends the one before; nothing where that is too young.
    fn begin(&self, key: (u64, String, u32), now_ms: i64) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.retain(|_, at_ms| now_ms - *at_ms <= LASTS_MS);
        if begun.get(&key).is_some_and(|at_ms| now_ms - at_ms < PAUSE_MS) {
            return false;
        }
        begun.insert(key, now_ms);
        true
    }

    fn is_current(&self, key: &(u64, String, u32), begun_ms: i64) -> bool {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).get(key) == Some(&begun_ms)
    }
}

pub(super) async fn call(
    region: &Arc<Region>,
    request: Request,
    closing: CancellationToken,
) -> Result<EventStream, AwsError> {
    region.drain().await.map_err(|error| internal_failure(&error))?;
    let (stream, consumer) = find_consumer(region, &request.consumer_arn)?;
    let shard = find_shard(region, &stream, &request.shard_id)?;
    let now_ms = region.ambient.now_ms();
    let start = Start {
        kind: &request.starting_position.kind,
        sequence_number: request.starting_position.sequence_number.as_deref(),
        timestamp: request.starting_position.timestamp,
    };
    let position = match start.position(region, &stream, &shard, now_ms)? {
        Position::TrimHorizon => 0,
        Position::From(sequence) => sequence,
    };
    let key = (stream.id, consumer, shard.index);
    if !region.subscriptions.begin(key.clone(), now_ms) {
        return Err(resource_in_use(format!(
            "Another active subscription exists for this consumer: {}, shard {}",
            request.consumer_arn, request.shard_id
        )));
    }
    let (events, answer) = mpsc::channel(EVENTS_WAITING_MAX);
    let subscription = Subscription { region: region.clone(), key, begun_ms: now_ms, position };
    tokio::spawn(async move {
        tokio::select! {
            () = closing.cancelled() => {}
            () = subscription.run(events) => {}
        }
    });
    Ok(answer)
}

/// After which number another subscription goes on: one that the shard has given already, as a call takes no other.
fn continuation(shard: &Shard, page: &Page) -> u128 {
    let passed = page.records.last().map_or(page.next.saturating_sub(1), |record| record.sequence);
    passed.clamp(shard.starting, shard.last.unwrap_or(shard.starting))
}

struct Subscription {
    region: Arc<Region>,
    key: (u64, String, u32),
    begun_ms: i64,
    /// The number that the next event starts at.
    position: u128,
}

/// What is sent next.
struct Next {
    event: Event,
    bytes: usize,
    is_last: bool,
}

impl Subscription {
    /// Sends events until the consumer has gone, the time is over, or the shard has ended.
    async fn run(mut self, events: mpsc::Sender<Event>) {
        let mut published = self.region.kinesis.published();
        // The first event comes at once, whatever is in it.
        let mut silent_for = QUIET_EVERY;
        loop {
            let now_ms = self.region.ambient.now_ms();
            let is_over = now_ms - self.begun_ms >= LASTS_MS;
            if is_over || !self.region.subscriptions.is_current(&self.key, self.begun_ms) {
                return;
            }
            published.mark_unchanged();
            let next = match self.next(now_ms).await {
                Ok(next) => next,
                Err(error) => Next { event: Event::Exception(error), bytes: 0, is_last: true },
            };
            let has_news = next.bytes > 0 || next.is_last;
            if has_news || silent_for >= QUIET_EVERY {
                silent_for = Duration::ZERO;
                if events.send(next.event).await.is_err() || next.is_last {
                    return;
                }
            }
            if next.bytes > 0 {
                let micros = next.bytes as u64 * 1_000_000 / BYTES_PER_SECOND as u64;
                tokio::time::sleep(Duration::from_micros(micros)).await;
            } else {
                // Either is fine: something was put, or it is time to ask DynamoDB.
                let _ = tokio::time::timeout(LOOK_EVERY, published.changed()).await;
                silent_for += LOOK_EVERY;
            }
            if events.is_closed() {
                return;
            }
        }
    }

    async fn next(&mut self, now_ms: i64) -> Result<Next, AwsError> {
        self.region.drain().await.map_err(|error| internal_failure(&error))?;
        let catalog = self.region.kinesis.catalog();
        let (id, consumer, index) = &self.key;
        let stream = catalog.streams.get(id).filter(|stream| stream.consumers.contains_key(consumer)).cloned();
        let stream = stream.ok_or_else(|| not_found("The stream or the consumer is not there any more"))?;
        let shard = stream.shards.get(index).copied();
        let shard = shard.ok_or_else(|| not_found("The shard is not there any more"))?;
        let from = self.position.max(horizon(&stream, now_ms));
        let region = self.region.clone();
        let read = tokio::task::spawn_blocking(move || -> Result<_, super::log::KinesisLogError> {
            let page = region.kinesis.read(&stream, &shard, from, EVENT_RECORDS_MAX, EVENT_BYTES_MAX)?;
            let oldest_left = region.kinesis.arrival_after(&stream, &shard, page.next)?;
            let is_last = !shard.is_open() && oldest_left.is_none();
            let mut json = Vec::with_capacity(page_bytes(&page));
            json.extend_from_slice(b"{\"Records\":[");
            render_records(&stream, &page, &mut json);
            let behind_ms = oldest_left.map_or(0, |arrival_ms| (now_ms - arrival_ms).max(0));
            let last = continuation(&shard, &page);
            let tail = format!(
                "],\"MillisBehindLatest\":{behind_ms},\"ContinuationSequenceNumber\":\"{}\"",
                sequence_text(last)
            );
            json.extend_from_slice(tail.as_bytes());
            if is_last {
                json.extend_from_slice(format!(",\"ChildShards\":{}", child_shards(&stream, &shard)).as_bytes());
            }
            json.push(b'}');
            let bytes = page.records.iter().map(|record| record.value.len()).sum();
            Ok((page.next, Next { event: Event::Member("SubscribeToShardEvent", Bytes::from(json)), bytes, is_last }))
        });
        let read = read.await.map_err(|error| internal_failure(&error))?;
        let (position, next) = read.map_err(|error| internal_failure(&error))?;
        self.position = position;
        Ok(next)
    }
}
