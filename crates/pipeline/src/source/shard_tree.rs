//! Which shards may be read, and from where.
//!
//! Pure: listings and ends of shards go in, openings and gaps come out. A shard is opened once every ancestor that the
//! stream still lists is read to its end, so that the changes of an item keep their order. `lineage.rs` decides that.

mod lineage;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::change::{RawRecord, SequenceNumber, ShardId};
use crate::checkpoint::{Checkpoint, Gap, ShardProgress};
use crate::source::StartPosition;

/// How often a stream is asked again for the children of a closed shard. A lagging DescribeStream may not list them
/// yet; a shard may also have none.
const CHILDLESS_LISTINGS_MAX: u8 = 5;

/// A shard as DescribeStream shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedShard {
    pub id: ShardId,
    /// One after a rotation or a split, two after a merge.
    pub parents: Vec<ShardId>,
    /// It has an ending sequence number: nothing is written to it any more.
    pub is_closed: bool,
}

/// Where reading of a shard begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    TrimHorizon,
    Latest,
    /// What arrived from then on, in milliseconds since the Unix epoch. Where a stream cannot be asked for that, it is
    /// read from its beginning.
    AtTimestamp(i64),
    After(SequenceNumber),
}

/// What a listing or the end of a shard changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Shards to read from now on.
    pub opened: Vec<ShardId>,
    pub ended: Vec<ShardId>,
    pub forgotten: Vec<ShardId>,
    pub gaps: Vec<Gap>,
}

/// Every shard that the stream lists or the checkpoint knows, and how far each was read.
#[derive(Debug)]
pub struct ShardTree {
    shards: BTreeMap<ShardId, Shard>,
    start: StartPosition,
    /// The next complete listing is the first this table ever saw of the stream: the start position counts.
    is_first: bool,
    is_listed: bool,
    /// Missing from the last complete listing: known shards, and parents that were never seen.
    missing: BTreeSet<ShardId>,
}

#[derive(Debug)]
struct Shard {
    parents: Vec<ShardId>,
    progress: Progress,
    /// The last record read, durable or not.
    last: Option<SequenceNumber>,
    /// Seen at the first start: what its beginning lost before was never promised.
    is_first: bool,
    childless_listings: u8,
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Unread,
    Reading(Start),
    Ended,
}

impl ShardTree {
    /// Shards that the checkpoint was reading are open at once: their ancestors were ended before.
    pub fn resume(checkpoint: &Checkpoint, start: StartPosition) -> Self {
        let start = checkpoint.read_from_ms().map_or(start, StartPosition::AtTimestamp);
        let begun = match start {
            StartPosition::AtTimestamp(from_ms) => Start::AtTimestamp(from_ms),
            StartPosition::TrimHorizon | StartPosition::Latest => Start::TrimHorizon,
        };
        let shards = checkpoint.shards().map(|(id, progress)| {
            let (progress, last) = match progress {
                ShardProgress::Begun => (Progress::Reading(begun.clone()), None),
                ShardProgress::At(durable) => (Progress::Reading(Start::After(durable.clone())), Some(durable.clone())),
                ShardProgress::Ended => (Progress::Ended, None),
            };
            (id.clone(), Shard { parents: Vec::new(), progress, last, is_first: false, childless_listings: 0 })
        });
        let shards: BTreeMap<_, _> = shards.collect();
        Self { is_first: shards.is_empty(), shards, start, is_listed: false, missing: BTreeSet::new() }
    }

    /// Goes on at a moment before which everything was read, instead of behind the last record: that may have expired.
    /// What was read before is recognised by its number.
    pub fn go_on_at(&mut self, from_ms: i64) {
        for shard in self.shards.values_mut() {
            if let Progress::Reading(start @ Start::After(_)) = &mut shard.progress {
                *start = Start::AtTimestamp(from_ms);
            }
        }
    }

    /// The shards being read.
    pub fn reading(&self) -> impl Iterator<Item = &ShardId> {
        self.shards.iter().filter(|(_, shard)| matches!(shard.progress, Progress::Reading(_))).map(|(id, _)| id)
    }

