//! The shards of a stream that are being read, and what was asked for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use crate::change::ShardId;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Polled;
use crate::source::page::{Asker, Fetched, Listing, Outcome};
use crate::source::shard_tree::{Discovery, ShardTree};
use crate::source::stream_api::RecordPage;

/// A shard at its tip is asked at most five times a second, and at least once.
const IDLE_MIN: Duration = Duration::from_millis(200);
const IDLE_MAX: Duration = Duration::from_secs(1);
/// With many shards each is asked less often, so that a quiet stream costs little: 83 calls a second at most.
const IDLE_PER_SHARD: Duration = Duration::from_millis(12);
/// A shard's end lists the stream at once; this is how often it is listed anyway.
const LISTING_INTERVAL: Duration = Duration::from_secs(30);
/// How soon the stream is listed again while a decision waits for it.
const LISTING_INTERVAL_DOUBTFUL: Duration = Duration::from_secs(1);
/// Everything that a new `resume` starts anew. Dropping it stops what it asked for.
pub(crate) struct Reading {
    asker: Asker,
    tree: ShardTree,
    readers: BTreeMap<ShardId, Reader>,
    under_way: JoinSet<Result<Answer>>,
    lists_now: Arc<Notify>,
    is_disabled: bool,
}

/// How reading of one open shard goes.
#[derive(Default)]
struct Reader {
    iterator: Option<String>,
    /// Everything written to the shard before this moment is read.
    complete_up_to: Option<SystemTime>,
    idle: Duration,
}

enum Answer {
    Listed(Listing),
    Fetched(Fetched),
}

impl Reading {
    /// Begins with the shards that the checkpoint was reading, and lists the stream.
    pub fn begin(asker: Asker, tree: ShardTree) -> Self {
        let open: Vec<_> = tree.reading().cloned().collect();
        let under_way = JoinSet::new();
        let lists_now = Arc::new(Notify::new());
        let mut reading = Self { asker, tree, readers: BTreeMap::new(), under_way, lists_now, is_disabled: false };
        reading.list_after(Duration::ZERO);
        for shard in open {
            reading.readers.insert(shard.clone(), Reader::default());
            reading.fetch_after(Duration::ZERO, &shard);
        }
        reading
    }

    /// Whether the stream is disabled and read to its end.
    pub fn is_over(&self) -> bool {
        self.is_disabled && self.tree.is_all_ended()
    }

    /// What the next answer gives. Cancel-safe: an answer that was not taken is given by the next call.
    pub async fn next(&mut self) -> Result<Polled> {
        let answer = self.under_way.join_next().await.expect("a listing is always under way");
        let answer = answer.map_err(|error| Error::new(ErrorKind::Unexpected, "ask the stream").with_source(error))?;
        self.take(answer?)
    }

    fn take(&mut self, answer: Answer) -> Result<Polled> {
        let mut polled = Polled::default();
        match answer {
            Answer::Listed(listing) => self.take_listing(listing, &mut polled),
            Answer::Fetched(Fetched { shard, outcome, asked_at, .. }) => match outcome {
                Outcome::Page(page) => self.take_page(&shard, page, asked_at, &mut polled)?,
                Outcome::Trimmed => self.take_trimmed(&shard, &mut polled),
                Outcome::Missing => self.take_missing(&shard),
            },
        }
        polled.complete_up_to = self.complete_up_to();
        Ok(polled)
    }

    fn take_listing(&mut self, listing: Listing, polled: &mut Polled) {
        self.is_disabled = listing.is_disabled;
        let discovery = self.tree.list(listing.shards);
        for shard in &discovery.ended {
            self.readers.remove(shard);
        }
        self.discover(discovery, polled);
        let is_doubtful = self.tree.wants_listing() && !self.is_disabled;
        self.list_after(if is_doubtful { LISTING_INTERVAL_DOUBTFUL } else { LISTING_INTERVAL });
    }

