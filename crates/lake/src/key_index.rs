//! Where the live row of every key is: key hash → data file and position.
//!
//! It is a cache of the table, kept in a folder of its own: `slots` is the memory-mapped hash table, `file_list` names
//! the data files, `header` and `state` say what state both are in. It is changed only after a confirmed commit and keeps no
//! write-ahead log. Instead it is honest: it is marked dirty before the first byte changes and clean, with the snapshot
//! it mirrors, after the last; what is not provably clean opens as empty and is rebuilt from the table.

mod file_list;
mod folder;
mod header;
mod slots;
mod state;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use iceberg::spec::Struct;
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::key_index::file_list::FileList;
use crate::key_index::folder::{create_empty, lock, open_clean};
use crate::key_index::slots::{Slot, SlotTable, slot_order};

/// A data file that holds live rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexedFile {
    pub path: String,
    pub spec_id: i32,
    pub partition: Struct,
}

/// Where a row is. `file` is the index's own number, for [`KeyIndex::file`]; it holds until the next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowPlace {
    pub file: u32,
    pub row: u64,
}

/// What one confirmed commit changed. No key is in it twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct IndexUpdate {
    pub new_files: Vec<IndexedFile>,
    /// Key hash → (index into `new_files`, position in that file).
    pub upserts: Vec<(u128, (u32, u64))>,
    pub deletes: Vec<u128>,
    /// The snapshot that the commit made.
    pub marker: i64,
}

/// The index of one table. One process at a time has it open.
pub(crate) struct KeyIndex {
    dir: PathBuf,
    table_uuid: Uuid,
    slots: SlotTable,
    files: FileList,
    /// `None` while dirty.
    marker: Option<i64>,
    /// Whether the disk has been told since opening that the index changes.
    announced: bool,
    _lock: File,
}

impl KeyIndex {
    /// Opens the index in `dir`, which is made where it does not exist. One that is dirty, damaged, of another version
    /// or of another table opens as empty. `Transient` where somebody else has it open.
    pub(crate) fn open(dir: &Path, table_uuid: Uuid) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|error| failed("make the folder of", dir, error))?;
        let lock = lock(dir)?;
        let opened = match open_clean(dir, table_uuid) {
            Ok(opened) => opened,
            // A file that cannot be read is worth as much as one that is not there.
            Err(error) => {
                tracing::debug!(dir = %dir.display(), %error, "key index is not usable");
                None
            }
        };
        let (slots, files, marker) = match opened {
            Some((slots, files, marker)) => (slots, files, Some(marker)),
            None => {
                let (slots, files) = create_empty(dir).map_err(|error| failed("create", dir, error))?;
                (slots, files, None)
            }
        };
        Ok(Self { dir: dir.to_owned(), table_uuid, slots, files, marker, announced: false, _lock: lock })
    }

    /// The snapshot that the index mirrors; `None` where it must be rebuilt.
    pub(crate) fn marker(&self) -> Option<i64> {
        self.marker
    }

    /// Finds the live row of each key.
    pub(crate) fn locate(&self, keys: &[u128]) -> Vec<Option<RowPlace>> {
        let mut places = vec![None; keys.len()];
        self.slots.find_each(keys, |index, slot| {
            places[index] = Some(RowPlace { file: slot.file, row: u64::from(slot.row) });
        });
        places
    }

    /// The file of a [`RowPlace`] found since the last change.
    pub(crate) fn file(&self, id: u32) -> &IndexedFile {
        self.files.get(id).expect("a slot names a file of the list: checked when the index was opened")
    }

    /// The files, each with the number of its rows that a key points to.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&IndexedFile, u64)> {
        self.files.iter()
    }

    /// How many keys have a live row.
    pub(crate) fn len(&self) -> u64 {
        self.slots.len()
    }

    /// Takes over what a confirmed commit changed. After an error the index is dirty and has no marker.
    pub(crate) fn apply(&mut self, update: IndexUpdate) -> Result<()> {
        self.require_clean()?;
        let ids = self.add_files(update.new_files)?;
        let placed = update.upserts.into_iter().map(|(hash, (file, row))| {
            let file = *ids.get(file as usize).ok_or_else(|| {
                Error::new(ErrorKind::Unexpected, format!("index a row of file {file} of {}", ids.len()))
            })?;
            Ok((hash, RowPlace { file, row }))
        });
        self.put(&placed.collect::<Result<Vec<_>>>()?)?;
        self.remove(&update.deletes)?;
        self.seal(update.marker)
    }

    /// Moves to a snapshot that changed no row.
    pub(crate) fn set_marker(&mut self, snapshot_id: i64) -> Result<()> {
        self.require_clean()?;
        self.seal(snapshot_id)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.mark_dirty()?;
        let (slots, files) = create_empty(&self.dir).map_err(|error| failed("clear", &self.dir, error))?;
        (self.slots, self.files) = (slots, files);
        Ok(())
    }

    /// Adds data files and gives their numbers. This, [`KeyIndex::put`] and [`KeyIndex::remove`] leave the index dirty
    /// until it is sealed; a file without a row is forgotten then.
    pub(crate) fn add_files(&mut self, files: Vec<IndexedFile>) -> Result<Vec<u32>> {
        self.mark_dirty()?;
        self.files.add(files).map_err(|error| failed("add files to", &self.dir, error))
    }

    /// Sets where rows are and gives the number of keys that were somewhere before.
    pub(crate) fn put(&mut self, rows: &[(u128, RowPlace)]) -> Result<u64> {
        self.mark_dirty()?;
        let grow_error = |error| failed("grow", &self.dir, error);
        // Many keys in hash order would crowd the beginning of a small table before it grows.
        if rows.len() as u64 > self.slots.len() / 4 {
            self.slots.make_room(rows.len() as u64, &self.dir).map_err(grow_error)?;
        }
        let mut replaced = 0;
        for index in slot_order(rows.iter().map(|(hash, _)| *hash)) {
            let (hash, RowPlace { file, row }) = rows[index];
            let row = u32::try_from(row)
                .map_err(|_| Error::new(ErrorKind::Refused, "index a data file of more than 2^32 rows"))?;
            self.slots.make_room(1, &self.dir).map_err(grow_error)?;
            if let Some(old) = self.slots.put(hash, Slot { file, row }) {
                self.files.release_row(old.file);
                replaced += 1;
            }
            self.files.retain_row(file);
        }
        Ok(replaced)
    }

    pub(crate) fn remove(&mut self, keys: &[u128]) -> Result<()> {
        self.mark_dirty()?;
        for &hash in keys {
            if let Some(old) = self.slots.remove(hash) {
                self.files.release_row(old.file);
            }
        }
        Ok(())
    }
}

fn failed(doing: &str, dir: &Path, error: io::Error) -> Error {
    let message = format!("{doing} key index {}", dir.display());
    // A full disk may have room again: the index is rebuilt then.
    Error::new(ErrorKind::Transient, message).with_source(error)
}
