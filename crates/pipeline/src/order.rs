//! Puts the records of a stream right that may come twice or out of order, before anybody else sees them.
//!
//! Kinesis-for-DynamoDB promises neither order nor that a record comes once. Of each item the last change that was let
//! through is remembered (of a changelog: each change), and what is not newer is held back. The memory needs no store of
//! its own: after a restart it is filled by reading again what lies before the checkpoint ([`recall`]).
//!
//! While a pipeline goes over from one stream to another, both hold some of the same changes. What the table has from
//! the stream before is recalled too, and held back when it comes again.

mod origin;
mod recall;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use ambient::Ambient;

use crate::change::RawRecord;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::shape::Mode;
use crate::source::StreamApi;
use origin::{Origin, OriginReader, Reading};

/// Changes that are remembered: with their keys about 100 bytes each.
const REMEMBERED_MAX: usize = 1_000_000;

/// What a pipeline's order depends on.
pub struct OrderOptions {
    /// Records of other tables in the same stream are passed over. `None` where a stream holds one table only.
    pub table: Option<String>,
    pub mode: Mode,
    /// Whether the source gives each change once and in order: then only a handover needs a memory.
    pub source_is_ordered: bool,
    /// How to read a stream again, by the incarnation in a checkpoint.
    pub streams: FindStream,
    pub ambient: Ambient,
}

/// Finds a stream by the name that a checkpoint has for it.
pub type FindStream = Arc<dyn Fn(&str) -> Option<StreamAt> + Send + Sync>;

/// A stream that can be asked for its records.
pub struct StreamAt {
    pub api: Arc<dyn StreamApi>,
    /// As the API names it.
    pub name: String,
}

/// Decides which records are let through.
pub struct Order {
    options: OrderOptions,
    reader: OriginReader,
    /// The last change of each item; of a changelog, each change.
    applied: HashMap<u128, Version>,
    /// In the order they were remembered.
    remembered: VecDeque<(u128, i64)>,
    foreign: Option<Foreign>,
}

/// Which change of an item it was.
#[derive(Clone, Copy, Debug)]
struct Version {
    created_us: i64,
    event: u128,
    old: u64,
    new: u64,
}

/// What the table has from the stream that was read before.
#[derive(Default)]
struct Foreign {
    from_us: i64,
    /// When each change was made, in whole seconds: two changes can be alike.
    changes: HashMap<u128, Vec<i64>>,
    /// When the last change of each item was made, in whole seconds: streams differ in what they tell.
    newest_s: HashMap<u128, i64>,
    /// The changes by their events: a stream that repeats one has given it once all the same.
    events: HashSet<u128>,
}

/// What became of some records.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    /// Nothing: all of them are let through.
    pub admitted: Option<Vec<RawRecord>>,
    /// Held back, as the table has them or newer ones.
    pub superseded: usize,
    /// Of other tables.
    pub filtered: usize,
}

impl Order {
    pub fn new(options: OrderOptions) -> Self {
        Self {
            options,
            reader: OriginReader::default(),
            applied: HashMap::new(),
            remembered: VecDeque::new(),
            foreign: None,
        }
    }

    /// Fills the memory with what `checkpoint` covers and the stream still holds. `complete_up_to_ms` is up to when the
    /// table has everything.
    pub(crate) async fn recall(&mut self, checkpoint: &Checkpoint, complete_up_to_ms: Option<i64>) -> Result<()> {
        recall::recall(self, checkpoint, complete_up_to_ms).await
    }

    /// Forgets what the stream before has given: it does not come again.
    pub(crate) fn end_handover(&mut self) {
        self.foreign = None;
    }

