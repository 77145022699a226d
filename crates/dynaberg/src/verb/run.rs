//! `dynaberg run`: pipelines as a client of AWS, in the foreground.

use pipeline::Patience;

use crate::aws::Aws;
use crate::cli::{MetricsForm, RunArgs};
use crate::config::Catalog;
use crate::config::read_pipelines;
use crate::console::Console;
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::watch::{Measurements, ServiceManager, hand_on, print_emf, record_metrics};
use crate::wiring::{Roster, bind, launch, maintain_targets, refuse_leaks};

use super::interrupt::shutdown_on_signal;
use super::sql::parse_catalog;

/// Ends with the first pipeline that a person must see to, after the others have committed what they hold.
pub async fn run(arguments: RunArgs) -> Outcome {
    let ambient = system::ambient();
    let files = read_pipelines(&arguments.pipelines)?;
    refuse_leaks(&files)?;
    let catalog = arguments.catalog.catalog.as_deref().map(parse_catalog).transpose()?;
    let recorder = record_metrics()?;
    let aws = Aws::from_environment(ambient.clone()).await?;
    let listener = bind(arguments.console_port, "--console-port").await?;
    let console_address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();

    let shutdown = shutdown_on_signal();
    // S3 Tables maintains its tables itself.
    let unmanaged = files.iter().filter(|file| {
        let lake = file.catalog.as_ref().or(catalog.as_ref());
        matches!(lake, Some(Catalog::Rest { uri, .. }) if !uri.contains("s3tables"))
    });
    let targets = unmanaged.map(|file| (file.clone(), catalog.clone())).collect();
    tokio::spawn(maintain_targets(targets, aws.clone(), arguments.maintenance.rounds(), shutdown.clone()));
    let mut running = Vec::with_capacity(files.len());
    for file in files {
        let index_dir = arguments.data_dir.join("index").join(&file.name);
        running.push(launch(file, catalog.clone(), &aws, index_dir, Patience::Stop, shutdown.clone()));
    }
    let roster = Roster::of(running.clone());
    let measurements = Measurements::new(roster.clone(), recorder, ambient.clone());
    let receivers = match arguments.metrics.metrics {
        MetricsForm::Emf => vec![print_emf()],
        MetricsForm::Prometheus => Vec::new(),
    };
    let every = arguments.metrics.metrics_interval;
    let metrics_end = tokio_util::sync::CancellationToken::new();
    let handing_on = tokio::spawn(hand_on(measurements.clone(), every, receivers, metrics_end.clone()));
    let console = Console::new(roster.clone(), arguments.ready.ready_lag, measurements, ambient);
    tokio::spawn(console.serve(listener, tokio_util::sync::CancellationToken::new()));
    output::line(format_args!("dynaberg {} · Console http://{console_address}", env!("CARGO_PKG_VERSION")))?;
    if let Some(manager) = ServiceManager::from_environment() {
        tokio::spawn(manager.keep_told(roster.clone(), shutdown.clone()));
    }

    let ends = running.iter().map(|pipeline| Box::pin(pipeline.outcome()));
    let (first, _, _) = futures::future::select_all(ends).await;
    shutdown.cancel();
    for pipeline in &running {
        pipeline.ended().await;
    }
    // The last numbers are those of the last commits.
    metrics_end.cancel();
    handing_on.await.ok();
    first
}
