//! A source over a list of changes of one shard.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ambient::Ambient;
use async_trait::async_trait;
use bytes::Bytes;
use pipeline::{
    Checkpoint, Error, ErrorKind, Gap, Polled, Position, RawRecord, Result, SequenceNumber, ShardId, ShardProgress,
    Source,
};
use tokio::time::Instant;

pub const SHARD: &str = "s";

/// What stands in the stream, at sequence numbers from 1.
#[derive(Clone)]
pub enum Entry {
    Put(&'static str, u64),
    Remove(&'static str),
    /// A record that is not JSON.
    Broken,
    /// Not a record: the stream has lost what stood here.
    Gap,
    /// Not a record: the shard ends here.
    End,
}

#[derive(Clone)]
pub struct VecSource {
    entries: Arc<Vec<Entry>>,
    /// Entries a poll.
    page: usize,
    /// How long a poll takes.
    slow: Duration,
    /// Polls fail once when they come to these entries. Shared by all clones.
    faults: Arc<Mutex<BTreeMap<usize, ErrorKind>>>,
    /// Whether it ends after the last entry; else it has nothing more to give for now.
    is_finite: bool,
    ambient: Ambient,
    next: usize,
    /// When the poll that is under way has its answer; a dropped poll does not start again.
    answers_at: Option<Instant>,
    /// Whether it has said that it has given all.
    is_told: bool,
}

impl VecSource {
    pub fn new(entries: impl Into<Vec<Entry>>, ambient: &Ambient) -> Self {
        Self {
            entries: Arc::new(entries.into()),
            page: 1_000,
            slow: Duration::ZERO,
            faults: Arc::default(),
            is_finite: false,
            ambient: ambient.clone(),
            next: 0,
            answers_at: None,
            is_told: false,
        }
    }

    pub fn in_pages_of(self, page: usize) -> Self {
        Self { page, ..self }
    }

    pub fn slow(self, slow: Duration) -> Self {
        Self { slow, ..self }
    }

    pub fn finite(self) -> Self {
        Self { is_finite: true, ..self }
    }

    pub fn failing(self, faults: impl IntoIterator<Item = (usize, ErrorKind)>) -> Self {
        self.faults.lock().unwrap().extend(faults);
        self
    }

    fn page(&mut self) -> Polled {
        let mut polled = Polled::default();
        for _ in 0..self.page.min(self.entries.len() - self.next) {
            let entry = &self.entries[self.next];
            self.next += 1;
            match entry {
                Entry::Gap => polled.gaps.push(Gap { shard: SHARD.into(), after: Some(self.next.to_string()) }),
                Entry::End => polled.ended.push(ShardId::new(SHARD)),
                record => polled.records.push(RawRecord { position: position(self.next), json: json(record) }),
            }
        }
        if self.next == self.entries.len() {
            polled.complete_up_to = Some(self.ambient.now());
            self.is_told = true;
        }
        polled
    }
}

#[async_trait]
impl Source for VecSource {
    async fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.next = match checkpoint.progress(&ShardId::new(SHARD)) {
            Some(ShardProgress::At(durable)) => durable.as_str().parse().unwrap(),
            Some(ShardProgress::Ended) => self.entries.len(),
            Some(ShardProgress::Begun) | None => 0,
        };
        Ok(())
    }

    fn incarnation(&self) -> &str {
        "vec"
    }

    async fn poll(&mut self) -> Result<Option<Polled>> {
        let answers_at = *self.answers_at.get_or_insert_with(|| Instant::now() + self.slow);
        tokio::time::sleep_until(answers_at).await;
        self.answers_at = None;
        if let Some(kind) = self.faults.lock().unwrap().remove(&self.next) {
            return Err(Error::new(kind, "scripted"));
        }
        match (self.next < self.entries.len(), self.is_finite) {
            (false, true) => Ok(None),
            (false, false) if self.is_told => std::future::pending().await,
            _ => Ok(Some(self.page())),
        }
    }
}

fn position(number: usize) -> Position {
    let sequence_number = SequenceNumber::parse(&number.to_string()).unwrap();
    Position { shard: ShardId::new(SHARD), sequence_number, part: 0 }
}

fn json(entry: &Entry) -> Bytes {
    let (name, id, image) = match entry {
        Entry::Put(id, value) => {
            ("MODIFY", id, format!(r#","NewImage":{{"id":{{"S":"{id}"}},"v":{{"N":"{value}"}}}}"#))
        }
        Entry::Remove(id) => ("REMOVE", id, String::new()),
        Entry::Broken | Entry::Gap | Entry::End => return Bytes::from_static(b"{broken"),
    };
    let keys = format!(r#""Keys":{{"id":{{"S":"{id}"}}}}"#);
    let text =
        format!(r#"{{"eventName":"{name}","dynamodb":{{"ApproximateCreationDateTime":1767225600,{keys}{image}}}}}"#);
    text.into()
}
