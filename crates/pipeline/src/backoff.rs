//! Waiting longer after every failure.

use std::time::Duration;

use ambient::Ambient;

/// Exponential delays with full jitter: each is drawn between half of a growing bound and the bound.
#[derive(Clone, Debug)]
pub struct Backoff {
    ambient: Ambient,
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub fn new(ambient: Ambient, first: Duration, max: Duration) -> Self {
        Self { ambient, first, max, failures: 0 }
    }

    /// The delay after one more failure.
    pub fn fail(&mut self) -> Duration {
        let delay = delay_after(&self.ambient, self.first, self.max, self.failures);
        self.failures += 1;
        delay
    }

    /// How often it failed since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Starts again at the first delay.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }
}

/// The delay after as many failures as that and one more.
pub(crate) fn delay_after(ambient: &Ambient, first: Duration, max: Duration, failures: u32) -> Duration {
    let bound = first.saturating_mul(1 << failures.min(16)).min(max);
    let jitter = (ambient.random() >> 64) as u32;
    bound / 2 + (bound / 2).mul_f64(f64::from(jitter) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_bound_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Ambient::fixed(0), Duration::from_millis(100), Duration::from_secs(1));
        let delays: Vec<_> = (0..6).map(|_| backoff.fail()).collect();
        assert!(delays[0] >= Duration::from_millis(50) && delays[0] <= Duration::from_millis(100));
        assert!(delays[5] >= Duration::from_millis(500) && delays[5] <= Duration::from_secs(1));
        backoff.succeed();
        assert!(backoff.fail() <= Duration::from_millis(100));
    }
}
