//! One shard of a stream: read in batches, each handed over before the next is read.

use std::collections::VecDeque;
use std::time::Duration;

use aws_wire::AwsError;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::delivery::Delivery;
use super::event_source_mapping::Mapping;
use super::pattern::Pattern;
use super::record::{Page, StreamRecord};
use super::stream::{Progress, keep};
use crate::lambda::error;
use crate::lambda::function_name::Region;
use crate::lambda::service::Service;

/// How long to wait for more where a shard has nothing new. Lambda looks four times a second.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How long to wait where something of ours fails.
const FAILURE_INTERVAL: Duration = Duration::from_secs(1);

/// Records of one GetRecords.
const PAGE_MAX: usize = 1000;

/// An iterator lives for fifteen minutes. One that marks a place without records is kept fresh.
const ITERATOR_AGE_MS: i64 = 5 * 60 * 1000;

/// A batch's bytes: what a function takes, less the brackets.
const BATCH_BYTES_MAX: usize = 6_291_456 - 1024;

struct Reader<'a> {
    service: &'a Service,
    region: &'a Region,
    mapping: &'a Mapping,
    shard: &'a str,
    filters: Vec<Pattern>,
    /// Where to read on; `None` at the end of a closed shard.
    iterator: Option<String>,
    /// Read, and not handed over yet.
    held: VecDeque<StreamRecord>,
    /// Whether a record was seen, whose number says more than an iterator.
    has_position: bool,
    iterator_kept_ms: i64,
}

/// Hands a shard over to its end. Whatever fails is tried again, from what was kept.
pub(super) async fn run(
    service: &Service,
    region: &Region,
    mapping: &Mapping,
    shard: &str,
    mut progress: Option<Progress>,
) {
    loop {
        match read_to_end(service, region, mapping, shard, progress.clone()).await {
            Ok(()) => return,
            Err(error) if ["TrimmedDataAccessException", "ExpiredIteratorException"].contains(&&*error.code) => {
                tracing::warn!(mapping = mapping.uuid, shard, %error, "position lost; going on with the oldest record");
                progress = None;
            }
            Err(error) => {
                tracing::warn!(mapping = mapping.uuid, shard, %error, "shard not read; trying again");
                service.mappings.set_last_result(&mapping.uuid, &format!("PROBLEM: {}", error.message));
                tokio::time::sleep(FAILURE_INTERVAL).await;
                let store = service.store.clone();
                let uuid = mapping.uuid.clone();
                let kept = crate::lambda::service::blocking(move || Ok(store.shards::<Progress>(&uuid)?)).await;
                if let Ok(kept) = kept {
                    progress = kept.into_iter().find(|(id, _)| id == shard).map(|(_, progress)| progress);
                }
            }
        }
    }
}

async fn read_to_end(
    service: &Service,
    region: &Region,
    mapping: &Mapping,
    shard: &str,
    progress: Option<Progress>,
) -> Result<(), AwsError> {
    let has_position = matches!(progress, Some(Progress::After { .. }));
    let mut reader = Reader {
        service,
        region,
        mapping,
        shard,
        filters: mapping.settings.patterns(),
        iterator: Some(iterator(service, region, mapping, shard, progress).await?),
        held: VecDeque::new(),
        has_position,
        iterator_kept_ms: service.ambient.now_ms(),
    };
    while reader.has_more() {
        let batch = reader.next_batch().await?;
        reader.hand_over(batch).await?;
    }
    keep(service, &mapping.uuid, shard, Progress::Ended).await
}

/// An iterator at what was kept; at the oldest record, where nothing was.
async fn iterator(
    service: &Service,
    region: &Region,
    mapping: &Mapping,
    shard: &str,
    progress: Option<Progress>,
) -> Result<String, AwsError> {
    let mut request = json!({ "StreamArn": mapping.source_arn, "ShardId": shard });
    match progress {
        Some(Progress::At { iterator, .. }) => return Ok(iterator),
        Some(Progress::After { sequence_number }) => {
            request["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER".into();
            request["SequenceNumber"] = sequence_number.into();
        }
        Some(Progress::Ended) | None => request["ShardIteratorType"] = "TRIM_HORIZON".into(),
    }
    let answer = service.neighbours.streams(region, "GetShardIterator", &request).await?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|error| error::internal(&error))?;
    Ok(answer["ShardIterator"].as_str().unwrap_or_default().to_owned())
}

