//! One shard of a stream: read in batches, each handed over before the next is read.

use std::collections::VecDeque;
use std::time::Duration;

use aws_wire::AwsError;
use tokio::time::Instant;

use super::delivery::Delivery;
use super::event_source_mapping::Mapping;
use super::pattern::Pattern;
use super::record::StreamRecord;
use super::stream::{Progress, keep};
use super::stream_service::{Place, Stream};
use super::window::{Closing, KeptWindow, Window};
use crate::lambda::function_name::Region;
use crate::lambda::service::{Service, blocking};

/// How long to wait where something of ours fails.
const FAILURE_INTERVAL: Duration = Duration::from_secs(1);

/// Records of one GetRecords.
const PAGE_MAX: usize = 1000;

/// An iterator of Kinesis lives for five minutes. One that marks a place without records is kept fresh.
const ITERATOR_AGE_MS: i64 = 2 * 60 * 1000;

/// A batch's bytes: what a function takes, less the brackets.
const BATCH_BYTES_MAX: usize = 6_291_456 - 1024;
/// And less the state of a window.
const BATCH_BYTES_OF_WINDOW_MAX: usize = BATCH_BYTES_MAX - (1 << 20) - 1024;

/// Where in a shard to begin.
enum Start {
    /// At an iterator from before, which marks a place without records.
    Iterator(String),
    Place(Place, Option<KeptWindow>),
}

struct Reader<'a> {
    service: &'a Service,
    region: &'a Region,
    mapping: &'a Mapping,
    stream: Stream<'a>,
    shard: &'a str,
    filters: Vec<Pattern>,
    /// Where to read on; `None` at the end of a closed shard.
    iterator: Option<String>,
    /// Read, and not handed over yet.
    held: VecDeque<StreamRecord>,
    /// The last record that was settled: its number says more than an iterator.
    position: Option<String>,
    /// The moment before the last read, and whether that found anything.
    read_ms: i64,
    is_at_tip: bool,
    iterator_kept_ms: i64,
    /// The tumbling window that the shard is in.
    window: Option<Window>,
}

/// Hands a shard over to its end. Whatever fails is tried again, from what was kept.
pub(super) async fn run(
    service: &Service,
    region: &Region,
    mapping: &Mapping,
    shard: &str,
    progress: Option<Progress>,
) {
    let stream = Stream::of(service, region, mapping);
    let mut start = Start::of(mapping, progress);
    loop {
        let Err(error) = read_to_end(service, region, mapping, shard, start).await else { return };
        let is_expired = error.code == "ExpiredIteratorException";
        let is_trimmed = error.code == "TrimmedDataAccessException";
        if !is_expired && !is_trimmed {
            tracing::warn!(mapping = mapping.uuid, shard, %error, "shard not read; trying again");
            service.mappings.set_last_result(&mapping.uuid, &format!("PROBLEM: {}", error.message));
            tokio::time::sleep(FAILURE_INTERVAL).await;
        }
        let (store, uuid) = (service.store.clone(), mapping.uuid.clone());
        let kept = blocking(move || Ok(store.shards::<Progress>(&uuid)?)).await.unwrap_or_default();
        let kept = kept.into_iter().find(|(id, _)| id == shard).map(|(_, progress)| progress);
        start = match kept {
            Some(Progress::At { issued_ms, .. }) if is_expired && stream.knows_times() => {
                Start::Place(Place::Since { ms: issued_ms }, None)
            }
            Some(Progress::At { .. }) if is_expired => Start::oldest(mapping, shard, &error),
            _ if is_trimmed => Start::oldest(mapping, shard, &error),
            // A function may take longer than an iterator lives: what was settled tells where to go on.
            kept => Start::of(mapping, kept),
        };
    }
}

impl Start {
    fn of(mapping: &Mapping, progress: Option<Progress>) -> Self {
        match progress {
            Some(Progress::At { iterator, .. }) => Self::Iterator(iterator),
            Some(Progress::After { sequence_number, window }) => Self::Place(Place::After(sequence_number), window),
            Some(Progress::Ended) | None => {
                let since = mapping.starting_timestamp_ms.map(|ms| Place::Since { ms });
                Self::Place(since.unwrap_or(Place::Oldest), None)
            }
        }
    }

