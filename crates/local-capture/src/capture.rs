//! What the binary sees of this crate: open a folder, take the two services, run the background duties.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use aws_wire::JsonService;
use tokio_util::sync::CancellationToken;

use crate::dynamodb::DynamoDb;
use crate::kinesis::Kinesis;
use crate::regions::Regions;
use crate::streams::DynamoDbStreams;

/// How often changes are moved out of the engine where nobody reads the stream.
const DRAIN_INTERVAL: Duration = Duration::from_millis(250);
/// Readers are past expired records already; this only frees their place.
const KINESIS_TRIM_INTERVAL: Duration = Duration::from_secs(60);
/// How long nothing is put before a Kinesis log counts as quiet.
const KINESIS_SETTLE_INTERVAL: Duration = Duration::from_secs(5);
/// An interval of zero would leave no time for anything else.
const SWEEP_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// What differs between a laptop and a test.
#[derive(Clone, Debug)]
pub struct CaptureOptions {
    /// Age at which an open shard is closed and gets a child.
    pub shard_rotation: Duration,
    /// Open shards of each stream.
    pub shards_per_table: u32,
    /// How long stream records are kept.
    pub retention: Duration,
    /// How often expired items are looked for.
    pub ttl_sweep: Duration,
    /// How long a shard iterator can be used.
    pub iterator_life: Duration,
    /// How long a shard iterator of Kinesis can be used.
    pub kinesis_iterator_life: Duration,
    /// Whether shards of Kinesis take and give no more than they do on AWS.
    pub kinesis_throttling: bool,
    /// Which share of the records that DynamoDB delivers to Kinesis is repeated, and which is swapped with its neighbour.
    pub kinesis_faults: f64,
}

impl Default for CaptureOptions {
    /// AWS's values; it promises no number of shards.
    fn default() -> Self {
        Self {
            shard_rotation: Duration::from_secs(4 * 3600),
            shards_per_table: 3,
            retention: Duration::from_secs(24 * 3600),
            ttl_sweep: Duration::from_secs(60),
            iterator_life: Duration::from_secs(15 * 60),
            kinesis_iterator_life: Duration::from_secs(5 * 60),
            kinesis_throttling: true,
            kinesis_faults: 0.0,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("data folder {} is in use by another process", .0.display())]
    InUse(PathBuf),
    #[error("no space left on the disk of {}", .0.display())]
    DiskFull(PathBuf),
    #[error("{doing}")]
    Io { doing: String, source: std::io::Error },
    #[error("open the DynamoDB item engine: {0}")]
    Engine(String),
    #[error("open the shard log: {0}")]
    Log(String),
}

impl CaptureError {
    pub(crate) fn of_io(folder: &Path, doing: String, source: std::io::Error) -> Self {
        if is_disk_full(&source) { Self::DiskFull(folder.to_owned()) } else { Self::Io { doing, source } }
    }

    pub(crate) fn of_engine(folder: &Path, error: &(dyn std::error::Error + 'static)) -> Self {
        if is_disk_full(error) { Self::DiskFull(folder.to_owned()) } else { Self::Engine(error.to_string()) }
    }

    pub(crate) fn of_log(folder: &Path, error: &(dyn std::error::Error + 'static)) -> Self {
        if is_disk_full(error) { Self::DiskFull(folder.to_owned()) } else { Self::Log(error.to_string()) }
    }
}

/// Whether a full disk is at the bottom of `error`, as the file system or as SQLite says it.
fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    causes.into_iter().any(|cause| {
        let of_file = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let of_sqlite = cause.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
        matches!(of_file, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
            || of_sqlite == Some(rusqlite::ErrorCode::DiskFull)
    })
}

/// DynamoDB and its streams in one data folder. Cheap to clone; the folder is free once the last clone is dropped.
#[derive(Clone)]
pub struct Capture {
    regions: Arc<Regions>,
}

impl Capture {
    /// Opens or makes the stores under `data_dir`.
    pub async fn open(data_dir: &Path, options: CaptureOptions, ambient: Ambient) -> Result<Self, CaptureError> {
        let folder = data_dir.join("dynamodb");
        let opening = folder.clone();
        let opened = tokio::task::spawn_blocking(move || Regions::open(opening, options, ambient)).await;
        let regions = opened.map_err(|error| CaptureError::of_engine(&folder, &error))??;
        for region in regions.opened() {
            region.settle().await.map_err(|error| CaptureError::of_log(&folder, &error))?;
        }
        Ok(Self { regions: Arc::new(regions) })
    }

    /// `DynamoDB_20120810`.
    pub fn dynamodb(&self) -> Arc<dyn JsonService> {
        Arc::new(DynamoDb::new(self.regions.clone()))
    }

    /// `DynamoDBStreams_20120810`.
    pub fn streams(&self) -> Arc<dyn JsonService> {
        Arc::new(DynamoDbStreams::new(self.regions.clone()))
    }

    /// `Kinesis_20131202`.
    pub fn kinesis(&self) -> Arc<dyn JsonService> {
        Arc::new(Kinesis::new(self.regions.clone()))
    }

    /// Does the background duties until `shutdown`: drain, rotation, trim and the sweep of expired items.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut drain = tokio::time::interval(DRAIN_INTERVAL);
        let mut sweep = tokio::time::interval(self.regions.options().ttl_sweep.max(SWEEP_INTERVAL_MIN));
        let mut trim = tokio::time::interval(KINESIS_TRIM_INTERVAL);
        let mut settle = tokio::time::interval(KINESIS_SETTLE_INTERVAL);
        let mut failing = BTreeSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.regions.closing().cancel();
                    return;
                }
                _ = drain.tick() => self.drain(&mut failing).await,
                _ = sweep.tick() => self.sweep_expired_items().await,
                _ = trim.tick() => self.trim_kinesis(&shutdown).await,
                _ = settle.tick() => self.regions.opened().iter().for_each(|region| region.kinesis.settle()),
            }
        }
    }

    /// Drains and trims; tells of a failure when it begins and when it ends, not at each try.
    async fn drain(&self, failing: &mut BTreeSet<String>) {
        for region in self.regions.opened() {
            let outcome = match region.drain().await {
                Ok(()) => region.trim_outbox().await,
                failed => failed,
            };
            match outcome {
                Ok(()) if failing.remove(&region.name) => tracing::info!(region = region.name, "drains again"),
                Ok(()) => {}
                Err(error) if failing.insert(region.name.clone()) => {
                    tracing::error!(region = region.name, error = &error as &dyn std::error::Error, "drain failed");
                }
                Err(_) => {}
            }
        }
    }

    /// Takes what retention has ended off the disk of the Kinesis logs.
    async fn trim_kinesis(&self, shutdown: &CancellationToken) {
        for region in self.regions.opened() {
            let mut has_more = true;
            while has_more && !shutdown.is_cancelled() {
                // A failure was logged; the next round tries again.
                has_more = region.kinesis.trim(region.ambient.now_ms()).await.unwrap_or(false);
            }
        }
    }

    async fn sweep_expired_items(&self) {
        for region in self.regions.opened() {
            match region.write(|engine| engine.sweep_ttl()).await {
                Ok(0) => {}
                Ok(items) => tracing::info!(region = region.name, items, "expired items deleted"),
                Err(error) => tracing::error!(region = region.name, %error, "sweep of expired items failed"),
            }
        }
    }
}
