//! Data Firehose's delivery streams, plugged onto the functions, tables and Kinesis streams that they name.
//!
//! `deliveries` runs a pipeline for each table that records were routed to: the same loop as every other, with a
//! `source` that reads the delivery stream's buffer, a `sink` that lets records go once the table has them, and
//! `refusals` in the place of dead letters. `feeds` reads Kinesis streams; `metrics` counts.

mod deliveries;
mod feeds;
mod formats;
mod functions;
mod metrics;
mod refusals;
mod sink;
mod source;

use std::path::PathBuf;

use local_delivery::Firehose;
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;

pub use formats::GlueFormats;
pub use functions::LambdaFunctions;

/// Delivers until `shutdown`, and lets go of what is not committed by then: the buffers have it.
pub async fn deliver(firehose: Firehose, aws: Aws, index_dir: PathBuf, shutdown: CancellationToken) {
    tokio::join!(
        deliveries::run(&firehose, &aws, &index_dir, &shutdown),
        feeds::run(&firehose, &aws, &shutdown),
        metrics::run(&firehose, &aws, &shutdown),
    );
}
