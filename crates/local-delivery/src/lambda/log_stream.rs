//! What one process of a function prints: a file, as CloudWatch Logs has a stream.
//!
//! The process writes to the file itself, so nothing of it is lost however the process ends, and what it printed before
//! it answered is there when the answer is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Stdio;

use ambient::Ambient;

/// What an answer shows of the log.
const TAIL_BYTES: u64 = 4096;

/// Files of a function that are kept. A process gets one each.
const FILES_MAX: usize = 50;

#[derive(Debug)]
pub(crate) struct LogStream {
    file: File,
    /// As CloudWatch Logs would call it: `2026/11/22/[$LATEST]0f…`.
    pub name: String,
}

impl LogStream {
    /// Makes a new stream in `folder`, which is the function's, and deletes the oldest ones.
    pub(crate) fn create(folder: &Path, ambient: &Ambient) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let now = jiff::Timestamp::from_millisecond(ambient.now_ms()).unwrap_or_default();
        let id = ambient.uuid().simple().to_string();
        let path = folder.join(format!("{}-{id}.log", now.strftime("%Y-%m-%dT%H-%M-%S")));
        let file = OpenOptions::new().create_new(true).read(true).append(true).open(path)?;
        delete_oldest(folder)?;
        Ok(Self { file, name: format!("{}/[$LATEST]{id}", now.strftime("%Y/%m/%d")) })
    }

    /// For the process to write to.
    pub(crate) fn output(&self) -> io::Result<Stdio> {
        Ok(self.file.try_clone()?.into())
    }

    /// Adds a line of ours. A log that cannot be written is no reason to fail a function.
    pub(crate) fn line(&self, line: &str) {
        if let Err(error) = (&self.file).write_all(format!("{line}\n").as_bytes()) {
            tracing::debug!(%error, "log line not written");
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }

    /// The last bytes that were written after the first `since` ones.
    pub(crate) fn tail(&self, since: u64) -> Vec<u8> {
        let from = since.max(self.end().saturating_sub(TAIL_BYTES));
        let mut tail = Vec::new();
        let mut file = &self.file;
        match file.seek(SeekFrom::Start(from)).and_then(|_| file.take(TAIL_BYTES).read_to_end(&mut tail)) {
            Ok(_) => tail,
            Err(_) => Vec::new(),
        }
    }
}

fn delete_oldest(folder: &Path) -> io::Result<()> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    // Names begin with the time.
    paths.sort();
    let too_many = paths.len().saturating_sub(FILES_MAX);
    paths[..too_many].iter().try_for_each(|path| match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    })
}
