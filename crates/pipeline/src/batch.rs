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

    /// Takes in what a poll gave and what its records were decoded to: those that were `admitted`, where some were held
    /// back.
    pub fn push(&mut self, polled: Polled, admitted: Option<&[RawRecord]>, decoded: Decoded) {
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
        self.push_rejected(admitted.unwrap_or(&polled.records), decoded.rejected);
        self.received += polled.records.len();
        self.complete_up_to = self.complete_up_to.max(polled.complete_up_to);
        if !decoded.changes.operations.is_empty() {
            self.changes.push(decoded.changes);
        }
    }

    /// Every record that was decoded and not rejected is one row of the changes that are about to be added.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;
    use arrow::record_batch::RecordBatch;
    use bytes::Bytes;

    use super::*;
    use crate::change::{SequenceNumber, ShardId};
    use crate::dead_letter::Step;

    #[test]
    fn a_letter_stands_before_the_change_that_came_after_it_whatever_was_held_back() {
        let record = |digits: &str| {
            let sequence_number = SequenceNumber::parse(digits).unwrap();
            let position = Position { shard: ShardId::new("s"), sequence_number, part: 0 };
            RawRecord { position, json: Bytes::new() }
        };
        let records = ["1", "2", "3"].map(record).to_vec();
        let letter = DeadLetter { record: record("2"), step: Step::Decode, code: "DYN401", reason: String::new() };
        let place = |admitted: Option<&[RawRecord]>| {
            let mut batch = Batch::after(Checkpoint::default());
            let polled = Polled { records: records.clone(), ..Polled::default() };
            let rows = RecordBatch::new_empty(Arc::new(Schema::empty()));
            let changes = Changes { operations: Vec::new(), positions: Vec::new(), rows, passed: None };
            let decoded = Decoded { changes, rejected: vec![letter.clone()], new_columns: Vec::new() };
            batch.push(polled, admitted, decoded);
            batch.rejected_at[0].next_change
        };
        assert_eq!(place(None), (0, 1));
        assert_eq!(place(Some(&records[1..])), (0, 0));
    }
}
