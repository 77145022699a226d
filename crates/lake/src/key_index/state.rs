//! Honesty about the index's state: dirty before the first byte changes, clean after the last.

use std::io;

use crate::error::{Error, ErrorKind, Result};
use crate::key_index::header::{self, Header, State};
use crate::key_index::{KeyIndex, failed};

impl KeyIndex {
    /// Declares the index to mirror `snapshot_id`.
    pub(crate) fn seal(&mut self, snapshot_id: i64) -> Result<()> {
        self.files.forget_unused().map_err(|error| failed("forget files of", &self.dir, error))?;
        self.write_header(State::Clean { marker: snapshot_id })?;
        self.marker = Some(snapshot_id);
        Ok(())
    }

    pub(super) fn require_clean(&self) -> Result<()> {
        match self.marker {
            Some(_) => Ok(()),
            None => Err(Error::new(ErrorKind::Unexpected, format!("change dirty key index {}", self.dir.display()))),
        }
    }

    pub(super) fn mark_dirty(&mut self) -> Result<()> {
        if self.marker.take().is_none() {
            return Ok(());
        }
        self.write_header(State::Dirty)?;
        if !self.announced {
            // What the disk holds may say "clean and synced" from the last time: it must stop saying so before any
            // page of the table can reach it. Afterwards it says "of this boot", which a power loss refutes.
            self.slots.sync_header().map_err(|error| failed("sync", &self.dir, error))?;
            self.announced = true;
        }
        Ok(())
    }

    fn write_header(&self, state: State) -> Result<()> {
        self.slots.write_header(&self.header(state)).map_err(|error| failed("write the state of", &self.dir, error))
    }

    fn header(&self, state: State) -> Header {
        Header {
            table_uuid: self.table_uuid,
            state,
            capacity: self.slots.capacity(),
            key_count: self.slots.len(),
            file_list_bytes: self.files.byte_count(),
            boot_id: header::boot_id(),
            is_synced: false,
        }
    }

    /// Makes a clean index outlast a power loss.
    fn sync(&self) -> io::Result<()> {
        let Some(marker) = self.marker else { return Ok(()) };
        self.slots.sync()?;
        self.files.sync()?;
        let header = Header { is_synced: true, ..self.header(State::Clean { marker }) };
        self.slots.write_header(&header)?;
        self.slots.sync_header()
    }
}

impl Drop for KeyIndex {
    fn drop(&mut self) {
        if let Err(error) = self.sync() {
            tracing::debug!(dir = %self.dir.display(), %error, "key index could not be synced");
        }
    }
}