    /// Where to go on reading `id`; `None` where it is not being read.
    pub fn position(&self, id: &ShardId) -> Option<&Start> {
        match &self.shards.get(id)?.progress {
            Progress::Reading(start) => Some(start),
            Progress::Unread | Progress::Ended => None,
        }
    }

    /// Keeps of `records` what was not read before, and notes it as read.
    pub fn accept(&mut self, id: &ShardId, mut records: Vec<RawRecord>) -> Vec<RawRecord> {
        let shard = self.shards.get_mut(id).expect("only an open shard is read");
        records.retain(|record| shard.last.as_ref().is_none_or(|last| record.position.sequence_number > *last));
        if let Some(last) = records.last() {
            shard.last = Some(last.position.sequence_number.clone());
            shard.progress = Progress::Reading(Start::After(last.position.sequence_number.clone()));
        }
        records
    }

    /// Notes that the stream no longer holds what follows our position; reading goes on with what it still holds.
    /// Gives the gap, unless nothing was promised of the shard.
    pub fn trim(&mut self, id: &ShardId) -> Option<Gap> {
        let shard = self.shards.get_mut(id).expect("only an open shard is read");
        shard.progress = Progress::Reading(Start::TrimHorizon);
        let was_promised = shard.last.is_some() || !shard.is_first;
        was_promised.then(|| shard.gap(id))
    }

    /// Takes in a **complete** listing. An incomplete one decides nothing, so it never comes here.
    ///
    /// What a listing misses is believed to be trimmed only when the next one misses it too, because DescribeStream
    /// may lag and leave holes in the lineage.
    pub fn list(&mut self, listing: Vec<ListedShard>) -> Discovery {
        let names: BTreeSet<_> = listing.iter().map(|shard| shard.id.clone()).collect();
        let mut discovery = Discovery::default();
        self.learn(listing, &mut discovery);

        let missing = self.missing_from(&names);
        let gone: BTreeSet<_> = missing.intersection(&self.missing).cloned().collect();
        self.missing = missing;

        let lost = self.give_up(&gone, &mut discovery);
        self.open(&gone, &lost, &mut discovery);
        self.forget(&gone, &mut discovery);
        self.count_childless(&names);
        self.is_listed = true;
        self.is_first = false;
        discovery
    }

    /// Notes that `id` is read to its end, and opens its children.
    pub fn end(&mut self, id: &ShardId) -> Discovery {
        self.shards.get_mut(id).expect("only an open shard is read").progress = Progress::Ended;
        let mut discovery = Discovery { ended: vec![id.clone()], ..Discovery::default() };
        self.open(&BTreeSet::new(), &BTreeSet::new(), &mut discovery);
        discovery
    }

    /// Whether every shard that may hold a change is being read.
    pub fn is_all_open(&self) -> bool {
        !self.wants_listing() && self.shards.values().all(|shard| shard.progress != Progress::Unread)
    }

    /// Whether everything the stream has ever listed is read to its end.
    pub fn is_all_ended(&self) -> bool {
        self.is_listed && self.shards.values().all(|shard| shard.progress == Progress::Ended)
    }

    fn learn(&mut self, listing: Vec<ListedShard>, discovery: &mut Discovery) {
        let skips_history = self.is_first && self.start == StartPosition::Latest;
        for listed in listing {
            if let Some(known) = self.shards.get_mut(&listed.id) {
                known.parents = listed.parents;
                continue;
            }
            // `latest` begins with the shards that are open now, whatever their ancestors hold. Children of a later
            // rotation are read from their beginning.
            let parents = if skips_history { Vec::new() } else { listed.parents };
            let is_skipped = skips_history && listed.is_closed;
            let (progress, childless_listings) = match is_skipped {
                true => (Progress::Ended, CHILDLESS_LISTINGS_MAX),
                false => (Progress::Unread, 0),
            };
            discovery.ended.extend(is_skipped.then(|| listed.id.clone()));
            let shard = Shard { parents, progress, last: None, is_first: self.is_first, childless_listings };
            self.shards.insert(listed.id, shard);
        }
    }
}

impl Shard {
    /// What follows the last record read is lost.
    fn gap(&self, id: &ShardId) -> Gap {
        Gap { shard: id.to_string(), after: self.last.as_ref().map(SequenceNumber::to_string) }
    }
}
