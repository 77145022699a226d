//! How the memory of queries is shared out among their operators.

use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::memory_pool::human_readable_size;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// What an operator that can spill may gather, of its even share: the rest is for sorting what it spills.
const GATHERED_PART: usize = 2;
/// What every operator may gather that can spill, if it is free: two batches, to merge what was spilled.
const GATHERED_MIN: usize = 4 << 20;
/// What an operator may still hold that has given back everything: an empty hash table.
const NOTHING: usize = 4 << 10;

/// Operators that can spill gather no more than half of an even share each. One that spills gives back what it has and
/// asks anew, for what sorting takes: of that it may have all that is free. (A pool that lets each gather its whole
/// share leaves it no room to spill: a GROUP BY of two million texts failed with 512 MB.)
#[derive(Debug)]
pub(super) struct Shares {
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// How many operators there are that can spill.
    spillers: usize,
    by_spillers: usize,
    by_others: usize,
}

impl Shares {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much more the holder of `reservation` may have.
    fn available(&self, held: &Held, reservation: &MemoryReservation) -> usize {
        let free = self.bytes_max.saturating_sub(held.by_spillers + held.by_others);
        if !reservation.consumer().can_spill() || reservation.size() <= NOTHING {
            return free;
        }
        let share = self.bytes_max.saturating_sub(held.by_others) / held.spillers.max(1);
        (share / GATHERED_PART).max(GATHERED_MIN).saturating_sub(reservation.size()).min(free)
    }
}

impl Held {
    fn by(&mut self, consumer: &MemoryConsumer) -> &mut usize {
        if consumer.can_spill() { &mut self.by_spillers } else { &mut self.by_others }
    }
}

impl MemoryPool for Shares {
    fn register(&self, consumer: &MemoryConsumer) {
        self.held().spillers += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.held().spillers -= usize::from(consumer.can_spill());
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *self.held().by(reservation.consumer()) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        *self.held().by(reservation.consumer()) -= shrink;
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let mut held = self.held();
        let available = self.available(&held, reservation);
        if additional > available {
            return Err(resources_datafusion_err!(
                "{} holds {} and asks for {} more, of {} that it may have",
                reservation.consumer().name(),
                human_readable_size(reservation.size()),
                human_readable_size(additional),
                human_readable_size(available)
            ));
        }
        *held.by(reservation.consumer()) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let held = self.held();
        held.by_spillers + held.by_others
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// So that shares are above the least.
    const UNIT: usize = 1 << 15;

    #[test]
    fn who_can_spill_gathers_half_a_share_and_sorts_in_what_is_free() {
        let pool: Arc<dyn MemoryPool> = Arc::new(Shares::new(1_000 * UNIT));
        let one = MemoryConsumer::new("one").with_can_spill(true).register(&pool);
        let other = MemoryConsumer::new("other").with_can_spill(true).register(&pool);
        one.try_grow(100 * UNIT).unwrap();
        other.try_grow(250 * UNIT).unwrap();
        one.try_grow(150 * UNIT).unwrap();
        one.try_grow(UNIT).unwrap_err();
        one.free();
        one.try_grow(750 * UNIT).unwrap();
        other.try_grow(UNIT).unwrap_err();
        assert_eq!(pool.reserved(), 1_000 * UNIT);
    }

    #[test]
    fn who_cannot_spill_has_all_that_is_free_and_no_more() {
        let pool: Arc<dyn MemoryPool> = Arc::new(Shares::new(1_000 * UNIT));
        let merge = MemoryConsumer::new("merge").register(&pool);
        merge.try_grow(400 * UNIT).unwrap();
        let sort = MemoryConsumer::new("sort").with_can_spill(true).register(&pool);
        sort.try_grow(100 * UNIT).unwrap();
        sort.try_grow(201 * UNIT).unwrap_err();
        sort.try_grow(200 * UNIT).unwrap();
        merge.try_grow(301 * UNIT).unwrap_err();
        merge.try_grow(300 * UNIT).unwrap();
        drop(sort);
        assert_eq!(pool.reserved(), 700 * UNIT);
    }
}
