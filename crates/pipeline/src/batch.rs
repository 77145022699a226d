//! What has been read since the last commit.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::change::{Position, RawRecord};
use crate::checkpoint::Checkpoint;
use crate::dead_letter::DeadLetter;
use crate::decode::{Changes, Decoded};
use crate::source::Polled;

/// When a batch is committed.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// After this long since its first record.
    pub interval: Duration,
    /// At this many bytes of raw records.
    pub size_bytes: usize,
    /// At this many records.
    pub records_max: usize,
}

/// The changes between two checkpoints.
#[derive(Debug)]
pub struct Batch {
    pub from: Checkpoint,
    pub to: Checkpoint,
    pub changes: Vec<Changes>,
    pub rejected: Vec<DeadLetter>,
    /// Where each of them stood among the records of the batch.
    pub(crate) rejected_at: Vec<InBatch>,
    pub received: usize,
    /// Held back before they were decoded: the table has them, or something newer.
    pub superseded: usize,
    /// Passed over before they were decoded.
    pub filtered: usize,
    /// Everything written to the source before this moment is in this batch or an earlier one.
    pub complete_up_to: Option<SystemTime>,
    bytes: usize,
    opened: Option<Instant>,
}

/// The place of a rejected record in its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InBatch {
    /// Which record it was.
    pub record: u64,
    /// The change that came next: which of the batch's [`Changes`], and which row of it.
    pub next_change: (u32, u32),
}

impl Batch {
    /// An empty batch that continues at `checkpoint`.
    pub fn after(checkpoint: Checkpoint) -> Self {
        Self {
            to: checkpoint.clone(),
            from: checkpoint,
            changes: Vec::new(),
            rejected: Vec::new(),
            rejected_at: Vec::new(),
            received: 0,
            superseded: 0,
            filtered: 0,
            complete_up_to: None,
            bytes: 0,
            opened: None,
        }
    }

    /// Whether a commit of it would change nothing, not even a position.
    pub fn is_empty(&self) -> bool {
        self.opened.is_none()
    }

    pub fn is_full(&self, delivery: &Delivery) -> bool {
        self.bytes >= delivery.size_bytes || self.received >= delivery.records_max
    }

    /// Completes when the batch has waited long enough; never, where it is empty. Cancel-safe.
    pub async fn is_due(&self, delivery: &Delivery) {
        match self.opened {
            Some(opened) => tokio::time::sleep_until(opened + delivery.interval).await,
            None => std::future::pending().await,
        }
    }

    /// Takes in what a poll gave and what its records were decoded to.
    pub fn push(&mut self, polled: Polled, decoded: Decoded) {
        if polled.moves() && self.opened.is_none() {
            self.opened = Some(Instant::now());
        }
        for shard in &polled.begun {
            self.to.begin(shard);
        }
        for record in &polled.records {
            self.bytes += record.json.len();
            // Parts of one number come together.
            if !self.to.covers(&record.position) {
                self.to.advance(&record.position);
            }
        }
        for gap in polled.gaps {
            self.to.record_gap(gap);
        }
        for shard in &polled.ended {
            self.to.end(shard);
        }
        for shard in &polled.forgotten {
            self.to.forget(shard);
        }
        self.push_rejected(&polled.records, decoded.rejected);
        self.received += polled.records.len();
        self.complete_up_to = self.complete_up_to.max(polled.complete_up_to);
        if !decoded.changes.operations.is_empty() {
            self.changes.push(decoded.changes);
        }
    }

    /// Every record that was not rejected is one row of the changes that are about to be added.
    fn push_rejected(&mut self, records: &[RawRecord], rejected: Vec<DeadLetter>) {
        let mut rejected: HashMap<Position, DeadLetter> =
            rejected.into_iter().map(|letter| (letter.position().clone(), letter)).collect();
        if rejected.is_empty() {
            return;
        }
        let mut row = 0;
        for (number, record) in records.iter().enumerate() {
            match rejected.remove(&record.position) {
                None => row += 1,
                Some(letter) => {
                    let record = (self.received + number) as u64;
                    self.rejected.push(letter);
                    self.rejected_at.push(InBatch { record, next_change: (self.changes.len() as u32, row) });
                }
            }
        }
    }
}
