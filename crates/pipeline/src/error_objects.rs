//! Records that Data Firehose could not deliver, in its error objects: looked at, and put into the delivery stream again.
//!
//! Firehose itself has no way back from them. A record that is put again is a new one: it comes after everything that the
//! delivery stream has taken meanwhile.

mod client;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use crate::dead_letter::Selection;
use crate::error::{Error, ErrorKind, Result};

pub use client::{DeliveryStream, FirehoseClient};

/// What one call of PutRecordBatch takes.
const BATCH_RECORDS_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 4 << 20;

/// The error objects of one delivery stream.
pub struct ErrorObjects {
    pub store: Arc<dyn ObjectStore>,
    pub stream: DeliveryStream,
}

/// Failed records of one code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FailedOfCode {
    pub records: u64,
    pub bytes: u64,
    /// When the first of them arrived, and when the last one was given up, in milliseconds since the Unix epoch.
    pub first_ms: i64,
    pub last_ms: i64,
    /// What the last one's line says.
    pub message: String,
}

/// What a redrive has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RedriveCounts {
    /// Records that the delivery stream has taken again; they are in no error object any more.
    pub redriven: u64,
    /// Records that were selected and are still where they were.
    pub remaining: u64,
    /// Lines that are no failed records.
    pub unreadable: u64,
}

/// One line of an error object, as far as it counts here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    error_code: String,
    #[serde(default)]
    error_message: String,
    arrival_timestamp: i64,
    attempt_ending_timestamp: i64,
    raw_data: String,
}

/// An error object with its lines; `None` for one that cannot be read.
struct ErrorObject {
    path: Path,
    lines: Vec<(String, Option<Line>)>,
}

impl ErrorObjects {
    /// The failed records that are selected, by their codes.
    pub async fn preview(&self, selection: &Selection) -> Result<BTreeMap<String, FailedOfCode>> {
        let mut codes: BTreeMap<String, FailedOfCode> = BTreeMap::new();
        let mut left = selection.limit.unwrap_or(u64::MAX);
        for path in self.list().await? {
            for line in self.read(path).await?.lines.into_iter().filter_map(|(_, line)| line) {
                if !is_selected(&line, selection) || left == 0 {
                    continue;
                }
                left -= 1;
                let code = codes.entry(line.error_code).or_default();
                code.first_ms =
                    if code.records == 0 { line.arrival_timestamp } else { code.first_ms.min(line.arrival_timestamp) };
                code.last_ms = code.last_ms.max(line.attempt_ending_timestamp);
                code.records += 1;
                code.bytes += (line.raw_data.len() as u64 * 3) / 4;
                code.message = line.error_message;
            }
        }
        Ok(codes)
    }

    /// Puts the selected records into the delivery stream again, in the order of their objects and lines, and takes them
    /// out of those. Killed in between, it puts some of them once more the next time.
    pub async fn redrive(&self, client: &FirehoseClient, selection: &Selection) -> Result<RedriveCounts> {
        let mut counts = RedriveCounts::default();
        let mut left = selection.limit.unwrap_or(u64::MAX);
        for path in self.list().await? {
            let object = self.read(path).await?;
            let (mut chosen, mut kept) = (Vec::new(), Vec::new());
            for (text, line) in object.lines {
                let data = line.as_ref().and_then(|line| BASE64_STANDARD.decode(&line.raw_data).ok());
                match (line, data) {
                    (Some(line), Some(data)) if is_selected(&line, selection) => match left {
                        0 => {
                            counts.remaining += 1;
                            kept.push(text);
                        }
                        _ => {
                            left -= 1;
                            chosen.push((text, Bytes::from(data)));
                        }
                    },
                    (Some(_), Some(_)) => kept.push(text),
                    _ => {
                        counts.unreadable += 1;
                        kept.push(text);
                    }
                }
            }
            if chosen.is_empty() {
                continue;
            }
            for batch in batches(chosen) {
                let records: Vec<Bytes> = batch.iter().map(|(_, data)| data.clone()).collect();
                let is_taken = client.put(&self.stream.name, &records).await?;
                for ((text, _), is_taken) in batch.into_iter().zip(is_taken) {
                    if is_taken {
                        counts.redriven += 1;
                    } else {
                        counts.remaining += 1;
                        kept.push(text);
                    }
                }
            }
            self.keep(&object.path, &kept).await?;
        }
        Ok(counts)
    }

    /// Error objects carry the name of their delivery stream behind the type of the error.
    async fn list(&self) -> Result<Vec<Path>> {
        let mut found = Vec::new();
        for prefix in &self.stream.error_prefixes {
            // The store lists by whole folders; what is left of the prefix is compared below.
            let folder = prefix.rsplit_once('/').map(|(folder, _)| Path::from(folder));
            let listed: Vec<_> =
                self.store.list(folder.as_ref()).try_collect().await.map_err(|error| store_error(error, prefix))?;
            let paths = listed.into_iter().map(|object| object.location).filter(|path| {
                let name = path.filename().unwrap_or_default();
                let is_of_stream = name.starts_with(&format!("{}-", self.stream.name));
                is_of_stream && path.as_ref().starts_with(prefix) && path.as_ref().contains("-failed/")
            });
            found.extend(paths);
        }
        found.sort_by(|a, b| (a.filename(), a).cmp(&(b.filename(), b)));
        found.dedup();
        Ok(found)
    }

    async fn read(&self, path: Path) -> Result<ErrorObject> {
        let read = async { self.store.get(&path).await?.bytes().await };
        let content = read.await.map_err(|error| store_error(error, path.as_ref()))?;
        let text = String::from_utf8_lossy(&content);
        let lines = text.lines().filter(|line| !line.is_empty());
        let lines = lines.map(|line| (line.to_owned(), serde_json::from_str(line).ok())).collect();
        Ok(ErrorObject { path, lines })
    }

    /// Leaves these lines in the object, or no object where there are none.
    async fn keep(&self, path: &Path, lines: &[String]) -> Result<()> {
        let written = match lines {
            [] => self.store.delete(path).await,
            lines => self.store.put(path, (lines.join("\n") + "\n").into()).await.map(drop),
        };
        written.map_err(|error| store_error(error, path.as_ref()))
    }
}

fn is_selected(line: &Line, selection: &Selection) -> bool {
    let ended_ms = line.attempt_ending_timestamp;
    selection.code.as_ref().is_none_or(|code| *code == line.error_code)
        && selection.since.is_none_or(|since| ended_ms >= since.as_millisecond())
        && selection.until.is_none_or(|until| ended_ms < until.as_millisecond())
}

/// Parts records into what calls take.
fn batches(records: Vec<(String, Bytes)>) -> Vec<Vec<(String, Bytes)>> {
    let mut batches: Vec<Vec<(String, Bytes)>> = Vec::new();
    let mut bytes = 0;
    for record in records {
        let length = record.1.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_RECORDS_MAX && bytes + length <= BATCH_BYTES_MAX => {
                batch.push(record);
                bytes += length;
            }
            _ => {
                batches.push(vec![record]);
                bytes = length;
            }
        }
    }
    batches
}

fn store_error(error: object_store::Error, place: &str) -> Error {
    Error::new(ErrorKind::Transient, format!("look after the error objects at {place}")).with_source(error)
}
