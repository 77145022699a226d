//! Where rows go: a table that stores, with the rows, how far the stream was applied.

mod table;
mod target;

use std::time::SystemTime;

use async_trait::async_trait;
use lake::RowChanges;
use uuid::Uuid;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::shape::{NewColumn, TableShape};

pub use table::{TableOptions, TableSink};
pub use target::{PartitionField, Target};

/// What a commit is beside its rows.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// The same over all attempts; dead letters are staged under it.
    pub id: Uuid,
    /// The checkpoint that the table must have.
    pub from: &'a Checkpoint,
    pub to: &'a Checkpoint,
    /// Whoever reads the table is told that everything before this moment is in it.
    pub complete_up_to: Option<SystemTime>,
}

#[async_trait]
pub trait Sink: Send {
    /// Takes over the table and gives the checkpoint stored in it; an empty one before the first commit. From here on
    /// no writer that was there before can commit.
    async fn take_over(&mut self) -> Result<Checkpoint>;

    /// Up to when the table has everything that was written to the source, in milliseconds since the Unix epoch, as it
    /// says itself; known after `take_over`.
    fn complete_up_to_ms(&self) -> Option<i64> {
        None
    }

    /// The columns that rows must have.
    fn shape(&self) -> &TableShape;

    /// Adds optional columns at the end of the table.
    async fn add_columns(&mut self, columns: &[NewColumn]) -> Result<()>;

    /// Makes `changes` and the checkpoint `commit.to` visible in one snapshot, or neither. `Fenced` if the table's
    /// checkpoint is no longer `commit.from`.
    /// The shape may be another afterwards: that of the table, if somebody changed its columns.
    async fn commit(&mut self, changes: RowChanges, commit: Commit<'_>) -> Result<()>;

    /// Ties the checkpoint, which is `at`, to the table again where others have changed it since. To be called now and
    /// then while there is nothing to commit.
    async fn heartbeat(&mut self, at: &Checkpoint) -> Result<()>;
}
