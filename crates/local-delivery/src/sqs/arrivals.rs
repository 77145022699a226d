//! Wakes those who wait for a message of a queue.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// One bell a queue. Nothing is remembered: who listens before looking misses nothing.
#[derive(Default)]
pub(super) struct Arrivals {
    bells: Mutex<HashMap<i64, Arc<Notify>>>,
}

impl Arrivals {
    /// The bell of `queue`, for those who are about to look.
    pub fn bell(&self, queue: i64) -> Arc<Notify> {
        self.lock().entry(queue).or_default().clone()
    }

    /// Something of `queue` can perhaps be received now.
    pub fn announce(&self, queue: i64) {
        let mut bells = self.lock();
        let Some(bell) = bells.get(&queue) else { return };
        bell.notify_waiters();
        // Nobody but this map has it: whoever comes next makes another.
        if Arc::strong_count(bell) == 1 {
            bells.remove(&queue);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Arc<Notify>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
