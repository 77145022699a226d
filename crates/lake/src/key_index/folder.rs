//! The folder of an index: locked, and opened if what lies in it is provably clean.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::key_index::failed;
use crate::key_index::file_list::FileList;
use crate::key_index::header::State;
use crate::key_index::slots::SlotTable;

/// The index in `dir` and the snapshot it mirrors; `None` where it is not usable.
pub(super) fn open_clean(dir: &Path, table_uuid: Uuid) -> io::Result<Option<(SlotTable, FileList, i64)>> {
    let Some((slots, header)) = SlotTable::open(dir)? else { return Ok(None) };
    let State::Clean { marker } = header.state else { return Ok(None) };
    if header.table_uuid != table_uuid || !header.survived_since_written() {
        return Ok(None);
    }
    let Some(mut files) = FileList::open(dir, header.file_list_bytes)? else { return Ok(None) };
    let mut key_count = 0;
    for slot in slots.iter() {
        if files.get(slot.file).is_none() {
            return Ok(None);
        }
        files.retain_row(slot.file);
        key_count += 1;
    }
    Ok((key_count == header.key_count).then_some((slots, files, marker)))
}

/// Two writers of one memory-mapped file would each destroy what the other wrote.
pub(super) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| failed("open the lock of", dir, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new(ErrorKind::Transient, format!("open key index {}: it is in use", dir.display())))
        }
        Err(TryLockError::Error(error)) => Err(failed("lock", dir, error)),
    }
}

pub(super) fn create_empty(dir: &Path) -> io::Result<(SlotTable, FileList)> {
    Ok((SlotTable::create_empty(dir)?, FileList::create(dir)?))
}
