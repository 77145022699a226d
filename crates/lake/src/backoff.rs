//! Waiting between tries.

use std::time::Duration;

use ambient::Ambient;

/// Doubles from `first` up to `longest`, with full jitter: many clients that failed together do not come back together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// Waits before the try that follows try number `attempt`, counted from 1.
    pub async fn wait(&self, ambient: &Ambient, attempt: u32) {
        let doublings = attempt.saturating_sub(1).min(20);
        let ceiling = self.first.saturating_mul(1 << doublings).min(self.longest);
        let share = (ambient.random() >> 64) as u32;
        tokio::time::sleep(ceiling.mul_f64(f64::from(share) / f64::from(u32::MAX))).await;
    }
}
