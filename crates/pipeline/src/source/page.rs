//! Asking for one page of a shard, or one listing of a stream, for as long as it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use ambient::Ambient;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::backoff::Backoff;
use crate::change::ShardId;
use crate::error::{Error, ErrorKind, Result};
use crate::source::shard_tree::{ListedShard, Start};
use crate::source::stream_api::{RecordPage, StreamApi, StreamError, StreamErrorKind};

const DELAY_FIRST: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(5);
/// Failures in a row, throttling apart, after which the run ends and the supervisor takes over.
const FAILURES_MAX: u32 = 5;
/// Shards in a stream: more than this is not a listing but a loop.
const PAGES_MAX: usize = 1_000;

/// How to ask a stream. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Asker {
    pub api: Arc<dyn StreamApi>,
    pub stream: Arc<str>,
    pub ambient: Ambient,
    /// Bounds how many pages are under way or wait to be taken, and so the memory they take.
    pub pages: Arc<Semaphore>,
    /// Counts calls that were throttled.
    pub throttled: Arc<AtomicU64>,
}

/// The next page of a shard.
pub(crate) struct Fetched {
    pub shard: ShardId,
    pub outcome: Outcome,
    /// When the page was asked for: what was written before is in it or in an earlier one, if it reached the tip.
    pub asked_at: SystemTime,
    /// Lets the next page be asked for when this one is taken.
    _permit: OwnedSemaphorePermit,
}

pub(crate) enum Outcome {
    Page(RecordPage),
    /// The stream no longer holds what follows the position.
    Trimmed,
    /// The stream does not know the shard. A listing decides what that means.
    Missing,
}

/// All shards of a stream.
pub(crate) struct Listing {
    pub shards: Vec<ListedShard>,
    pub is_disabled: bool,
}

impl Asker {
    /// Asks for the page after `iterator`, or after `start` where there is none, `wait` from now.
    pub async fn fetch(
        self,
        shard: ShardId,
        start: Start,
        mut iterator: Option<String>,
        wait: Duration,
    ) -> Result<Fetched> {
        tokio::time::sleep(wait).await;
        let permit = self.pages.clone().acquire_owned().await.expect("the semaphore is never closed");
        let mut backoff = self.backoff();
        loop {
            let asked_at = self.ambient.now();
            let outcome = match self.page(&shard, &start, &mut iterator).await {
                Ok(page) => Outcome::Page(page),
                Err(error) if error.kind == StreamErrorKind::Trimmed => Outcome::Trimmed,
                Err(error) if error.kind == StreamErrorKind::NotFound => Outcome::Missing,
                Err(error) => {
                    if error.kind == StreamErrorKind::ExpiredIterator {
                        iterator = None;
                    }
                    self.wait_after(error, &mut backoff, || format!("read shard {shard}")).await?;
                    continue;
                }
            };
            return Ok(Fetched { shard, outcome, asked_at, _permit: permit });
        }
    }

    async fn page(
        &self,
        shard: &ShardId,
        start: &Start,
        iterator: &mut Option<String>,
    ) -> Result<RecordPage, StreamError> {
        let iterator = match iterator {
            Some(iterator) => iterator,
            None => iterator.insert(self.api.get_shard_iterator(&self.stream, shard, start).await?),
        };
        self.api.get_records(shard, iterator).await
    }

    /// Lists all shards. A page that fails is asked for again: what was listed before is kept.
    pub async fn list(self) -> Result<Listing> {
        let mut listing = Listing { shards: Vec::new(), is_disabled: false };
        let mut after = None;
        let mut backoff = self.backoff();
        for _ in 0..PAGES_MAX {
            let page = loop {
                match self.api.describe_stream(&self.stream, after.as_ref()).await {
                    Ok(page) => break page,
                    Err(error) => {
                        self.wait_after(error, &mut backoff, || format!("describe stream {}", self.stream)).await?;
                    }
                }
            };
            backoff.succeed();
            listing.shards.extend(page.shards);
            listing.is_disabled = page.is_disabled;
            if page.last.is_none() {
                return Ok(listing);
            }
            after = page.last;
        }
        Err(Error::new(ErrorKind::Unexpected, format!("list the shards of {} in {PAGES_MAX} pages", self.stream)))
    }

    /// Waits before another try; gives the error back where another try would not help.
    async fn wait_after(
        &self,
        error: StreamError,
        backoff: &mut Backoff,
        doing: impl FnOnce() -> String,
    ) -> Result<()> {
        if error.kind == StreamErrorKind::Throttled {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        let is_worth_a_try = match error.kind {
            StreamErrorKind::Throttled => true,
            StreamErrorKind::Transient | StreamErrorKind::ExpiredIterator => backoff.failures() < FAILURES_MAX,
            StreamErrorKind::Trimmed | StreamErrorKind::NotFound | StreamErrorKind::Refused => false,
        };
        if !is_worth_a_try {
            return Err(error.into_error(doing()));
        }
        tokio::time::sleep(backoff.fail()).await;
        Ok(())
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(self.ambient.clone(), DELAY_FIRST, DELAY_MAX)
    }
}
