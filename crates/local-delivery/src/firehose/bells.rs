//! Wakes those who wait for something to do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

/// One bell for each delivery stream, and number 0 for streams and lanes that come and go.
#[derive(Clone, Default)]
pub(crate) struct Bells(Arc<Mutex<HashMap<i64, watch::Sender<u64>>>>);

/// Whoever listens hears what rang since it last listened.
pub(crate) type Listener = watch::Receiver<u64>;

/// Streams, lanes and their settings.
pub(crate) const CHANGES: i64 = 0;

impl Bells {
    pub fn ring(&self, number: i64) {
        self.bell(number).send_modify(|rung| *rung += 1);
    }

    pub fn listen(&self, number: i64) -> Listener {
        self.bell(number).subscribe()
    }

    pub fn forget(&self, number: i64) {
        self.0.lock().expect("no holder panics").remove(&number);
    }

    fn bell(&self, number: i64) -> watch::Sender<u64> {
        self.0.lock().expect("no holder panics").entry(number).or_insert_with(|| watch::channel(0).0).clone()
    }
}
