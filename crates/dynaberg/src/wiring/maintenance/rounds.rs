//! Maintenance in the background: all tables, one after the other, again and again.
//!
//! One job at a time, so that it takes at most a part of one core from the pipelines, which never wait for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use iceberg::{NamespaceIdent, TableIdent};
use lake::ScanCache;
use local_warehouse::{MaintainedTable, Maintenance, MaintenanceJob, MaintenanceOutcome};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{Policies, Upkeep, metrics};
use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile};
use crate::failure::with_causes;

/// How often files that nothing names are looked for: it lists the whole table.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Copy, Debug)]
pub struct RoundOptions {
    /// From the end of one round to the beginning of the next.
    pub pause: Duration,
    /// How long files of expired snapshots are kept for queries that read them.
    pub grace: Duration,
}

/// A table in care.
struct Charge {
    upkeep: Upkeep,
    swept: Option<Instant>,
    /// What was last said of each job: a job that fails the same way in each round is told of once.
    told: BTreeMap<MaintenanceJob, MaintenanceOutcome>,
}

impl Charge {
    fn new(lake: lake::Catalog, table: TableIdent, readers: Arc<ScanCache>) -> Self {
        Self { upkeep: Upkeep::new(lake, table, readers), swept: None, told: BTreeMap::new() }
    }
}

/// Looks after the tables of the embedded warehouse by the settings that S3 Tables was given, until `shutdown`, and tells
/// it what became of each job.
pub async fn maintain_warehouse(
    warehouse: Maintenance,
    aws: Aws,
    readers: Arc<ScanCache>,
    options: RoundOptions,
    shutdown: CancellationToken,
) {
    let mut charges: HashMap<String, Charge> = HashMap::new();
    while pause(&options, &shutdown).await {
        let tables = match warehouse.tables().await {
            Ok(tables) => tables,
            Err(error) => {
                error!(error = with_causes(&error), "list tables to maintain");
                continue;
            }
        };
        charges.retain(|id, _| tables.iter().any(|table| table.id == *id));
        for table in &tables {
            let round = maintain_one(&warehouse, &aws, &readers, &options, &mut charges, table);
            if shutdown.run_until_cancelled(round).await.is_none() {
                return;
            }
        }
    }
}

async fn maintain_one(
    warehouse: &Maintenance,
    aws: &Aws,
    readers: &Arc<ScanCache>,
    options: &RoundOptions,
    charges: &mut HashMap<String, Charge>,
    table: &MaintainedTable,
) {
    let name = TableIdent::new(NamespaceIdent::new(table.namespace.clone()), table.name.clone());
    let is_known = charges.get(&table.id).is_some_and(|charge| charge.upkeep.table == name);
    if !is_known {
        let catalog = Catalog::TableBucket { arn: table.table_bucket_arn.clone(), region: aws.region() };
        match aws.lake(Some(&catalog)).await {
            Ok(lake) => {
                charges.insert(table.id.clone(), Charge::new(lake, name, readers.clone()));
            }
            Err(failure) => return error!(table = %name, error = failure.message(), "maintain a table"),
        }
    }
    let charge = charges.get_mut(&table.id).expect("it was put there");
    for (job, outcome) in jobs(charge, &Policies::of(table), options).await {
        if let Err(error) = warehouse.record(table, job, outcome, aws.ambient().now_ms()).await {
            error!(error = with_causes(&error), "record a maintenance job");
        }
    }
}

/// Looks after the targets of pipelines whose catalog does not maintain its tables, until `shutdown`.
pub async fn maintain_targets(
    targets: Vec<(PipelineFile, Option<Catalog>)>,
    aws: Aws,
    options: RoundOptions,
    shutdown: CancellationToken,
) {
    let mut charges: HashMap<String, Charge> = HashMap::new();
    while pause(&options, &shutdown).await {
        for (file, catalog) in &targets {
            let target = &file.target;
            let name = TableIdent::new(NamespaceIdent::new(target.namespace.clone()), target.table.clone());
            let charge = match charges.get_mut(&file.name) {
                Some(charge) => charge,
                // The pipeline says what is wrong where its lake is not there.
                None => match aws.lake(file.catalog.as_ref().or(catalog.as_ref())).await {
                    Err(_) => continue,
                    Ok(lake) => charges.entry(file.name.clone()).or_insert(Charge::new(lake, name, Arc::default())),
                },
            };
            if shutdown.run_until_cancelled(jobs(charge, &Policies::unmanaged(), &options)).await.is_none() {
                return;
            }
        }
    }
}

/// False when it is time to end.
async fn pause(options: &RoundOptions, shutdown: &CancellationToken) -> bool {
    shutdown.run_until_cancelled(tokio::time::sleep(options.pause)).await.is_some()
}

/// Does what is to be done for a table now, and gives what is worth telling: jobs that did something, and those that came
/// to something else than the last time.
async fn jobs(
    charge: &mut Charge,
    policies: &Policies,
    options: &RoundOptions,
) -> Vec<(MaintenanceJob, MaintenanceOutcome)> {
    let upkeep = &mut charge.upkeep;
    let mut news = Vec::new();
    if let Some(policy) = &policies.compaction {
        let done = upkeep.compact(policy).await.map(|done| !done.is_empty());
        news.extend(tell(&mut charge.told, &upkeep.table, MaintenanceJob::Compaction, done));
    }
    if let Some(policy) = &policies.snapshots {
        let expired = upkeep.expire(policy, options.grace).await.map(|snapshots| snapshots > 0);
        news.extend(tell(&mut charge.told, &upkeep.table, MaintenanceJob::SnapshotManagement, expired));
    }
    if let Err(error) = upkeep.remove_freed().await {
        warn!(table = %upkeep.table, error = with_causes(&error), "delete files of expired snapshots");
    }
    let sweep_is_due = charge.swept.is_none_or(|swept| swept.elapsed() >= SWEEP_EVERY);
    if let Some(policy) = policies.unreferenced_files.as_ref().filter(|_| sweep_is_due) {
        charge.swept = Some(Instant::now());
        let swept = upkeep.sweep(policy).await.map(|_| true);
        news.extend(tell(&mut charge.told, &upkeep.table, MaintenanceJob::UnreferencedFileRemoval, swept));
    }
    news
}

/// The outcome of a job, if it is news. `did` says whether the job changed or looked through anything.
fn tell(
    told: &mut BTreeMap<MaintenanceJob, MaintenanceOutcome>,
    table: &TableIdent,
    job: MaintenanceJob,
    did: Result<bool, lake::Error>,
) -> Option<(MaintenanceJob, MaintenanceOutcome)> {
    let outcome = match &did {
        Ok(_) => MaintenanceOutcome::Successful,
        Err(error) => MaintenanceOutcome::Failed { message: with_causes(error) },
    };
    let is_other = told.insert(job, outcome.clone()).as_ref() != Some(&outcome);
    if let MaintenanceOutcome::Failed { message } = &outcome
        && is_other
    {
        warn!(code = "DYN806", %table, job = job.name(), error = message, "maintenance failed");
    }
    metrics::is_failing(table, job.name(), did.is_err());
    let is_news = is_other || matches!(did, Ok(true));
    is_news.then(|| {
        metrics::ran(table, job.name(), did.is_ok());
        (job, outcome)
    })
}
