//! A pipeline for each table that a delivery stream's records go to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use iceberg::{NamespaceIdent, TableIdent};
use local_delivery::{CatalogArn, Firehose, TableDelivery, TableSettings};
use pipeline::{Delivery, Mode, Patience, Pipeline, Result, State, Status, TableOptions, TableSink, supervise};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::refusals::Refusals;
use super::sink::DeliverySink;
use super::source::{BufferSource, buffer_error};
use crate::aws::Aws;
use crate::config::Catalog;
use crate::wiring::pipelines::{by_exit, lake_error};

/// How soon a description says what a delivery waits for.
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// How soon the deliveries are listed again after that failed, or a pipeline is begun again that was stopped.
const PAUSE: Duration = Duration::from_secs(5);
/// Rows of one commit.
const RECORDS_MAX: usize = 100_000;

/// Starts pipelines as tables come up, and ends those whose settings have changed or whose delivery stream has gone.
pub async fn run(firehose: &Firehose, aws: &Aws, index_dir: &Path, shutdown: &CancellationToken) {
    let mut running: HashMap<String, (TableSettings, CancellationToken)> = HashMap::new();
    let (mut tasks, mut seen) = (JoinSet::new(), 0);
    loop {
        match firehose.table_deliveries().await {
            Err(failure) => error!(error = &failure as &dyn std::error::Error, "list the tables of delivery streams"),
            Ok(deliveries) => {
                running.retain(|shard, (settings, ended)| {
                    let is_same =
                        |delivery: &TableDelivery| delivery.settings.shard == *shard && delivery.settings == *settings;
                    let is_wanted = deliveries.iter().any(is_same);
                    if !is_wanted {
                        ended.cancel();
                    }
                    is_wanted
                });
                for delivery in deliveries {
                    let settings = delivery.settings.clone();
                    running.entry(settings.shard.clone()).or_insert_with(|| {
                        let ended = shutdown.child_token();
                        let (aws, index_dir) = (aws.clone(), index_dir.to_owned());
                        tasks.spawn(run_one(delivery, aws, index_dir, ended.clone()));
                        (settings, ended)
                    });
                }
            }
        }
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = firehose.changed(&mut seen) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

async fn run_one(delivery: TableDelivery, aws: Aws, index_dir: PathBuf, shutdown: CancellationToken) {
    let settings = &delivery.settings;
    let name = format!("{}/{}.{}", settings.stream_name, settings.database, settings.table);
    while !shutdown.is_cancelled() {
        let status = Arc::new(Status::default());
        let missing = Missing::default();
        let open = || open(&delivery, &aws, &index_dir, &status, &missing);
        let ambient = aws.ambient();
        let supervised = supervise(&name, open, Patience::Wait, &ambient, &shutdown, &status);
        tokio::select! {
            outcome = supervised => {
                // Whoever took the table over may be a run before this one, on its way out.
                if let Err(failure) = outcome {
                    warn!(delivery = name, error = failure.report(), "begun again");
                    shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                }
            }
            () = report(&delivery, &status) => {}
        }
    }
}

/// Since when the table is missing, in milliseconds since the Unix epoch.
#[derive(Default)]
struct Missing(Mutex<Option<i64>>);

impl Missing {
    /// Up to which arrival records have waited long enough, as the table is still not there at `now_ms`.
    fn overdue(&self, retries_for: Duration, now_ms: i64) -> Option<i64> {
        let mut since_ms = self.0.lock().expect("no holder panics");
        let before_ms = now_ms - retries_for.as_millis() as i64;
        (*since_ms.get_or_insert(now_ms) <= before_ms).then_some(before_ms)
    }

    fn is_there(&self) {
        *self.0.lock().expect("no holder panics") = None;
    }
}

/// Loads the table. Where it is missing for too long, records are given up: no pipeline runs that could have them in a
/// commit.
async fn find_table(
    lake: &lake::Catalog,
    table: &TableIdent,
    delivery: &TableDelivery,
    aws: &Aws,
    missing: &Missing,
) -> Result<()> {
    let Err(error) = lake.load_table(table).await else {
        missing.is_there();
        return Ok(());
    };
    if error.kind() == lake::ErrorKind::NotFound
        && let Some(arrived_ms) = missing.overdue(delivery.settings.retries_for, aws.ambient().now_ms())
    {
        delivery.give_up(arrived_ms).await.map_err(buffer_error)?;
    }
    Err(lake_error(error))
}

async fn open(
    delivery: &TableDelivery,
    aws: &Aws,
    index_dir: &Path,
    status: &Status,
    missing: &Missing,
) -> Result<Pipeline> {
    let settings = &delivery.settings;
    let (catalog, namespace) = match &settings.catalog {
        CatalogArn::Account => aws.follow_resource_link(&settings.database).await.map_err(by_exit)?,
        CatalogArn::TableBucket { region, account, name } => {
            let arn = format!("arn:aws:s3tables:{region}:{account}:bucket/{name}");
            (Catalog::TableBucket { arn, region: region.clone() }, settings.database.clone())
        }
    };
    let lake = aws.lake(Some(&catalog)).await.map_err(by_exit)?;
    let table = TableIdent::new(NamespaceIdent::new(namespace), settings.table.clone());
    find_table(&lake, &table, delivery, aws, missing).await?;
    let options = TableOptions {
        pipeline: settings.stream_arn.clone(),
        key_attributes: settings.unique_keys.clone(),
        mode: Mode::Operations,
        evolve: false,
        sql: None,
        index_dir: index_dir.join(&settings.shard),
    };
    let table = TableSink::open(lake, table, options).await?;
    Ok(Pipeline {
        source: Box::new(BufferSource::new(delivery.clone())),
        order: None,
        sql: None,
        lambda: None,
        sink: Box::new(DeliverySink { table, delivery: delivery.clone() }),
        dead_letters: Box::new(Refusals(delivery.clone())),
        desk: Arc::default(),
        retries: None,
        delivery: Delivery {
            interval: settings.interval,
            size_bytes: settings.size_bytes as usize,
            records_max: RECORDS_MAX,
        },
        accounts: status.accounts(),
        ambient: aws.ambient(),
    })
}

/// Has the description of the delivery stream say what the pipeline waits for; never ends.
async fn report(delivery: &TableDelivery, status: &Status) {
    let mut reported = None;
    loop {
        let problem = match status.state() {
            State::Starting | State::Running => Some(None),
            State::Waiting { reason } | State::Stopped { reason } => Some(Some(reason)),
            State::BackingOff { error, .. } => Some(Some(error)),
        };
        if problem != reported
            && let Some(text) = &problem
        {
            let table = format!("{}.{}", delivery.settings.database, delivery.settings.table);
            let text = text.as_ref().map(|text| format!("records for table {table} wait: {text}"));
            match delivery.report(text.as_deref()).await {
                Ok(()) => reported = problem,
                Err(failure) => warn!(error = &failure as &dyn std::error::Error, "keep the status of a delivery"),
            }
        }
        tokio::time::sleep(REPORT_INTERVAL).await;
    }
}