    fn oldest(mapping: &Mapping, shard: &str, error: &AwsError) -> Self {
        tracing::warn!(mapping = mapping.uuid, shard, %error, "position lost; going on with the oldest record");
        Self::Place(Place::Oldest, None)
    }
}

async fn read_to_end(
    service: &Service,
    region: &Region,
    mapping: &Mapping,
    shard: &str,
    start: Start,
) -> Result<(), AwsError> {
    let stream = Stream::of(service, region, mapping);
    let now_ms = service.ambient.now_ms();
    let (iterator, position, window) = match start {
        Start::Iterator(iterator) => (iterator, None, None),
        Start::Place(place, window) => {
            let iterator = stream.iterator(shard, &place).await?;
            let position = if let Place::After(sequence_number) = place { Some(sequence_number) } else { None };
            (iterator, position, window)
        }
    };
    let seconds = mapping.settings.tumbling_window_seconds;
    let mut reader = Reader {
        service,
        region,
        mapping,
        stream,
        shard,
        filters: mapping.settings.patterns(),
        iterator: Some(iterator),
        held: VecDeque::new(),
        position,
        read_ms: now_ms,
        is_at_tip: false,
        iterator_kept_ms: now_ms,
        window: window.filter(|_| seconds > 0).map(|kept| Window::resumed(kept, seconds)),
    };
    while reader.has_more() {
        let batch = reader.next_batch().await?;
        if reader.mapping.settings.tumbling_window_seconds > 0 {
            reader.hand_over_by_window(batch).await?;
        } else {
            reader.hand_over(batch).await?;
        }
    }
    // Windows do not go on in the shards that come after.
    reader.close_window(Closing::Over).await?;
    keep(service, &mapping.uuid, shard, Progress::Ended).await
}

