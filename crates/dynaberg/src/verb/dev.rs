//! `dynaberg dev`: the embedded services, and pipelines on them, in the foreground.

use std::sync::Arc;

use pipeline::Patience;

use crate::cli::{DevArgs, MetricsForm};
use crate::config::read_pipelines;
use crate::console::Console;
use crate::failure::Outcome;
use crate::output;
use crate::system;
use crate::watch::{Measurements, ServiceManager, hand_on, print_emf, record_metrics};
use crate::wiring::{Deployed, Roster, Stack, StackOptions, bind, deliver, launch, maintain_warehouse, refuse_leaks};

use super::interrupt::shutdown_on_signal;

pub async fn run(arguments: DevArgs) -> Outcome {
    let started = system::stopwatch();
    let ambient = system::ambient();
    let files = read_pipelines(&arguments.pipelines)?;
    refuse_leaks(&files)?;
    let recorder = record_metrics()?;
    let shutdown = shutdown_on_signal();

    let console_listener = bind(arguments.console_port, "--console-port").await?;
    let console_address = console_listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    let options = StackOptions {
        data_dir: arguments.data_dir.clone(),
        port: arguments.port,
        auth: arguments.auth,
        policies: arguments.enforce_policy,
        shard_rotation: arguments.shard_rotation,
        kinesis: arguments.kinesis,
        postgres_port: arguments.postgres_port.0,
        query_memory_bytes_max: arguments.memory,
    };
    let services_end = tokio_util::sync::CancellationToken::new();
    let stack = Stack::start(options, ambient.clone(), services_end.clone()).await?;

    let aws = stack.client(ambient.clone()).await;
    let mut running = Vec::with_capacity(files.len());
    for file in files {
        let index_dir = arguments.data_dir.join("index").join(&file.name);
        running.push(launch(file, None, &aws, index_dir, Patience::Wait, shutdown.clone()));
    }
    let index_dir = arguments.data_dir.join("index").join("firehose");
    let deliveries = tokio::spawn(deliver(stack.firehose(), aws.clone(), index_dir, shutdown.clone()));
    let rounds = arguments.maintenance.rounds();
    let maintenance = maintain_warehouse(stack.maintenance(), aws.clone(), Arc::default(), rounds, shutdown.clone());
    let maintenance = tokio::spawn(maintenance);
    let roster = Roster::of(running);
    let deployed = Deployed::start(&arguments.data_dir, aws, roster.clone(), shutdown.clone())?;
    let measurements = Measurements::new(roster.clone(), recorder, ambient.clone());
    let mut receivers = vec![stack.cloudwatch_receiver()];
    if arguments.metrics.metrics == MetricsForm::Emf {
        receivers.push(print_emf());
    }
    let every = arguments.metrics.metrics_interval;
    let handing_on = tokio::spawn(hand_on(measurements.clone(), every, receivers, services_end.clone()));
    let console =
        Console::new(roster.clone(), arguments.ready.ready_lag, measurements, ambient).with_deployed(deployed);
    let console = console.with_firehose(stack.firehose());
    let console = tokio::spawn(console.serve(console_listener, services_end.clone()));

    output::line(format_args!(
        "\
dynaberg {version} · dev mode: any key works, data in {data_dir} (not for production)
  AWS endpoint   {endpoint}      DynamoDB and its Streams, Kinesis, Firehose, Lambda, S3, S3 Tables, SQS, Athena, Glue, Lake Formation, STS, CloudWatch and its Logs
  Iceberg REST   {endpoint}/iceberg
  Console        http://{console_address}
{postgres}  export AWS_ENDPOINT_URL={endpoint} AWS_ACCESS_KEY_ID=dev AWS_SECRET_ACCESS_KEY=dev AWS_REGION=us-east-1
  ready in {ms} ms.  Next: {next}",
        version = env!("CARGO_PKG_VERSION"),
        data_dir = arguments.data_dir.display(),
        endpoint = stack.endpoint,
        postgres = match stack.postgres {
            Some(address) => format!("  PostgreSQL     postgresql://dev@{address}      psql, drivers and BI tools\n"),
            None => String::new(),
        },
        ms = started.elapsed().as_millis(),
        next = if roster.list().is_empty() {
            "dynaberg demo      (or point your own boto3 script here)"
        } else {
            "dynaberg status"
        },
    ))?;

    if let Some(manager) = ServiceManager::from_environment() {
        tokio::spawn(manager.keep_told(roster.clone(), shutdown.clone()));
    }
    shutdown.cancelled().await;
    // Pipelines first: they commit what they hold, and need the services for it.
    for pipeline in roster.list() {
        pipeline.ended().await;
    }
    deliveries.await.ok();
    maintenance.await.ok();
    services_end.cancel();
    handing_on.await.ok();
    stack.ended().await;
    // The console has nothing to lose.
    drop(console);
    Ok(())
}
