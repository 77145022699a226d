//! What retention takes from the disk: expired records, closed shards without any, what deleted streams left.

use fjall::Slice;

use super::catalog::Draft;
use super::{KinesisLogError, Shared, horizon, record};
use std::ops::Bound;
use std::sync::PoisonError;

/// Records removed by one edit; the next one goes on.
const RECORDS_MAX: usize = 10_000;

#[derive(Default)]
pub(super) struct Removal {
    records: Vec<Slice>,
    /// Up to where each stream's records are gone for good: a longer retention does not bring them back.
    horizons: Vec<(u64, u128)>,
    shards: Vec<(u64, u32)>,
    cleared: Vec<u64>,
    pub(super) has_more: bool,
}

/// Finds what can go at `now_ms`.
pub(super) fn plan(shared: &Shared, now_ms: i64) -> Result<Removal, KinesisLogError> {
    let catalog = shared.catalog.read().unwrap_or_else(PoisonError::into_inner).clone();
    let mut removal = Removal::default();
    for stream in catalog.streams.values() {
        let horizon = horizon(stream, now_ms);
        let before = removal.records.len();
        for shard in stream.shards.values() {
            let is_expired = shard.closed.is_some_and(|closed| closed.at_ms <= now_ms - stream.retention_ms());
            removal.collect(shared, stream.id, shard.index..=shard.index, horizon)?;
            if is_expired && !removal.has_more {
                removal.shards.push((stream.id, shard.index));
            }
        }
        if removal.records.len() > before {
            removal.horizons.push((stream.id, horizon));
        }
    }
    for id in &catalog.garbage {
        removal.collect(shared, *id, 0..=u32::MAX, u128::MAX)?;
        if !removal.has_more {
            removal.cleared.push(*id);
        }
    }
    Ok(removal)
}

impl Removal {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.shards.is_empty() && self.cleared.is_empty()
    }

    pub(super) fn apply(self, draft: &mut Draft) {
        draft.removed_records.extend(self.records);
        for (id, horizon) in self.horizons {
            if let Some(stream) = draft.change(id) {
                stream.trimmed_before = stream.trimmed_before.max(horizon);
            }
        }
        for (id, index) in self.shards {
            draft.remove_shard(id, index);
        }
        for id in self.cleared {
            draft.catalog.garbage.remove(&id);
            draft.cleared_garbage.push(id);
        }
    }

    fn collect(
        &mut self,
        shared: &Shared,
        stream: u64,
        shards: std::ops::RangeInclusive<u32>,
        horizon: u128,
    ) -> Result<(), KinesisLogError> {
        let store = shared.store();
        let store = store.as_ref().ok_or(KinesisLogError::Closed)?;
        let range = (
            Bound::Included(record::key(stream, *shards.start(), 0)),
            Bound::Excluded(record::key(stream, *shards.end(), horizon)),
        );
        for entry in store.records.range(range) {
            if self.records.len() == RECORDS_MAX {
                self.has_more = true;
                return Ok(());
            }
            self.records.push(entry.key()?);
        }
        Ok(())
    }
}
