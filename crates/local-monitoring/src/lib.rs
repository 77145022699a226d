//! Amazon CloudWatch and CloudWatch Logs, as far as templates, alarms and their readers use them.
//!
//! [`Monitoring`] is the place: it opens the `store`, evaluates alarms and takes what the process itself measures.
//! `cloudwatch` and `logs` are the two endpoints. `metric` is what a datum and its series are, `statistic` sums data up,
//! `evaluation` decides on the state of an alarm: the last two are pure.

mod call;
mod cloudwatch;
mod evaluation;
mod logs;
mod metric;
mod monitoring;
mod statistic;
mod store;

pub use metric::Measured;
pub use monitoring::{Monitoring, MonitoringError};
