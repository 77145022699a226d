//! How far each shard of the stream is durable in the table.
//!
//! A checkpoint is stored in the table it describes and moves in the same snapshot as the rows.

mod handover;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::change::{Position, SequenceNumber, ShardId};
use crate::dead_letter::Held;
use crate::error::{Error, ErrorKind, Result};

pub use handover::Handover;

/// The last durable position of every shard we have read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which life of the source the positions belong to: the stream's ARN with its label. Empty before the first batch.
    pub incarnation: String,
    shards: BTreeMap<ShardId, ShardProgress>,
    gaps: Vec<Gap>,
    transform: Option<InForce>,
    /// The dead letters that are kept for later.
    pub held: Held,
    /// From where on shards that have no position are read, in milliseconds since the Unix epoch.
    read_from_ms: Option<i64>,
    handover: Option<Handover>,
}

/// The transform that rows come by, and from where on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    pub id: String,
    /// The positions of all shards, as in a checkpoint, when it came into force.
    pub after: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardProgress {
    /// The shard is being read; none of its records is durable yet.
    Begun,
    /// Durable up to and including this record.
    At(SequenceNumber),
    /// The shard is closed and all of it is durable.
    Ended,
}

/// A stretch of a shard that the stream no longer held when we came to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub shard: String,
    /// The last sequence number that was durable before the gap; `None` where nothing of the shard was.
    pub after: Option<String>,
}

impl Checkpoint {
    pub fn of(incarnation: impl Into<String>) -> Self {
        Self { incarnation: incarnation.into(), ..Self::default() }
    }

    /// Tells whether the change at `position` is already durable.
    pub fn covers(&self, position: &Position) -> bool {
        match self.shards.get(&position.shard) {
            Some(ShardProgress::At(durable)) => position.sequence_number <= *durable,
            Some(ShardProgress::Ended) => true,
            Some(ShardProgress::Begun) | None => false,
        }
    }

    pub fn progress(&self, shard: &ShardId) -> Option<&ShardProgress> {
        self.shards.get(shard)
    }

    pub fn shards(&self) -> impl Iterator<Item = (&ShardId, &ShardProgress)> {
        self.shards.iter()
    }

    /// The stretches that were lost before we could read them.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The transform that made the rows of this checkpoint's snapshot; `None` where attributes were copied.
    pub fn transform(&self) -> Option<&InForce> {
        self.transform.as_ref()
    }

    /// From where on shards that have no position are read.
    pub fn read_from_ms(&self) -> Option<i64> {
        self.read_from_ms
    }

    /// Goes back to a moment: everything that arrived since is read again.
    pub fn rewind(&self, to_ms: i64) -> Self {
        Self { shards: BTreeMap::new(), read_from_ms: Some(to_ms), handover: None, ..self.clone() }
    }

    /// Puts a transform in force from here on. One that is in force already stays so from where it was.
    pub fn adopt_transform(&mut self, id: Option<&str>) {
        if self.transform.as_ref().map(|transform| transform.id.as_str()) != id {
            self.transform = id.map(|id| InForce { id: id.to_owned(), after: self.positions() });
        }
    }

    /// Notes that a shard is read from its beginning.
    pub fn begin(&mut self, shard: &ShardId) {
        self.shards.entry(shard.clone()).or_insert(ShardProgress::Begun);
    }

    /// Moves forward to `position`.
    pub fn advance(&mut self, position: &Position) {
        debug_assert!(!self.covers(position), "a checkpoint only moves forward");
        match self.shards.get_mut(&position.shard) {
            Some(progress) => *progress = ShardProgress::At(position.sequence_number.clone()),
            None => {
                self.shards.insert(position.shard.clone(), ShardProgress::At(position.sequence_number.clone()));
            }
        }
    }

    /// Notes that all of a closed shard is durable.
    pub fn end(&mut self, shard: &ShardId) {
        self.shards.insert(shard.clone(), ShardProgress::Ended);
    }

    /// Notes that records of a shard were lost to the stream's retention. Noting it again changes nothing.
    pub fn record_gap(&mut self, gap: Gap) {
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    /// Forgets an ended shard that the stream no longer lists, so that a checkpoint does not grow for ever.
    pub fn forget(&mut self, shard: &ShardId) {
        debug_assert_eq!(self.shards.get(shard), Some(&ShardProgress::Ended), "only an ended shard is forgotten");
        self.shards.remove(shard);
    }

    /// The canonical text stored in the table: equal checkpoints have equal text.
    pub fn to_text(&self) -> String {
        let stored = Stored {
            incarnation: self.incarnation.clone(),
            shards: self.positions(),
            gaps: self.gaps.clone(),
            transform: self.transform.clone(),
            held: self.held.clone(),
            read_from_ms: self.read_from_ms,
            handover: self.handover.clone(),
        };
        serde_json::to_string(&stored).expect("a map of strings serialises")
    }

    fn positions(&self) -> BTreeMap<String, String> {
        let position = |(shard, progress): (&ShardId, &ShardProgress)| {
            let text = match progress {
                ShardProgress::Begun => BEGUN,
                ShardProgress::At(sequence_number) => sequence_number.as_str(),
                ShardProgress::Ended => END,
            };
            (shard.as_str().to_owned(), text.to_owned())
        };
        self.shards.iter().map(position).collect()
    }

    /// Reads what [`Checkpoint::to_text`] wrote.
    pub fn from_text(text: &str) -> Result<Self> {
        let unreadable = || Error::new(ErrorKind::Unexpected, format!("read the table's checkpoint `{text}`"));
        let stored: Stored = serde_json::from_str(text).map_err(|error| unreadable().with_source(error))?;
        let shards = read_positions(&stored.shards).ok_or_else(unreadable)?;
        let Stored { incarnation, gaps, transform, held, read_from_ms, handover, .. } = stored;
        Ok(Self { incarnation, shards, gaps, transform, held, read_from_ms, handover })
    }
}

/// Reads what [`Checkpoint::positions`] gave.
pub(crate) fn read_positions(positions: &BTreeMap<String, String>) -> Option<BTreeMap<ShardId, ShardProgress>> {
    let read = |(shard, position): (&String, &String)| {
        let progress = match position.as_str() {
            BEGUN => ShardProgress::Begun,
            END => ShardProgress::Ended,
            digits => ShardProgress::At(SequenceNumber::parse(digits)?),
        };
        Some((ShardId::new(shard), progress))
    };
    positions.iter().map(read).collect()
}

/// Before every sequence number.
const BEGUN: &str = "0";
const END: &str = "END";

/// The stored form. Its text is compared for equality by every committer of the table, so it changes only together with
/// a version key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    incarnation: String,
    shards: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<Gap>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transform: Option<InForce>,
    #[serde(default, skip_serializing_if = "Held::is_empty")]
    held: Held,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_from_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handover: Option<Handover>,
}

#[cfg(test)]
mod tests;
