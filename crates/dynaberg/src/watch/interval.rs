//! Hands samples on, again and again.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{Interval, Measurements, Sample, emf};
use crate::output;

/// Takes the samples of an interval, with the moment of its end in milliseconds since the Unix epoch.
pub type Receiver = Box<dyn FnMut(&[Sample], i64) + Send>;

/// Hands the samples of each interval to all `receivers` until `shutdown`, and what came last then.
pub async fn hand_on(
    measurements: Measurements,
    every: Duration,
    mut receivers: Vec<Receiver>,
    shutdown: CancellationToken,
) {
    if receivers.is_empty() {
        return;
    }
    let mut interval = Interval::default();
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let goes_on = shutdown.run_until_cancelled(ticks.tick()).await.is_some();
        let samples = interval.samples(&measurements.text());
        let now_ms = measurements.ambient.now_ms();
        receivers.iter_mut().for_each(|receiver| receiver(&samples, now_ms));
        if !goes_on {
            return;
        }
    }
}

/// Writes samples to standard output in CloudWatch's embedded metric format.
pub fn print_emf() -> Receiver {
    Box::new(|samples, now_ms| {
        for line in emf::lines(samples, now_ms) {
            if let Err(failure) = output::line(line) {
                tracing::warn!(error = failure.message(), "metrics not written");
            }
        }
    })
}
