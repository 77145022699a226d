//! The regions of all accounts, opened as they are used.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ambient::Ambient;
use aws_wire::{AwsError, Caller};
use tokio_util::sync::CancellationToken;

use crate::engine::EngineThreads;
use crate::region::Region;
use crate::streams::internal_error;
use crate::{CaptureError, CaptureOptions};

/// Each region holds a database and threads of its own; a client that invents names must not exhaust the machine.
const REGIONS_MAX: usize = 32;

/// The regions that have been used, each with stores of its own.
pub(crate) struct Regions {
    folder: PathBuf,
    options: CaptureOptions,
    ambient: Ambient,
    threads: EngineThreads,
    regions: Mutex<BTreeMap<(String, String), Arc<Region>>>,
    closing: CancellationToken,
    /// Held for the lock on it.
    _lock: File,
}

impl Regions {
    pub(crate) fn open(folder: PathBuf, options: CaptureOptions, ambient: Ambient) -> Result<Self, CaptureError> {
        let make = |source| io_error(&folder, "make folder", source);
        private_folder().create(&folder).map_err(make)?;
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
        Ok(Self {
            folder,
            options,
            ambient,
            threads,
            regions: Mutex::new(regions),
            closing: CancellationToken::new(),
            _lock: lock,
        })
    }

    pub(crate) fn options(&self) -> &CaptureOptions {
        &self.options
    }

    /// Cancelled when answers that go on have to end.
    pub(crate) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    pub(crate) fn opened(&self) -> Vec<Arc<Region>> {
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
        made.unwrap_or_else(|error| Err(internal_error(&error)))
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
        let region =
            Region::open(&path, account, name, options, ambient, threads).map_err(|error| internal_error(&error))?;
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

/// Makes a folder that only its owner can enter: it holds whole items.
fn private_folder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
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
    CaptureError::of_io(folder, format!("{doing} {}", folder.display()), source)
}