    /// Looks at records in the order they were read.
    pub(crate) fn admit(&mut self, records: &[RawRecord]) -> Ordered {
        let mut ordered = Ordered::default();
        if self.options.source_is_ordered && self.foreign.is_none() {
            return ordered;
        }
        let mut admitted = Vec::with_capacity(records.len());
        for record in records {
            match self.reader.read(&record.json, self.options.table.as_deref()) {
                Reading::OtherTable => ordered.filtered += 1,
                Reading::Change(origin) if !self.take(&origin) => ordered.superseded += 1,
                // What is no change is let through, so that it becomes a letter.
                Reading::Change(_) | Reading::NoChange => admitted.push(record.clone()),
            }
        }
        if admitted.len() < records.len() {
            ordered.admitted = Some(admitted);
        }
        ordered
    }

    /// Whether a change is let through. It is remembered in any case.
    fn take(&mut self, origin: &Origin) -> bool {
        if !self.options.source_is_ordered {
            let known = self.applied.get(&self.identity(origin));
            let is_stale = match self.options.mode {
                Mode::Changelog | Mode::Operations => known.is_some(),
                Mode::Mirror => known.is_some_and(|known| !origin.follows(known)),
            };
            if is_stale {
                return false;
            }
            self.remember(origin);
        }
        let mode = self.options.mode;
        self.foreign.as_mut().is_none_or(|foreign| !foreign.covers(origin, mode))
    }

    fn identity(&self, origin: &Origin) -> u128 {
        match self.options.mode {
            Mode::Mirror => origin.key,
            Mode::Changelog | Mode::Operations => origin.event,
        }
    }

    fn remember(&mut self, origin: &Origin) {
        let identity = self.identity(origin);
        let Origin { created_us, event, old, new, .. } = *origin;
        self.applied.insert(identity, Version { created_us, event, old, new });
        self.remembered.push_back((identity, created_us));
        while self.remembered.len() > REMEMBERED_MAX {
            let Some((identity, created_us)) = self.remembered.pop_front() else { break };
            // Remembered anew since, it stays.
            if self.applied.get(&identity).is_some_and(|version| version.created_us == created_us) {
                self.applied.remove(&identity);
            }
        }
    }
}

impl Origin {
    /// Whether this change of an item came after the other. Of two that were made at one time the one whose old image is
    /// the other's new one is later; where the images do not tell, the one that arrives later.
    fn follows(&self, known: &Version) -> bool {
        match self.created_us.cmp(&known.created_us) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal if self.event == known.event => false,
            std::cmp::Ordering::Equal => self.old == known.new || self.new != known.old,
        }
    }
}

/// How far two streams may differ in when they say that a change was made.
const SAME_CHANGE_S: u64 = 5;

impl Foreign {
    fn add(&mut self, origin: &Origin) {
        let created_s = seconds(origin.created_us);
        if created_s < seconds(self.from_us) || !self.events.insert(origin.event) {
            return;
        }
        self.changes.entry(origin.content).or_default().push(created_s);
        let newest_s = self.newest_s.entry(origin.key).or_insert(i64::MIN);
        *newest_s = (*newest_s).max(created_s);
    }

    /// Whether the table has this change already.
    fn covers(&mut self, origin: &Origin, mode: Mode) -> bool {
        let created_s = seconds(origin.created_us);
        // The table is complete for a minute beyond that moment. A change from before it has no place of its own in the
        // list: it would take that of a later one like it.
        if created_s < seconds(self.from_us) {
            return true;
        }
        if let Some(alike) = self.changes.get_mut(&origin.content) {
            let apart = |(at, other_s): (usize, &i64)| (other_s.abs_diff(created_s), at);
            let nearest = alike.iter().enumerate().map(apart).min();
            if let Some((_, at)) = nearest.filter(|(apart_s, _)| *apart_s <= SAME_CHANGE_S) {
                alike.remove(at);
                return true;
            }
        }
        let is_older = self.newest_s.get(&origin.key).is_some_and(|newest_s| created_s < *newest_s);
        origin.created_us < self.from_us || (mode == Mode::Mirror && is_older)
    }
}

fn seconds(micros: i64) -> i64 {
    micros.div_euclid(1_000_000)
}

#[cfg(test)]
mod tests;
