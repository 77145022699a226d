//! An object on its way: written and synced aside, then renamed into place, so that nobody ever sees half of it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::objects::attributes::{self, Attributes};
use crate::objects::durable;

/// A file in the staging folder. It is removed when dropped, unless it was renamed away.
#[derive(Debug)]
pub(crate) struct StagedObject {
    path: PathBuf,
    file: File,
    size: u64,
}

impl StagedObject {
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        Ok(Self { file: durable::create_file(&path)?, path, size: 0 })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Writes at a place of its own; what is written last need not stand last.
    pub(crate) fn write_at(&mut self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, position)?;
        self.size = self.size.max(position + bytes.len() as u64);
        Ok(())
    }

    /// Appends `length` bytes of another file, from `offset` on.
    pub(crate) fn append(&mut self, source: &File, offset: u64, length: u64) -> io::Result<()> {
        let mut buffer = vec![0; length.min(1 << 20) as usize];
        let mut done = 0;
        while done < length {
            let count = buffer.len().min((length - done) as usize);
            source.read_exact_at(&mut buffer[..count], offset + done)?;
            self.write(&buffer[..count])?;
            done += count as u64;
        }
        Ok(())
    }

    /// Adds the attributes and makes the file durable, still under its staging name.
    pub(crate) fn seal(self, mut attributes: Attributes) -> io::Result<SealedObject> {
        attributes.size = self.size;
        self.file.write_all_at(&attributes::footer(&attributes)?, self.size)?;
        self.file.sync_data()?;
        Ok(SealedObject { staged: self, attributes })
    }
}

impl Drop for StagedObject {
    fn drop(&mut self) {
        // It is gone already where the object was published; a rest left by a crash is swept at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A complete and durable object that has no name yet.
#[derive(Debug)]
pub(crate) struct SealedObject {
    staged: StagedObject,
    pub(crate) attributes: Attributes,
}

impl SealedObject {
    /// Renames the file to `target`, over whatever is there. Durable once `target`'s directory is synced.
    pub(crate) fn rename(&self, target: &Path) -> io::Result<()> {
        std::fs::rename(&self.staged.path, target)
    }
}
