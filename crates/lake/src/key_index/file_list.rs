//! The data files that slots point to, numbered, as a log of additions and removals.

mod record;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use iceberg::spec::Struct;

use crate::key_index::IndexedFile;
use crate::key_index::file_list::record::{ADDED, REMOVED, added_record, append_record, decode_file, split_record};

const FILE_NAME: &str = "files";

/// The log is written anew when it is this long and more than half of it is of no use.
const LOG_BYTES_MIN: u64 = 1 << 20;

pub(crate) struct FileList {
    dir: PathBuf,
    log: File,
    log_bytes: u64,
    live_bytes: u64,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Entries that lost their last row, or never had one, since they were last looked through.
    unused: Vec<u32>,
}

struct Entry {
    file: IndexedFile,
    row_count: u64,
    log_bytes: u64,
}

impl FileList {
    /// Replaces the list in `dir`, if there is one, by an empty one.
    pub(crate) fn create(dir: &Path) -> io::Result<Self> {
        let log = File::options().read(true).write(true).create(true).truncate(true).open(dir.join(FILE_NAME))?;
        Ok(Self::empty(dir, log))
    }

    /// Reads the first `byte_count` bytes of the log in `dir`; `None` where it is damaged.
    pub(crate) fn open(dir: &Path, byte_count: u64) -> io::Result<Option<Self>> {
        let log = match File::options().read(true).write(true).open(dir.join(FILE_NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            log => log?,
        };
        if log.metadata()?.len() < byte_count {
            return Ok(None);
        }
        let mut bytes = vec![0; byte_count as usize];
        log.read_exact_at(&mut bytes, 0)?;
        let mut list = Self::empty(dir, log);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let Some((record, after)) = split_record(rest) else { return Ok(None) };
            if list.replay(record, (rest.len() - after.len()) as u64).is_none() {
                return Ok(None);
            }
            rest = after;
        }
        list.log_bytes = byte_count;
        list.free = (0..list.entries.len() as u32).filter(|&id| list.entries[id as usize].is_none()).collect();
        Ok(Some(list))
    }

    fn empty(dir: &Path, log: File) -> Self {
        let dir = dir.to_owned();
        Self { dir, log, log_bytes: 0, live_bytes: 0, entries: Vec::new(), free: Vec::new(), unused: Vec::new() }
    }

    fn replay(&mut self, record: &[u8], log_bytes: u64) -> Option<()> {
        let (&kind, record) = record.split_first()?;
        let (id, record) = record.split_first_chunk()?;
        let id = u32::from_le_bytes(*id);
        match kind {
            ADDED => {
                let entry = Entry { file: decode_file(record)?, row_count: 0, log_bytes };
                self.place(id, entry)
            }
            REMOVED => {
                let removed = self.entries.get_mut(id as usize)?.take()?;
                self.live_bytes -= removed.log_bytes;
                Some(())
            }
            _ => None,
        }
    }

    fn place(&mut self, id: u32, entry: Entry) -> Option<()> {
        if id as usize == self.entries.len() {
            self.entries.push(None);
        }
        let free = self.entries.get_mut(id as usize).filter(|entry| entry.is_none())?;
        self.live_bytes += entry.log_bytes;
        *free = Some(entry);
        Some(())
    }

    pub(crate) fn byte_count(&self) -> u64 {
        self.log_bytes
    }

    pub(crate) fn get(&self, id: u32) -> Option<&IndexedFile> {
        Some(&self.entries.get(id as usize)?.as_ref()?.file)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&IndexedFile, u64)> {
        self.entries.iter().flatten().map(|entry| (&entry.file, entry.row_count))
    }

    /// Adds files and gives their numbers.
    pub(crate) fn add(&mut self, files: Vec<IndexedFile>) -> io::Result<Vec<u32>> {
        let mut log = Vec::new();
        let mut ids = Vec::with_capacity(files.len());
        for file in files {
            let id = self.free.pop().unwrap_or(self.entries.len() as u32);
            let start = log.len();
            append_record(&mut log, &added_record(id, &file));
            let entry = Entry { file, row_count: 0, log_bytes: (log.len() - start) as u64 };
            self.place(id, entry).expect("the number is free");
            self.unused.push(id);
            ids.push(id);
        }
        self.append(&log)?;
        Ok(ids)
    }

    pub(crate) fn retain_row(&mut self, id: u32) {
        self.entry(id).row_count += 1;
    }

    pub(crate) fn release_row(&mut self, id: u32) {
        let entry = self.entry(id);
        entry.row_count -= 1;
        if entry.row_count == 0 {
            self.unused.push(id);
        }
    }

    /// Forgets files without a live row, so that the list does not grow with the number of commits.
    pub(crate) fn forget_unused(&mut self) -> io::Result<()> {
        let mut log = Vec::new();
        for id in std::mem::take(&mut self.unused) {
            let entry = &mut self.entries[id as usize];
            if entry.as_ref().is_some_and(|entry| entry.row_count == 0) {
                self.live_bytes -= entry.take().map_or(0, |entry| entry.log_bytes);
                self.free.push(id);
                let mut record = vec![REMOVED];
                record.extend(id.to_le_bytes());
                append_record(&mut log, &record);
            }
        }
        self.append(&log)?;
        if self.log_bytes > LOG_BYTES_MIN && self.log_bytes > 2 * self.live_bytes { self.rewrite() } else { Ok(()) }
    }

    /// Called between the index's dirty and clean marks: a crash in here leaves nothing that opens.
    fn rewrite(&mut self) -> io::Result<()> {
        while self.entries.last().is_some_and(Option::is_none) {
            self.entries.pop();
        }
        self.free = (0..self.entries.len() as u32).filter(|&id| self.entries[id as usize].is_none()).collect();
        // A list is read back in the order of its numbers, so a free number is written as added and removed.
        let nothing = IndexedFile { path: String::new(), spec_id: 0, partition: Struct::empty() };
        let mut log = Vec::new();
        for (id, entry) in (0..).zip(&self.entries) {
            append_record(&mut log, &added_record(id, entry.as_ref().map_or(&nothing, |entry| &entry.file)));
        }
        for id in &self.free {
            let mut record = vec![REMOVED];
            record.extend(id.to_le_bytes());
            append_record(&mut log, &record);
        }
        let path = self.dir.join("files.new");
        self.log = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        self.log_bytes = 0;
        self.append(&log)?;
        fs::rename(path, self.dir.join(FILE_NAME))
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.log.write_all_at(records, self.log_bytes)?;
        self.log_bytes += records.len() as u64;
        Ok(())
    }

    fn entry(&mut self, id: u32) -> &mut Entry {
        self.entries[id as usize].as_mut().expect("a slot names a file of the list")
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.log.sync_all()
    }
}
