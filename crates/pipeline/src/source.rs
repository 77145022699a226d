//! Where changes come from.

use std::time::SystemTime;

use async_trait::async_trait;

use crate::change::{RawRecord, ShardId};
use crate::checkpoint::{Checkpoint, Gap};
use crate::error::Result;

/// A change stream that can be read on from a checkpoint.
#[async_trait]
pub trait Source: Send {
    /// Continues after `checkpoint`; at the start position, where it is empty. Fails as `Misconfigured` where the
    /// checkpoint belongs to another incarnation of the source.
    async fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()>;

    /// The stream's own name for this life of it; known after `resume`.
    fn incarnation(&self) -> &str;

    /// What came next. `None` where the source has an end and has reached it. Cancel-safe: what a dropped call had
    /// read is given by the next one.
    async fn poll(&mut self) -> Result<Option<Polled>>;
}

/// What one poll gave: records in order per shard, every ancestor shard before its children.
#[derive(Debug, Default)]
pub struct Polled {
    pub records: Vec<RawRecord>,
    /// Shards whose last record is in this poll or an earlier one. Their children come later.
    pub ended: Vec<ShardId>,
    /// Ended shards that the stream no longer lists.
    pub forgotten: Vec<ShardId>,
    /// Stretches that the stream no longer held.
    pub gaps: Vec<Gap>,
    /// Every change written to the source before this moment is in this poll or an earlier one.
    pub complete_up_to: Option<SystemTime>,
}
