//! How much a shard takes and gives: 1 MiB and 1,000 records a second in, 2 MiB and five calls a second out.
//!
//! <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const WRITE_BYTES_PER_SECOND: f64 = 1024.0 * 1024.0;
const WRITE_RECORDS_PER_SECOND: f64 = 1_000.0;
const READ_BYTES_PER_SECOND: f64 = 2.0 * 1024.0 * 1024.0;
const READ_CALLS_PER_SECOND: f64 = 5.0;
/// Shards that budgets are kept for; beyond it all of them start anew.
const SHARDS_MAX: usize = 50_000;

/// A budget that fills up to one second's worth. One that was overdrawn has to fill up again first.
#[derive(Clone, Copy)]
struct Budget {
    per_second: f64,
    left: f64,
}

impl Budget {
    fn full(per_second: f64) -> Self {
        Self { per_second, left: per_second }
    }

    fn refill(&mut self, elapsed_ms: i64) {
        let earned = self.per_second * elapsed_ms.max(0) as f64 / 1000.0;
        self.left = (self.left + earned).min(self.per_second);
    }

    /// Whether `amount` can be spent; more than a second's worth can where the budget is full.
    fn covers(&self, amount: f64) -> bool {
        self.left >= amount.min(self.per_second)
    }
}

/// What each shard may still be sent.
#[derive(Default)]
pub(super) struct Writes {
    shards: HashMap<(u64, u32), WriteBudget>,
}

struct WriteBudget {
    bytes: Budget,
    records: Budget,
    at_ms: i64,
}

impl Writes {
    /// Takes a record of `bytes` out of the shard's budget, or tells that it is used up.
    pub(super) fn admit(&mut self, shard: (u64, u32), bytes: usize, now_ms: i64) -> bool {
        if self.shards.len() > SHARDS_MAX {
            self.shards.clear();
        }
        let budget = self.shards.entry(shard).or_insert_with(|| WriteBudget {
            bytes: Budget::full(WRITE_BYTES_PER_SECOND),
            records: Budget::full(WRITE_RECORDS_PER_SECOND),
            at_ms: now_ms,
        });
        budget.bytes.refill(now_ms - budget.at_ms);
        budget.records.refill(now_ms - budget.at_ms);
        budget.at_ms = now_ms.max(budget.at_ms);
        if !budget.bytes.covers(bytes as f64) || !budget.records.covers(1.0) {
            return false;
        }
        budget.bytes.left -= bytes as f64;
        budget.records.left -= 1.0;
        true
    }
}

/// What may still be read from each shard.
pub(crate) struct Reads {
    throttles: bool,
    shards: Mutex<HashMap<(u64, u32), ReadBudget>>,
}

struct ReadBudget {
    bytes: Budget,
    calls: Budget,
    at_ms: i64,
}

impl Reads {
    pub(super) fn new(throttles: bool) -> Self {
        Self { throttles, shards: Mutex::default() }
    }

    /// Whether the shard may be read now. What was read is known only afterwards: see [`Reads::spend`].
    pub(in crate::kinesis) fn admit(&self, shard: (u64, u32), now_ms: i64) -> bool {
        if !self.throttles {
            return true;
        }
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if shards.len() > SHARDS_MAX {
            shards.clear();
        }
        let budget = shards.entry(shard).or_insert_with(|| ReadBudget {
            bytes: Budget::full(READ_BYTES_PER_SECOND),
            calls: Budget::full(READ_CALLS_PER_SECOND),
            at_ms: now_ms,
        });
        budget.bytes.refill(now_ms - budget.at_ms);
        budget.calls.refill(now_ms - budget.at_ms);
        budget.at_ms = now_ms.max(budget.at_ms);
        let is_admitted = budget.bytes.left > 0.0 && budget.calls.covers(1.0);
        if is_admitted {
            budget.calls.left -= 1.0;
        }
        is_admitted
    }

    /// Takes what an admitted call gave out of the budget. A page of 10 MiB costs five seconds, as on AWS.
    pub(in crate::kinesis) fn spend(&self, shard: (u64, u32), bytes: usize) {
        if !self.throttles {
            return;
        }
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = shards.get_mut(&shard) {
            budget.bytes.left -= bytes as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_takes_a_thousand_records_a_second() {
        let mut writes = Writes::default();
        let admitted = (0..1_200).filter(|_| writes.admit((1, 0), 10, 5_000)).count();
        assert_eq!(admitted, 1_000);
        let admitted = (0..1_200).filter(|_| writes.admit((1, 0), 10, 5_500)).count();
        assert_eq!(admitted, 500);
        assert!(writes.admit((1, 1), 10, 5_500), "each shard has its own");
    }

    #[test]
    fn a_shard_takes_a_mebibyte_a_second_and_a_larger_record_when_it_is_rested() {
        let mut writes = Writes::default();
        assert!(writes.admit((1, 0), 1 << 20, 0));
        assert!(!writes.admit((1, 0), 1, 0));
        assert!(writes.admit((1, 0), 4 << 20, 1_000));
        assert!(!writes.admit((1, 0), 1, 4_000));
        assert!(writes.admit((1, 0), 1, 4_001));
    }

    #[test]
    fn a_page_of_ten_mebibytes_costs_five_seconds() {
        let reads = Reads::new(true);
        assert!(reads.admit((1, 0), 0));
        reads.spend((1, 0), 12 << 20);
        assert!(!reads.admit((1, 0), 5_000));
        assert!(reads.admit((1, 0), 5_001));
        assert_eq!((0..10).filter(|_| reads.admit((1, 1), 0)).count(), 5, "five calls a second");
    }
}
