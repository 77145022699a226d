//! The durable log of Kinesis streams: one for each region.
//!
//! [`writer`] is the one thread that changes anything; it writes what waits in one synced batch ([`store`]), then shows
//! it to readers as the next [`catalog`]. A record is acknowledged and visible only once it is on disk.

pub(crate) mod catalog;
pub(super) mod record;
mod settle;
mod store;
mod throughput;
mod trim;
mod writer;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use aws_wire::AwsError;
use fjall::Slice;
use tokio::sync::{mpsc, oneshot, watch};

use crate::kinesis::stream::{Shard, Stream};
use crate::kinesis::{internal_failure, sequence_of_time};
use catalog::{Catalog, Draft};
pub(super) use record::NewRecord;
use store::Store;
pub(super) use throughput::Reads;
use writer::{Append, Job, Writer};

/// Puts that wait for the writer. More wait in their connections.
const WAITING_JOBS_MAX: usize = 256;

pub(crate) struct KinesisLog {
    shared: Arc<Shared>,
    /// Nothing once the log is being closed.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
    pub(super) reads: Reads,
}

/// What the writer and the readers both hold.
struct Shared {
    folder: PathBuf,
    /// Nothing while the store cannot be opened again after a failed write.
    store: RwLock<Option<Store>>,
    catalog: RwLock<Arc<Catalog>>,
    /// Counts batches, for those who wait for the next one.
    published: watch::Sender<u64>,
}

/// Where a record was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub shard: u32,
    pub sequence: u128,
}

/// Why a record was not put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotPut {
    /// The shard takes no more for the moment.
    Throttled { shard: u32 },
    /// The stream is not there (any more).
    NoStream,
    /// The log could not be written: a full disk, for example.
    Failed,
}

/// A record as it is stored.
pub(super) struct Stored {
    pub sequence: u128,
    pub value: Slice,
}