    fn take_page(
        &mut self,
        shard: &ShardId,
        page: RecordPage,
        asked_at: SystemTime,
        polled: &mut Polled,
    ) -> Result<()> {
        let idle_max = IDLE_MAX.max(IDLE_PER_SHARD * u32::try_from(self.readers.len()).unwrap_or(u32::MAX));
        // A shard that a listing ended while its page was under way is no longer read.
        let Some(reader) = self.readers.get_mut(shard) else { return Ok(()) };
        if page.reaches_tip {
            reader.complete_up_to = Some(asked_at);
        }
        reader.idle = match (page.reaches_tip, page.records.is_empty()) {
            (false, _) => Duration::ZERO,
            _ if self.asker.api.is_pushed() => Duration::ZERO,
            (true, false) => IDLE_MIN,
            (true, true) => (reader.idle * 2).clamp(IDLE_MIN, idle_max),
        };
        let idle = reader.idle;
        let is_end = page.next.is_none();
        reader.iterator = page.next;

        polled.records = self.tree.accept(shard, page.records);
        if is_end {
            debug!(%shard, "read to its end");
            self.readers.remove(shard);
            let discovery = self.tree.end(shard);
            self.discover(discovery, polled);
            self.lists_now.notify_one();
        } else {
            self.fetch_after(idle, shard);
        }
        Ok(())
    }

    /// The loss is recorded, and reading goes on with the oldest record that is left.
    fn take_trimmed(&mut self, shard: &ShardId, polled: &mut Polled) {
        let Some(reader) = self.readers.get_mut(shard) else { return };
        reader.iterator = None;
        reader.complete_up_to = None;
        if let Some(gap) = self.tree.trim(shard) {
            warn!(code = "DYN805", %shard, after = gap.after, "records were trimmed before they were read");
            polled.gaps.push(gap);
        }
        self.fetch_after(IDLE_MIN, shard);
    }

    fn take_missing(&mut self, shard: &ShardId) {
        let Some(reader) = self.readers.get_mut(shard) else { return };
        *reader = Reader::default();
        self.lists_now.notify_one();
        self.fetch_after(LISTING_INTERVAL_DOUBTFUL, shard);
    }

    fn discover(&mut self, discovery: Discovery, polled: &mut Polled) {
        for shard in &discovery.opened {
            info!(%shard, "reading shard");
            self.readers.insert(shard.clone(), Reader::default());
            self.fetch_after(Duration::ZERO, shard);
        }
        for gap in &discovery.gaps {
            warn!(code = "DYN805", shard = gap.shard, after = gap.after, "records were trimmed before they were read");
        }
        polled.begun = discovery.opened;
        polled.ended = discovery.ended;
        polled.forgotten = discovery.forgotten;
        polled.gaps = discovery.gaps;
    }

    /// A change is in a shard that was open when it was written. It is read if no shard waits to be opened or listed,
    /// and every open one was read up to its tip since.
    fn complete_up_to(&self) -> Option<SystemTime> {
        let is_all_open = self.tree.is_all_open() || self.is_disabled;
        let mut oldest = None;
        for reader in self.readers.values() {
            let tip = reader.complete_up_to?;
            oldest = Some(oldest.map_or(tip, |oldest: SystemTime| oldest.min(tip)));
        }
        oldest.filter(|_| is_all_open)
    }

    fn fetch_after(&mut self, wait: Duration, shard: &ShardId) {
        let start = self.tree.position(shard).expect("only an open shard is read").clone();
        let reader = self.readers.get_mut(shard).expect("an open shard has a reader");
        let fetch = self.asker.clone().fetch(shard.clone(), start, reader.iterator.take(), wait);
        self.under_way.spawn(async move { fetch.await.map(Answer::Fetched) });
    }

    fn list_after(&mut self, wait: Duration) {
        let (asker, lists_now) = (self.asker.clone(), self.lists_now.clone());
        self.under_way.spawn(async move {
            // Either is fine: the time has come, or somebody cannot wait.
            let _ = tokio::time::timeout(wait, lists_now.notified()).await;
            asker.list().await.map(Answer::Listed)
        });
    }
}