impl Reader<'_> {
    fn has_more(&self) -> bool {
        self.iterator.is_some() || !self.held.is_empty()
    }

    /// Whether nothing can come any more that belongs to the open window.
    fn window_is_over(&self) -> bool {
        self.held.is_empty()
            && self.is_at_tip
            && self.window.as_ref().is_some_and(|window| window.is_over(self.read_ms))
    }

    /// Waits for records: until there are as many as one goes, or the window is over, or the shard is.
    async fn next_batch(&mut self) -> Result<Vec<StreamRecord>, AwsError> {
        let settings = &self.mapping.settings;
        let count_max = (settings.batch_size * settings.parallelization_factor) as usize;
        let bytes_max = if settings.tumbling_window_seconds > 0 { BATCH_BYTES_OF_WINDOW_MAX } else { BATCH_BYTES_MAX };
        let window = Duration::from_secs(settings.batching_window_seconds.into());
        let mut opened: Option<Instant> = None;
        while self.iterator.is_some() && self.held.len() < count_max && self.held_bytes() < bytes_max {
            self.read().await?;
            if self.held.is_empty() {
                self.keep_iterator().await?;
            } else {
                let opened = *opened.get_or_insert_with(Instant::now);
                if self.is_at_tip && opened.elapsed() >= window {
                    break;
                }
            }
            if self.window_is_over() {
                break;
            }
            if self.is_at_tip && self.iterator.is_some() {
                tokio::time::sleep(self.stream.poll_interval()).await;
            }
        }
        let mut bytes = 0;
        let fits = |record: &StreamRecord| {
            bytes += record.json.len() + 1;
            bytes <= bytes_max * settings.parallelization_factor as usize
        };
        let count = self.held.iter().take(count_max).map(fits).take_while(|fits| *fits).count().max(1);
        Ok(self.held.drain(..count.min(self.held.len())).collect())
    }

    /// Reads one page.
    async fn read(&mut self) -> Result<(), AwsError> {
        let Some(iterator) = &self.iterator else { return Ok(()) };
        let read_ms = self.service.ambient.now_ms();
        let Some(page) = self.stream.page(self.mapping, self.shard, iterator, PAGE_MAX).await? else {
            // It is at no tip, and reading on at once would be refused again.
            tokio::time::sleep(self.stream.poll_interval()).await;
            return Ok(());
        };
        self.read_ms = read_ms;
        self.is_at_tip = page.records.is_empty();
        self.iterator = page.next_iterator;
        self.held.extend(page.records);
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.held.iter().map(|record| record.json.len()).sum()
    }

    /// Keeps the place of a shard that never had a record, before its iterator expires.
    async fn keep_iterator(&mut self) -> Result<(), AwsError> {
        let starts_at_latest = self.mapping.starting_position.as_deref() == Some("LATEST");
        let is_due = self.read_ms - self.iterator_kept_ms >= ITERATOR_AGE_MS;
        if self.position.is_some() || !starts_at_latest || !is_due {
            return Ok(());
        }
        let Some(iterator) = self.iterator.clone() else { return Ok(()) };
        self.iterator_kept_ms = self.read_ms;
        let progress = Progress::At { iterator, issued_ms: self.read_ms };
        keep(self.service, &self.mapping.uuid, self.shard, progress).await
    }

    /// Hands a batch over and keeps how far that goes.
    async fn hand_over(&mut self, batch: Vec<StreamRecord>) -> Result<(), AwsError> {
        let Some(last) = batch.last().map(|record| record.sequence_number.clone()) else { return Ok(()) };
        let wanted: Vec<StreamRecord> = batch.into_iter().filter(|record| record.passes(&self.filters)).collect();
        if self.mapping.settings.parallelization_factor > 1 {
            self.delivery().hand_over_by_key(wanted).await?;
        } else {
            self.delivery().hand_over(&wanted, true).await?;
        }
        self.settle(last).await
    }

    /// Hands a batch over, those of one tumbling window after the other, and closes windows that are over.
    async fn hand_over_by_window(&mut self, batch: Vec<StreamRecord>) -> Result<(), AwsError> {
        if self.window_is_over() {
            self.close_window(Closing::Over).await?;
        }
        let mut rest = VecDeque::from(batch);
        while let Some(first) = rest.front() {
            if self.window.as_ref().is_some_and(|window| !window.takes(first.created_s)) {
                self.close_window(Closing::Over).await?;
            }
            let around = Window::around(first.created_s, self.mapping.settings.tumbling_window_seconds);
            let window = self.window.as_ref().unwrap_or(&around);
            let count = rest.iter().take_while(|record| window.takes(record.created_s)).count();
            let part: Vec<StreamRecord> = rest.drain(..count).collect();
            // Records that nobody wants open no window.
            if self.window.is_none() && part.iter().any(|record| record.passes(&self.filters)) {
                self.window = Some(around);
            }
            self.hand_over(part).await?;
            if self.window.as_ref().is_some_and(Window::is_too_long) {
                self.close_window(Closing::Early).await?;
            }
        }
        Ok(())
    }

    /// Hands the state of the open window over for the last time.
    async fn close_window(&mut self, closing: Closing) -> Result<(), AwsError> {
        if self.window.is_none() {
            return Ok(());
        }
        self.delivery().close_window(closing).await?;
        self.window = None;
        match self.position.clone() {
            Some(position) => self.settle(position).await,
            None => Ok(()),
        }
    }

    async fn settle(&mut self, sequence_number: String) -> Result<(), AwsError> {
        self.position = Some(sequence_number.clone());
        let window = self.window.as_ref().map(Window::kept);
        let progress = Progress::After { sequence_number, window };
        keep(self.service, &self.mapping.uuid, self.shard, progress).await
    }

    fn delivery(&self) -> Delivery<'_> {
        Delivery {
            service: self.service,
            region: self.region,
            mapping: self.mapping,
            shard: self.shard,
            window: self.window.as_ref(),
        }
    }
}
