//! The numbers that CloudWatch has of a delivery stream, in the names of our metrics: `IncomingRecords` is
//! `dynaberg_firehose_incoming_records_total`, `DeliveryToIceberg.DataFreshness` is
//! `dynaberg_firehose_data_freshness_seconds{destination="iceberg"}`.
//!
//! <https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html>

use std::time::Duration;

use local_delivery::{Firehose, FirehoseAccount};
use tokio_util::sync::CancellationToken;

use crate::aws::Aws;

const INCOMING_RECORDS: &str = "dynaberg_firehose_incoming_records_total";
const INCOMING_BYTES: &str = "dynaberg_firehose_incoming_bytes_total";
const DELIVERED_RECORDS: &str = "dynaberg_firehose_delivered_records_total";
const DELIVERED_BYTES: &str = "dynaberg_firehose_delivered_bytes_total";
const DROPPED_RECORDS: &str = "dynaberg_firehose_dropped_records_total";
const FAILED_RECORDS: &str = "dynaberg_firehose_failed_records_total";
const BUFFERED_RECORDS: &str = "dynaberg_firehose_buffered_records";
const DATA_FRESHNESS: &str = "dynaberg_firehose_data_freshness_seconds";

/// How old the numbers are at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the metrics up to date until `shutdown`.
pub async fn run(firehose: &Firehose, aws: &Aws, shutdown: &CancellationToken) {
    let mut seen = 0;
    while !shutdown.is_cancelled() {
        match firehose.accounts().await {
            // There is nothing to count before a delivery stream is made.
            Ok(accounts) if accounts.is_empty() => {
                shutdown.run_until_cancelled(firehose.changed(&mut seen)).await;
                continue;
            }
            Ok(accounts) => accounts.iter().for_each(|account| publish(account, aws.ambient().now_ms())),
            Err(failure) => tracing::warn!(error = &failure as &dyn std::error::Error, "count delivered records"),
        }
        shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await;
    }
}

fn publish(account: &FirehoseAccount, now_ms: i64) {
    let destination = if account.is_iceberg { "iceberg" } else { "s3" };
    let labels = [("delivery_stream", account.name.clone()), ("destination", destination.to_owned())];
    for (name, count) in [
        (INCOMING_RECORDS, account.received),
        (INCOMING_BYTES, account.received_bytes),
        (DELIVERED_RECORDS, account.delivered),
        (DELIVERED_BYTES, account.delivered_bytes),
        (DROPPED_RECORDS, account.dropped),
        (FAILED_RECORDS, account.failed),
    ] {
        metrics::counter!(name, &labels).absolute(count);
    }
    metrics::gauge!(BUFFERED_RECORDS, &labels).set(account.buffered as f64);
    let age_ms = account.oldest_ms.map_or(0, |oldest_ms| (now_ms - oldest_ms).max(0));
    metrics::gauge!(DATA_FRESHNESS, &labels).set(age_ms as f64 / 1_000.0);
}
