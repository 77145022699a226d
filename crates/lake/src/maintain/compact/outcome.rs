//! How a task ends, and how far it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of a task. An error instead says that a later try may do better, or that its outcome is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done(Done),
    /// The table is as it was.
    GaveUp(GaveUp),
}

/// What a task changed. Zero files before: others had done it already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// `None` where there was nothing left to do, or the snapshot has expired already.
    pub snapshot_id: Option<i64>,
    /// Data files, or delete files where those were merged.
    pub files_before: usize,
    pub files_after: usize,
    pub bytes_before: u64,
    pub bytes_after: u64,
    pub rows: u64,
    /// Rows that were deleted while the task ran, and are deleted in the new files.
    pub followed_deletes: u64,
}

/// Why a task left the table to others. Planning anew may find something else to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GaveUp {
    /// A file of the task is not in the table any more.
    FileGone(String),
    /// Deletes came that cannot be followed to other files.
    Obstacle(String),
    /// Another table has the name now.
    TableReplaced,
    /// Rows that were deleted live again: the table was rolled back.
    RolledBack,
    /// The schema has changed so that the new files do not fit it.
    SchemaChanged,
    /// Others committed each time first.
    LostRace,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FileGone(path) => write!(f, "{path} is not in the table any more"),
            Self::Obstacle(reason) => f.write_str(reason),
            Self::TableReplaced => f.write_str("another table has the name now"),
            Self::RolledBack => f.write_str("the table was rolled back"),
            Self::SchemaChanged => f.write_str("the schema has changed"),
            Self::LostRace => f.write_str("others commit too often"),
        }
    }
}

/// How far a task is, for whoever watches. Clones watch the same task.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Rows read so far, of the [`Gain::rows`](crate::maintain::compact::Gain) of the task.
    pub fn rows(&self) -> u64 {
        self.counters.rows.load(Ordering::Relaxed)
    }

    /// Bytes of memory that those rows took.
    pub fn bytes(&self) -> u64 {
        self.counters.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, rows: usize, bytes: usize) {
        self.counters.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
