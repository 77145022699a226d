//! The audit log: who reached for what, and what was decided, as lines of JSON in files that are only appended to.
//!
//! `audit.jsonl` is the latest; a full one becomes `audit-<number>.jsonl`, and the oldest of many go. Whoever decides hands
//! an entry over and goes on; a thread writes what has come together and syncs it. What a query has read is on disk
//! before its result can be fetched.

mod entry;
mod file;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use ambient::Ambient;
use tokio::sync::oneshot;

pub(crate) use entry::{Entry, Subject, TableLimits, Touched};
use file::LogFile;

/// Entries that may wait for the disk; who comes then waits too.
const WAITING_MAX: usize = 10_000;

/// Where decisions are handed over.
pub(crate) struct Audit {
    waiting: SyncSender<Waiting>,
    ambient: Ambient,
}

struct Waiting {
    line: String,
    /// Told when the line is on disk.
    written: Option<oneshot::Sender<io::Result<()>>>,
}

impl Audit {
    /// Opens the log in `folder`. May block.
    pub(crate) fn open(folder: &Path, ambient: Ambient) -> io::Result<Self> {
        let file = LogFile::open(folder)?;
        let (waiting, entries) = sync_channel(WAITING_MAX);
        std::thread::Builder::new().name("audit".to_owned()).spawn(move || write(file, &entries))?;
        Ok(Self { waiting, ambient })
    }

    /// Hands an entry over. It is on disk a moment later.
    pub(crate) fn record(&self, entry: &Entry<'_>) {
        self.hand_over(entry, None);
    }

    /// Waits until the entry is on disk.
    pub(crate) async fn record_durably(&self, entry: &Entry<'_>) -> io::Result<()> {
        let (written, outcome) = oneshot::channel();
        self.hand_over(entry, Some(written));
        outcome.await.unwrap_or_else(|_| Err(io::Error::other("the audit log is closed")))
    }

    fn hand_over(&self, entry: &Entry<'_>, written: Option<oneshot::Sender<io::Result<()>>>) {
        let line = entry.line(self.ambient.now_ms());
        if self.waiting.send(Waiting { line, written }).is_err() {
            tracing::error!("a decision is not in the audit log, which is closed");
        }
    }
}

/// Writes what is waiting together, until nobody can hand over any more.
fn write(mut file: LogFile, entries: &Receiver<Waiting>) {
    while let Ok(first) = entries.recv() {
        let batch: Vec<Waiting> = std::iter::once(first).chain(entries.try_iter().take(WAITING_MAX)).collect();
        let outcome = file.append(batch.iter().map(|waiting| waiting.line.as_str()));
        if let Err(error) = &outcome {
            tracing::error!(%error, entries = batch.len(), "decisions are not in the audit log");
        }
        for written in batch.into_iter().filter_map(|waiting| waiting.written) {
            let outcome = match &outcome {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            // Who does not wait any more does not mind.
            let _ = written.send(outcome);
        }
    }
}
