//! Ends a query at the wish of another connection, which knows the secret of the one that runs it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ambient::Ambient;
use tokio_util::sync::CancellationToken;

/// What a client must present to end what runs on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub process: i32,
    pub secret: i32,
}

impl Key {
    pub fn new(ambient: &Ambient) -> Self {
        let random = ambient.random();
        Self { process: ((random >> 32) as i32) & i32::MAX, secret: random as i32 }
    }
}

/// The connections that are open, and what ends the query that runs on each.
#[derive(Default)]
pub(super) struct Cancellations {
    running: Mutex<HashMap<Key, CancellationToken>>,
}

impl Cancellations {
    /// Ends what runs under `key`, if anything does.
    pub fn cancel(&self, key: Key) {
        if let Some(running) = self.lock().get(&key) {
            running.cancel();
        }
    }

    /// Begins a query: gives what ends it. A wish that came before it, for an earlier one, does not count.
    pub fn begin(&self, key: Key) -> CancellationToken {
        let stop = CancellationToken::new();
        self.lock().insert(key, stop.clone());
        stop
    }

    /// Forgets a query that has ended.
    pub fn end(&self, key: Key) {
        self.lock().remove(&key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, CancellationToken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
