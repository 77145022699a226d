//! `dynaberg replay`: files of stream records through the same path as a stream.

use serde::Serialize;

use crate::aws::Aws;
use crate::cli::{Format, ReplayArgs};
use crate::config::PipelineFile;
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::watch::record_metrics;
use crate::wiring;

use super::interrupt::shutdown_on_signal;
use super::sql::parse_catalog;

#[derive(Serialize)]
struct Summary {
    received: u64,
    upserted: u64,
    deleted: u64,
    superseded: u64,
    filtered: u64,
    rejected: u64,
    commits: u64,
    commit_p50_ms: Option<f64>,
    commit_p99_ms: Option<f64>,
    elapsed_ms: u64,
}

pub async fn run(arguments: ReplayArgs) -> Outcome {
    let started = system::stopwatch();
    let metrics = record_metrics()?;
    let ambient = system::ambient();
    let mut file = PipelineFile::read(&arguments.pipeline)?;
    wiring::refuse_leaks(std::slice::from_ref(&file))?;
    if let Some(records) = arguments.commit_every {
        file.delivery = pipeline::Delivery {
            interval: std::time::Duration::from_secs(86_400),
            size_bytes: usize::MAX,
            records_max: records as usize,
        };
    }
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let aws = Aws::from_environment(ambient).await?;
    let index_dir = arguments.data_dir.join("index").join(&file.name);
    let account = wiring::replay(file, catalog, &aws, index_dir, arguments.files, shutdown_on_signal()).await?;
    let measured = metrics.render();
    let summary = Summary {
        received: account.received,
        upserted: account.upserted,
        deleted: account.deleted,
        superseded: account.superseded,
        filtered: account.filtered,
        rejected: account.rejected,
        commits: account.commits,
        commit_p50_ms: commit_quantile_ms(&measured, "0.5"),
        commit_p99_ms: commit_quantile_ms(&measured, "0.99"),
        elapsed_ms: started.elapsed().as_millis() as u64,
    };
    match output::format_or_default(arguments.output) {
        Format::Json => output::line(serde_json::to_string(&summary).expect("numbers serialise")),
        Format::Table => output::line(format_args!(
            "{} records: {} upserted · {} deleted · {} superseded · {} filtered · {} rejected · {} commits · {} ms",
            summary.received,
            summary.upserted,
            summary.deleted,
            summary.superseded,
            summary.filtered,
            summary.rejected,
            summary.commits,
            summary.elapsed_ms
        )),
    }
}

/// Reads a quantile out of what `/metrics` would show.
fn commit_quantile_ms(measured: &str, quantile: &str) -> Option<f64> {
    let label = format!("quantile=\"{quantile}\"}}");
    let line =
        measured.lines().find(|line| line.starts_with(pipeline::metrics::COMMIT_SECONDS) && line.contains(&label));
    let seconds: f64 = line?.rsplit(' ').next()?.parse().ok()?;
    Some((seconds * 10_000.0).round() / 10.0)
}
