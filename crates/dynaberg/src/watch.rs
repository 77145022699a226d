//! What this process measures, for those who watch it: as Prometheus text, and as samples for CloudWatch.
//!
//! `/metrics` shows the text; everything else is read from that same text (`samples.rs`), so that a metric has one name
//! and one value wherever it is looked at. `emf.rs` writes samples as CloudWatch's embedded metric format, `interval.rs`
//! hands them on again and again, `notify.rs` tells the service manager that all is well.

mod emf;
mod interval;
mod notify;
mod samples;

use ambient::Ambient;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::failure::{Exit, Failure, Outcome};
use crate::wiring::Roster;

pub use interval::{Receiver, hand_on, print_emf};
pub use notify::ServiceManager;
pub use samples::{Interval, Sample};

/// The namespace of our metrics in CloudWatch.
pub const NAMESPACE: &str = "Dynaberg";

/// Starts to record metrics. Once a process.
pub fn record_metrics() -> Outcome<PrometheusHandle> {
    PrometheusBuilder::new().install_recorder().map_err(|error| Failure::caused_by(Exit::Other, &error))
}

/// The metrics of a process and of its pipelines. Cheap to clone.
#[derive(Clone)]
pub struct Measurements {
    pipelines: Roster,
    recorder: PrometheusHandle,
    ambient: Ambient,
}

impl Measurements {
    pub fn new(pipelines: Roster, recorder: PrometheusHandle, ambient: Ambient) -> Self {
        Self { pipelines, recorder, ambient }
    }

    /// As Prometheus reads them, at this moment.
    pub fn text(&self) -> String {
        let now = self.ambient.now();
        for running in self.pipelines.list() {
            let (account, state) = (running.account(), running.status.state());
            pipeline::metrics::publish(&running.name, &running.table, &state, &account, now);
        }
        self.recorder.run_upkeep();
        self.recorder.render()
    }
}
