//! Files of stream records as a source: one JSON record a line, plain, `.gz` or `.zst`.

use std::fmt::Write;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::change::{Position, RawRecord, SequenceNumber, ShardId};
use crate::checkpoint::{Checkpoint, ShardProgress};
use crate::error::{Error, ErrorKind, Result};
use crate::source::lines::Lines;
use crate::source::{Polled, Source};

/// What one poll gives at most.
const RECORDS_MAX: usize = 8192;

/// Every set of files is one source, so that a table can be fed file by file.
const INCARNATION: &str = "replay";

/// Reads files one after the other. Each file is a shard; a record's sequence number is its line, counted from 1.
///
/// A shard is named by its file's name and a hash of its first 64 KiB as stored. So the same file, from whatever
/// folder and among whatever others, continues behind what the table has of it: replaying it again changes nothing, and
/// lines added to it since are read. Another file of the same name is another shard.
pub struct ReplaySource {
    files: Vec<(PathBuf, ShardId)>,
    checkpoint: Checkpoint,
    next_file: usize,
    reading: Option<Reading>,
    /// What one poll gives, except at the end of a file.
    records_per_poll: usize,
}

/// The file being read.
struct Reading {
    path: PathBuf,
    shard: ShardId,
    lines: Lines,
    line_number: u64,
    /// The last line that is in the table already.
    durable: Option<SequenceNumber>,
    digits: String,
}

impl ReplaySource {
    /// Fails as `Misconfigured` where a file cannot be read, or is named twice.
    pub fn open(files: Vec<PathBuf>) -> Result<Self> {
        let mut shards: Vec<(PathBuf, ShardId)> = Vec::with_capacity(files.len());
        for path in files {
            let shard = name_shard(&path).map_err(|error| misconfigured("read", &path).with_source(error))?;
            if shards.iter().any(|(_, other)| *other == shard) {
                return Err(misconfigured("replay twice at once", &path));
            }
            shards.push((path, shard));
        }
        Ok(Self {
            files: shards,
            checkpoint: Checkpoint::default(),
            next_file: 0,
            reading: None,
            records_per_poll: RECORDS_MAX,
        })
    }

    /// Gives polls of equal size that add up to batches of `batch_records`.
    pub fn for_batches_of(mut self, batch_records: usize) -> Self {
        self.records_per_poll = batch_records.div_ceil(batch_records.div_ceil(RECORDS_MAX));
        self
    }

    fn open_next_file(&mut self) -> Result<Option<Reading>> {
        let Some((path, shard)) = self.files.get(self.next_file) else { return Ok(None) };
        self.next_file += 1;
        let reader = open_decompressed(path).map_err(|error| misconfigured("read", path).with_source(error))?;
        let durable = match self.checkpoint.progress(shard) {
            Some(ShardProgress::At(line)) => Some(line.clone()),
            Some(ShardProgress::Begun | ShardProgress::Ended) | None => None,
        };
        Ok(Some(Reading {
            path: path.clone(),
            shard: shard.clone(),
            lines: Lines::of(reader),
            line_number: 0,
            durable,
            digits: String::new(),
        }))
    }
}

#[async_trait]
impl Source for ReplaySource {
    async fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        if !checkpoint.incarnation.is_empty() && checkpoint.incarnation != INCARNATION {
            let message = format!("replay files into a table that follows `{}`", checkpoint.incarnation);
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
        self.checkpoint = checkpoint.clone();
        self.next_file = 0;
        self.reading = None;
        Ok(())
    }

    fn incarnation(&self) -> &str {
        INCARNATION
    }

    async fn poll(&mut self) -> Result<Option<Polled>> {
        loop {
            if self.reading.is_none() {
                self.reading = self.open_next_file()?;
            }
            let Some(reading) = &mut self.reading else { return Ok(None) };
            match reading.next_records(self.records_per_poll)? {
                Some(records) => return Ok(Some(Polled { records, ..Polled::default() })),
                None => self.reading = None,
            }
        }
    }
}

impl Reading {
    /// The next records of the file; none of them where all lines of a block are in the table. `None` at its end.
    fn next_records(&mut self, records_max: usize) -> Result<Option<Vec<RawRecord>>> {
        let mut records = Vec::new();
        loop {
            let mut has_lines = false;
            while records.len() < records_max
                && let Some(line) = self.lines.next_in_block()
            {
                has_lines = true;
                self.line_number += 1;
                records.extend(self.record(line));
            }
            if records.len() == records_max || (has_lines && records.is_empty()) {
                return Ok(Some(records));
            }
            let has_block = self.lines.read_block().map_err(|error| {
                let message = format!("read line {} of {}", self.line_number + 1, self.path.display());
                Error::new(ErrorKind::Misconfigured, message).with_source(error)
            })?;
            if !has_block {
                return Ok((!records.is_empty()).then_some(records));
            }
        }
    }

    /// The record of the line just read. `None` for an empty line, and for one that is in the table.
    fn record(&mut self, line: Bytes) -> Option<RawRecord> {
        self.digits.clear();
        write!(self.digits, "{}", self.line_number).expect("writing to memory does not fail");
        let sequence_number = SequenceNumber::parse(&self.digits).expect("a line number is digits");
        let is_durable = self.durable.as_ref().is_some_and(|durable| sequence_number <= *durable);
        let is_empty = line.trim_ascii_start().is_empty();
        (!is_durable && !is_empty).then(|| RawRecord {
            position: Position { shard: self.shard.clone(), sequence_number, part: 0 },
            json: line,
        })
    }
}

/// The file's name and the first half of the SHA-256 of its first 64 KiB.
fn name_shard(path: &Path) -> std::io::Result<ShardId> {
    const HASHED_BYTES: u64 = 64 << 10;
    let mut beginning = Vec::new();
    File::open(path)?.take(HASHED_BYTES).read_to_end(&mut beginning)?;
    let mut shard = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    shard.push('@');
    for byte in &Sha256::digest(&beginning)[..16] {
        write!(shard, "{byte:02x}").expect("writing to memory does not fail");
    }
    Ok(ShardId::new(&shard))
}

fn open_decompressed(path: &Path) -> std::io::Result<Box<dyn Read + Send>> {
    let file = File::open(path)?;
    Ok(match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => Box::new(file),
    })
}

fn misconfigured(action: &str, path: &Path) -> Error {
    Error::new(ErrorKind::Misconfigured, format!("{action} {}", path.display()))
}

#[cfg(test)]
mod tests;
