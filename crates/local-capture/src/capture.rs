//! What the binary sees of this crate: open a folder, take the two services, run the background duties.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambient::Ambient;
use aws_wire::{AwsError, Caller, JsonService};
use tokio_util::sync::CancellationToken;

use crate::dynamodb::DynamoDb;
use crate::engine::EngineThreads;
use crate::region::Region;
use crate::shard_log::LogError;
use crate::streams::DynamoDbStreams;

/// How often changes are moved out of the engine where nobody reads the stream.
const DRAIN_INTERVAL: Duration = Duration::from_millis(250);

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
    pub(crate) fn engine(error: impl std::fmt::Display) -> Self {
        Self::Engine(error.to_string())
    }

    pub(crate) fn log(error: LogError) -> Self {
        Self::Log(error.to_string())
    }
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
        let opened = tokio::task::spawn_blocking(move || Regions::open(folder, options, ambient)).await;
        let regions = opened.map_err(CaptureError::engine)??;
        for region in regions.opened() {
            region.settle().await.map_err(CaptureError::engine)?;
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

    /// Does the background duties until `shutdown`: drain, rotation, trim and the sweep of expired items.
    pub async fn run(&self, shutdown: CancellationToken) {
        let mut drain = tokio::time::interval(DRAIN_INTERVAL);
        let mut sweep = tokio::time::interval(self.regions.options.ttl_sweep);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = drain.tick() => self.drain().await,
                _ = sweep.tick() => self.sweep_expired_items().await,
            }
        }
    }

    async fn drain(&self) {
        for region in self.regions.opened() {
            let outcome = match region.drain().await {
                Ok(()) => region.trim_outbox().await,
                failed => failed,
            };
            if let Err(error) = outcome {
                tracing::error!(region = region.name, error = &error as &dyn std::error::Error, "drain failed");
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

/// The regions that have been used, each with stores of its own.
pub(crate) struct Regions {
    folder: PathBuf,
    options: CaptureOptions,
    ambient: Ambient,
    threads: EngineThreads,
    regions: Mutex<BTreeMap<(String, String), Arc<Region>>>,
    /// Held for the lock on it.
    _lock: File,
}

/// Each region holds a database and threads of its own; a client that invents names must not exhaust the machine.
const REGIONS_MAX: usize = 32;

impl Regions {
    fn open(folder: PathBuf, options: CaptureOptions, ambient: Ambient) -> Result<Self, CaptureError> {
        let make = |source| io_error(&folder, "make folder", source);
        std::fs::create_dir_all(&folder).map_err(make)?;
        let lock = lock(&folder)?;
        let threads = EngineThreads::start()?;
        let mut regions = BTreeMap::new();
        for account in folders_in(&folder)? {
            for name in folders_in(&folder.join(&account))? {
                let path = folder.join(&account).join(&name);
                let region = Region::open(&path, &account, &name, options.clone(), ambient.clone(), threads.clone())?;
                regions.insert((account.clone(), name), Arc::new(region));
            }
        }
        Ok(Self { folder, options, ambient, threads, regions: Mutex::new(regions), _lock: lock })
    }

    fn opened(&self) -> Vec<Arc<Region>> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The region that the caller speaks to, made at its first use.
    pub(crate) async fn of(self: &Arc<Self>, caller: &Caller) -> Result<Arc<Region>, AwsError> {
        let key = (caller.identity.account_id.clone(), caller.region.clone());
        if let Some(region) = self.regions.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(region.clone());
        }
        let regions = self.clone();
        let made = tokio::task::spawn_blocking(move || regions.make(key)).await;
        made.unwrap_or_else(|error| Err(crate::streams::internal_error(&error)))
    }

    fn make(&self, key: (String, String)) -> Result<Arc<Region>, AwsError> {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(region) = regions.get(&key) {
            return Ok(region.clone());
        }
        let (account, name) = &key;
        if !is_folder_name(account) || !is_folder_name(name) || regions.len() >= REGIONS_MAX {
            let message = format!("The region {name} of account {account} cannot be served here");
            return Err(AwsError::bad_request("UnrecognizedClientException", message));
        }
        let path = self.folder.join(account).join(name);
        let (options, ambient, threads) = (self.options.clone(), self.ambient.clone(), self.threads.clone());
        let region = Region::open(&path, account, name, options, ambient, threads)
            .map_err(|error| crate::streams::internal_error(&error))?;
        let region = Arc::new(region);
        regions.insert(key, region.clone());
        Ok(region)
    }
}

/// Region and account come from the client and become folders.
fn is_folder_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn lock(folder: &Path) -> Result<File, CaptureError> {
    let path = folder.join("LOCK");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| io_error(folder, "open the lock of folder", source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(CaptureError::InUse(folder.to_owned())),
        Err(TryLockError::Error(source)) => Err(io_error(folder, "lock folder", source)),
    }
}

fn folders_in(folder: &Path) -> Result<Vec<String>, CaptureError> {
    let read = |source| io_error(folder, "read folder", source);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.path().is_dir() && is_folder_name(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn io_error(folder: &Path, doing: &str, source: std::io::Error) -> CaptureError {
    match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            CaptureError::DiskFull(folder.to_owned())
        }
        _ => CaptureError::Io { doing: format!("{doing} {}", folder.display()), source },
    }
}