/// Some records of a shard.
pub(super) struct Page {
    pub records: Vec<Stored>,
    /// The number that the next page starts at.
    pub next: u128,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum KinesisLogError {
    #[error(transparent)]
    Store(#[from] fjall::Error),
    #[error("the Kinesis log is closed after a failed write")]
    Closed,
    #[error("decode a descriptor of the Kinesis log")]
    Descriptor(#[from] serde_json::Error),
    #[error("start the Kinesis log's thread, or tidy up its folder")]
    Machine(#[from] std::io::Error),
}

impl KinesisLog {
    pub(crate) fn open(folder: &Path, ambient: ambient::Ambient, throttles: bool) -> Result<Self, KinesisLogError> {
        let store = Store::open(folder)?;
        let catalog = RwLock::new(Arc::new(store.catalog()?));
        let store = RwLock::new(Some(store));
        let shared = Arc::new(Shared { folder: folder.to_owned(), store, catalog, published: watch::Sender::new(0) });
        let (jobs, waiting) = mpsc::channel(WAITING_JOBS_MAX);
        let writer = Writer::new(shared.clone(), ambient, throttles);
        let thread = std::thread::Builder::new().name("kinesis-log".to_owned()).spawn(move || writer.run(waiting))?;
        Ok(Self { shared, jobs: Some(jobs), thread: Some(thread), reads: Reads::new(throttles) })
    }

    /// The streams as of the last durable batch.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes whenever the catalog does.
    pub(super) fn published(&self) -> watch::Receiver<u64> {
        self.shared.published.subscribe()
    }

    /// Puts records, each on its own; what is put is durable when this returns.
    pub(crate) async fn append(&self, stream: u64, records: Vec<NewRecord>) -> Vec<Result<Placed, NotPut>> {
        let count = records.len();
        let (answer, answered) = oneshot::channel();
        let sent = self.jobs().send(Job::Append(Append { stream, records, answer })).await;
        match sent {
            Ok(()) => answered.await.unwrap_or_else(|_| vec![Err(NotPut::Failed); count]),
            Err(_) => vec![Err(NotPut::Failed); count],
        }
    }

    /// The same, for callers on a thread that may block; `drained` is durable together with the records.
    pub(crate) fn deliver(&self, records: Vec<(u64, NewRecord)>, drained: i64) -> Result<(), KinesisLogError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.jobs().blocking_send(Job::Deliver(writer::Deliver { records, drained, answer }));
        sent.map_err(|_| KinesisLogError::Closed)?;
        answered.blocking_recv().map_err(|_| KinesisLogError::Closed)?
    }

    /// Changes streams, alone and durably. An edit that fails changes nothing.
    pub(crate) async fn edit<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Draft) -> Result<T, AwsError> + Send + 'static,
    ) -> Result<T, AwsError> {
        let (answer, answered) = oneshot::channel();
        let change = move |draft: &mut Draft| -> writer::Finish {
            match change(draft) {
                Ok(value) => writer::Finish::commit(move |outcome| {
                    let _ = answer.send(outcome.map(|()| value));
                }),
                Err(error) => writer::Finish::cancel(move || {
                    let _ = answer.send(Err(error));
                }),
            }
        };
        let closed = || internal_failure(&KinesisLogError::Closed);
        self.jobs().send(Job::Edit(Box::new(change))).await.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    fn jobs(&self) -> &mpsc::Sender<Job> {
        self.jobs.as_ref().expect("only dropping the log closes it")
    }

    /// The records of `shard` from number `from` on, at most `count_max` and `bytes_max` of data, but at least one.
    pub(super) fn read(
        &self,
        stream: &Stream,
        shard: &Shard,
        from: u128,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Page, KinesisLogError> {
        let mut page = Page { records: Vec::new(), next: from };
        // What lies beyond the catalog's last number is not known to be synced yet.
        let mut bytes = 0;
        self.shared.visit(stream.id, shard, from, |sequence, value| {
            bytes += record::data_of(&value).len();
            if page.records.len() == count_max || (!page.records.is_empty() && bytes > bytes_max) {
                return false;
            }
            page.next = sequence + 1;
            page.records.push(Stored { sequence, value });
            true
        })?;
        Ok(page)
    }

    /// When the first record from number `from` on arrived; nothing where there is none.
    pub(super) fn arrival_after(
        &self,
        stream: &Stream,
        shard: &Shard,
        from: u128,
    ) -> Result<Option<i64>, KinesisLogError> {
        let mut arrival_ms = None;
        self.shared.visit(stream.id, shard, from, |sequence, _| {
            arrival_ms = Some(super::time_of_sequence(sequence));
            false
        })?;
        Ok(arrival_ms)
    }

    /// Removes what retention has taken from the disk; tells whether more waits. Readers are past it already.
    pub(crate) async fn trim(&self, now_ms: i64) -> Result<bool, AwsError> {
        let shared = self.shared.clone();
        let plan = move || trim::plan(&shared, now_ms);
        let planned = tokio::task::spawn_blocking(plan).await.map_err(|error| internal_failure(&error))?;
        let removal = planned.map_err(|error| internal_failure(&error))?;
        let has_more = removal.has_more;
        if !removal.is_empty() {
            self.edit(move |draft| {
                removal.apply(draft);
                Ok(())
            })
            .await?;
        }
        Ok(has_more)
    }

    /// Gives back what the journals take on the disk, where the log is quiet: see [`settle`].
    pub(crate) fn settle(&self) {
        // Where puts wait, nothing is quiet.
        let _ = self.jobs().try_send(Job::Settle);
    }
}

impl Drop for KinesisLog {
    /// The folder is free when this returns.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn publish(&self, catalog: Catalog) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
        self.published.send_modify(|batches| *batches += 1);
    }

    fn store(&self) -> RwLockReadGuard<'_, Option<Store>> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the store again and takes up what it holds: whether a failed batch landed is known only then.
    fn recover(&self) -> Result<(), KinesisLogError> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        *store = None;
        let opened = Store::open(&self.folder)?;
        self.publish(opened.catalog()?);
        *store = Some(opened);
        Ok(())
    }

    /// Shows each record of the shard from number `from` on, oldest first, until `each` says to stop.
    fn visit(
        &self,
        stream: u64,
        shard: &Shard,
        from: u128,
        mut each: impl FnMut(u128, Slice) -> bool,
    ) -> Result<(), KinesisLogError> {
        let end = shard.end();
        if from >= end {
            return Ok(());
        }
        let store = self.store();
        let store = store.as_ref().ok_or(KinesisLogError::Closed)?;
        let range = (
            Bound::Included(record::key(stream, shard.index, from)),
            Bound::Excluded(record::key(stream, shard.index, end)),
        );
        for entry in store.records.range(range) {
            let (key, value) = entry.into_inner()?;
            if !each(record::sequence_of(&key), value) {
                break;
            }
        }
        Ok(())
    }
}

/// The oldest number that a stream still shows at `now_ms`.
pub(super) fn horizon(stream: &Stream, now_ms: i64) -> u128 {
    stream.trimmed_before.max(sequence_of_time(now_ms - stream.retention_ms()))
}

#[cfg(test)]
mod tests;
