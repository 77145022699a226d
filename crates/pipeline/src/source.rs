//! Where changes come from.
//!
//! [`DynamoDbStreamsSource`] (`dynamodb_streams.rs`) asks a [`StreamApi`] (`stream_api.rs`; `aws_stream_api.rs` and
//! `get_records.rs` for AWS) for pages (`page.rs`) of the shards (`reading.rs`) that their lineage (`shard_tree.rs`)
//! allows to be read. [`KinesisSource`] (`kinesis.rs`) does the same with a [`KinesisStreamApi`] (`kinesis_api.rs`),
//! whose records may be [`aggregated`], or with a [`FanOutApi`] (`fan_out.rs`), to which they are pushed.
//! [`ReplaySource`] (`replay.rs`, with `lines.rs`) reads files.

mod aggregated;
mod aws_stream_api;
mod dynamodb_streams;
mod fan_out;
mod get_records;
mod kinesis;
mod kinesis_api;
mod lines;
pub(crate) mod page;
mod reading;
mod replay;
mod shard_tree;
mod stream_api;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use crate::change::{RawRecord, ShardId};
use crate::checkpoint::{Checkpoint, Gap};
use crate::error::Result;

pub use aws_stream_api::AwsStreamApi;
pub use dynamodb_streams::DynamoDbStreamsSource;
pub use fan_out::FanOutApi;
pub use kinesis::{KinesisSource, KinesisStream, describe_kinesis_stream, find_kinesis_stream};
pub use kinesis_api::KinesisStreamApi;
pub use replay::ReplaySource;
pub use shard_tree::{ListedShard, Start};
pub use stream_api::{RecordPage, ShardPage, StreamApi, StreamError, StreamErrorKind};

/// Where a stream is read from when the table has no checkpoint yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartPosition {
    /// The oldest record that the stream still holds.
    #[default]
    TrimHorizon,
    /// What is written from now on.
    Latest,
    /// What arrived from then on, in milliseconds since the Unix epoch.
    AtTimestamp(i64),
}

/// A change stream that can be read on from a checkpoint.
#[async_trait]
pub trait Source: Send {
    /// Continues after `checkpoint`; at the start position, where it is empty. Fails as `Misconfigured` where the
    /// checkpoint belongs to another incarnation of the source.
    async fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()>;

    /// Tells the source, before `resume`, up to when the table has everything, in milliseconds since the Unix epoch.
    fn set_complete_up_to(&mut self, _complete_up_to_ms: i64) {}

    /// Tells the source, before `resume`, where to count calls that were throttled.
    fn count_throttles(&mut self, _throttled: Arc<AtomicU64>) {}

    /// How long the stream keeps a record; `None` where nothing expires.
    fn retention(&self) -> Option<Duration> {
        None
    }

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
    /// Shards that are read from now on. Recorded before their first record, so that losing a shard that was never
    /// read is told from having read it.
    pub begun: Vec<ShardId>,
    /// Shards whose last record is in this poll or an earlier one. Their children come later.
    pub ended: Vec<ShardId>,
    /// Ended shards that the stream no longer lists.
    pub forgotten: Vec<ShardId>,
    /// Stretches that the stream no longer held.
    pub gaps: Vec<Gap>,
    /// Every change written to the source before this moment is in this poll or an earlier one.
    pub complete_up_to: Option<SystemTime>,
}

impl Polled {
    /// Whether it changes the checkpoint.
    pub fn moves(&self) -> bool {
        let is_still = self.records.is_empty()
            && self.begun.is_empty()
            && self.ended.is_empty()
            && self.forgotten.is_empty()
            && self.gaps.is_empty();
        !is_still
    }
}