impl Reader<'_> {
    fn has_more(&self) -> bool {
        self.iterator.is_some() || !self.held.is_empty()
    }

    /// Waits for records: until there are as many as one goes, or the window is over, or the shard is.
    async fn next_batch(&mut self) -> Result<Vec<StreamRecord>, AwsError> {
        let settings = &self.mapping.settings;
        let count_max = (settings.batch_size * settings.parallelization_factor) as usize;
        let window = Duration::from_secs(settings.batching_window_seconds.into());
        let mut opened: Option<Instant> = None;
        while self.iterator.is_some() && self.held.len() < count_max && self.held_bytes() < BATCH_BYTES_MAX {
            let is_empty = self.read(PAGE_MAX.min(count_max - self.held.len())).await?;
            if self.held.is_empty() {
                self.keep_iterator().await?;
            } else {
                let opened = *opened.get_or_insert_with(Instant::now);
                if is_empty && opened.elapsed() >= window {
                    break;
                }
            }
            if is_empty && self.iterator.is_some() {
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
        let mut bytes = 0;
        let fits = |record: &StreamRecord| {
            bytes += record.json.len() + 1;
            bytes <= BATCH_BYTES_MAX * settings.parallelization_factor as usize
        };
        let count = self.held.iter().take(count_max).map(fits).take_while(|fits| *fits).count().max(1);
        Ok(self.held.drain(..count.min(self.held.len())).collect())
    }

    /// Reads one page; tells whether it was empty.
    async fn read(&mut self, limit: usize) -> Result<bool, AwsError> {
        let Some(iterator) = &self.iterator else { return Ok(true) };
        let request = json!({ "ShardIterator": iterator, "Limit": limit });
        let answer = self.service.neighbours.streams(self.region, "GetRecords", &request).await?;
        let page = Page::parse(&answer, &self.mapping.source_arn).map_err(|error| error::internal(&error))?;
        let is_empty = page.records.is_empty();
        self.iterator = page.next_iterator;
        self.held.extend(page.records);
        Ok(is_empty)
    }

    fn held_bytes(&self) -> usize {
        self.held.iter().map(|record| record.json.len()).sum()
    }

    /// Keeps the place of a shard that never had a record, before its iterator expires.
    async fn keep_iterator(&mut self) -> Result<(), AwsError> {
        let now_ms = self.service.ambient.now_ms();
        let starts_at_latest = self.mapping.starting_position.as_deref() == Some("LATEST");
        if self.has_position || !starts_at_latest || now_ms - self.iterator_kept_ms < ITERATOR_AGE_MS {
            return Ok(());
        }
        let Some(iterator) = self.iterator.clone() else { return Ok(()) };
        self.iterator_kept_ms = now_ms;
        keep(self.service, &self.mapping.uuid, self.shard, Progress::At { iterator, issued_ms: now_ms }).await
    }

    /// Hands a batch over and keeps how far that goes.
    async fn hand_over(&mut self, batch: Vec<StreamRecord>) -> Result<(), AwsError> {
        let Some(last) = batch.last().map(|record| record.sequence_number.clone()) else { return Ok(()) };
        let passes = |record: &StreamRecord| {
            self.filters.is_empty()
                || serde_json::from_str(&record.json)
                    .is_ok_and(|record: Value| self.filters.iter().any(|filter| filter.matches(&record)))
        };
        let wanted: Vec<StreamRecord> = batch.into_iter().filter(passes).collect();
        let delivery =
            Delivery { service: self.service, region: self.region, mapping: self.mapping, shard: self.shard };
        if self.mapping.settings.parallelization_factor > 1 {
            delivery.hand_over_by_key(wanted).await?;
        } else {
            delivery.hand_over(&wanted, true).await?;
        }
        self.has_position = true;
        keep(self.service, &self.mapping.uuid, self.shard, Progress::After { sequence_number: last }).await
    }
}
