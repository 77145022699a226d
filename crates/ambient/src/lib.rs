//! The time and the randomness that a process gets from outside itself.
//!
//! Every crate but the binary takes them as a value, so that a test or a simulation decides what time it is and which
//! ids are drawn. It is the one crate that AWS clients and AWS servers of this workspace both know.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// A clock and a source of random bits. Cheap to clone.
#[derive(Clone)]
pub struct Ambient {
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    random: Arc<dyn Fn() -> u128 + Send + Sync>,
}

impl Ambient {
    /// `random` gives 128 fresh random bits a call.
    pub fn new(
        now: impl Fn() -> SystemTime + Send + Sync + 'static,
        random: impl Fn() -> u128 + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), random: Arc::new(random) }
    }

    /// A clock that stands still at `now_ms`, and ids that count upwards: for tests.
    pub fn fixed(now_ms: u64) -> Self {
        let drawn = std::sync::atomic::AtomicU64::new(0);
        Self::new(
            move || UNIX_EPOCH + Duration::from_millis(now_ms),
            move || u128::from(drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) << 64 | 0x5eed,
        )
    }

    pub fn now(&self) -> SystemTime {
        (self.now)()
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
    }

    /// 128 random bits.
    pub fn random(&self) -> u128 {
        (self.random)()
    }

    /// A random UUID (version 4).
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.random().to_be_bytes()).into_uuid()
    }
}

impl std::fmt::Debug for Ambient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ambient")
    }
}
