//! The machine's clock and randomness: the one place that asks for them.

use std::time::{Instant, SystemTime};

use ambient::Ambient;
use uuid::Uuid;

#[expect(clippy::disallowed_methods, reason = "the binary is where time and randomness come in")]
pub fn ambient() -> Ambient {
    Ambient::new(SystemTime::now, || Uuid::new_v4().as_u128() ^ Uuid::new_v4().as_u128().rotate_left(64))
}

/// For showing how long something took.
#[expect(clippy::disallowed_methods, reason = "the binary is where time and randomness come in")]
pub fn stopwatch() -> Instant {
    Instant::now()
}
