//! Tidying up while nothing is put: what lies in tables needs no journal.
//!
//! The store keeps each record in a journal until a table has it, and lets go of a journal only when the next one is
//! full: up to some 250 MB, which small streams would take on the disk beside their records for ever. A quiet log puts
//! everything into tables, closes the store, removes its journals and opens it again.

use super::store::Store;
use super::{KinesisLogError, Shared};

/// What journals may hold twice.
const UNSETTLED_BYTES_MAX: u64 = 4 << 20;

/// How much was put since the log was last tidied up.
pub(super) struct Unsettled {
    bytes: u64,
    was_put: bool,
}

impl Default for Unsettled {
    /// What an earlier process left in the journals is not known.
    fn default() -> Self {
        Self { bytes: UNSETTLED_BYTES_MAX, was_put: true }
    }
}

impl Unsettled {
    pub(super) fn note(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.was_put |= bytes > 0;
    }

    /// Tidies up where nothing was put since the last call, and enough before. Called by the writer alone.
    pub(super) fn settle(&mut self, shared: &Shared) {
        let is_quiet = !std::mem::take(&mut self.was_put);
        if !is_quiet || self.bytes < UNSETTLED_BYTES_MAX {
            return;
        }
        match settle(shared) {
            Ok(true) => self.bytes = 0,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "tidy up the Kinesis log");
            }
        }
    }
}

/// Tells whether the journals are gone. Readers wait while the store is closed.
fn settle(shared: &Shared) -> Result<bool, KinesisLogError> {
    let is_flushed = shared.store().as_ref().map(Store::flush).transpose()?;
    match is_flushed {
        Some(true) => {}
        Some(false) => return Ok(false),
        // An earlier try could not open it again.
        None => return shared.recover().map(|()| false),
    }
    let mut store = shared.store.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    *store = None;
    Store::remove_journals(&shared.folder)?;
    *store = Some(Store::open(&shared.folder)?);
    Ok(true)
}
