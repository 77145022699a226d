//! Tidying up while nothing is put: what lies in tables needs no journal.
//!
//! The store keeps each record in a journal until a table has it, and lets go of a journal only when the next one is
//! full: up to some 250 MB, which small streams would take on the disk beside their records for ever. So it is with
//! tables that were merged into others. A quiet log puts everything into tables, closes the store, empties its journals
//! and opens it again, which removes what no table needs; again where merging has gone on meanwhile.

use std::path::Path;

use super::store::{self, Store};
use super::{KinesisLogError, Shared};

/// What may lie on the disk without being needed.
const WASTE_BYTES_MAX: u64 = 4 << 20;

/// How much was put since the log was last tidied up, and what was left then.
pub(super) struct Unsettled {
    bytes: u64,
    was_put: bool,
    left_bytes: u64,
}

impl Default for Unsettled {
    /// What an earlier process left in the journals is not known.
    fn default() -> Self {
        Self { bytes: WASTE_BYTES_MAX, was_put: true, left_bytes: 0 }
    }
}

impl Unsettled {
    pub(super) fn note(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.was_put |= bytes > 0;
    }

    /// Tidies up where nothing was put since the last call and there is something to gain. Called by the writer alone.
    pub(super) fn settle(&mut self, shared: &Shared) {
        let is_quiet = !std::mem::take(&mut self.was_put);
        if is_quiet && let Err(error) = self.try_settle(shared) {
            tracing::error!(error = &error as &dyn std::error::Error, "tidy up the Kinesis log");
        }
    }

    fn try_settle(&mut self, shared: &Shared) -> Result<(), KinesisLogError> {
        let has_grown = table_bytes(&shared.folder)? > self.left_bytes + WASTE_BYTES_MAX;
        if self.bytes < WASTE_BYTES_MAX && !has_grown {
            return Ok(());
        }
        if reopen(shared)? {
            self.bytes = 0;
            self.left_bytes = table_bytes(&shared.folder)?;
        }
        Ok(())
    }
}

/// Tells whether the store was opened anew. Readers wait while it is closed.
fn reopen(shared: &Shared) -> Result<bool, KinesisLogError> {
    let is_flushed = shared.store().as_ref().map(Store::flush).transpose()?;
    match is_flushed {
        Some(true) => {}
        Some(false) => return Ok(false),
        // An earlier try could not open it again.
        None => return shared.recover().map(|()| false),
    }
    let mut store = shared.store.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    *store = None;
    Store::empty_journals(&shared.folder)?;
    *store = Some(Store::open(&shared.folder)?);
    Ok(true)
}

/// What all but the journals take in the store's folder. A file that goes meanwhile counts nothing.
fn table_bytes(folder: &Path) -> Result<u64, KinesisLogError> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => table_bytes(&entry.path()).unwrap_or_default(),
            Ok(metadata) if !store::is_journal(&entry.path()) => metadata.len(),
            _ => 0,
        };
    }
    Ok(bytes)
}
