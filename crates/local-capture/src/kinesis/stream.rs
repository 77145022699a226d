//! A Kinesis stream and its shards as values: routing, splits and merges, without storage or clock.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::sequence_of_time;

/// Shards of a stream on demand that has just been made.
pub(super) const ON_DEMAND_SHARDS: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum StreamMode {
    Provisioned,
    OnDemand,
}

impl StreamMode {
    pub(crate) fn is_provisioned(self) -> bool {
        self == Self::Provisioned
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "PROVISIONED",
            Self::OnDemand => "ON_DEMAND",
        }
    }
}

/// One incarnation of a stream. Making it again under the same name makes another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub id: u64,
    pub name: String,
    pub created_ms: i64,
    pub mode: StreamMode,
    pub retention_hours: u32,
    /// Records with smaller numbers are gone, whatever the retention is now.
    pub trimmed_before: u128,
    pub settings: Settings,
    pub consumers: BTreeMap<String, Consumer>,
    /// No record to come has a smaller number.
    next_sequence: u128,
    /// The index of the next shard.
    next_shard: u32,
    #[serde(skip)]
    pub shards: BTreeMap<u32, Shard>,
    /// The open shards by the end of their range.
    #[serde(skip)]
    routes: Vec<(u128, u32)>,
}

/// What can be set and is answered truthfully, without any other effect here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub shard_level_metrics: BTreeSet<String>,
    pub encryption_key: Option<String>,
    pub record_kib_max: u32,
    pub warm_throughput_mib: Option<u32>,
    pub policy: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// A registered consumer with a throughput of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Consumer {
    pub created_ms: i64,
    pub policy: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// One shard. Its records are ordered; each hash key belongs to one open shard at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    pub index: u32,
    pub parent: Option<u32>,
    /// The other parent, where two were merged.
    pub adjacent_parent: Option<u32>,
    pub hash_start: u128,
    /// Inclusive.
    pub hash_end: u128,
    pub opened_ms: i64,
    pub starting: u128,
    pub closed: Option<Closed>,
    /// The number of its last record.
    pub last: Option<u128>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub at_ms: i64,
    pub ending: u128,
}

impl Shard {
    pub(super) fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// The number after the last record: where `LATEST` stands.
    pub(super) fn end(&self) -> u128 {
        self.last.map_or(self.starting, |last| last + 1)
    }

    pub(super) fn id(&self) -> String {
        shard_id(self.index)
    }
}

pub(super) fn shard_id(index: u32) -> String {
    format!("shardId-{index:012}")
}

/// Reads a shard's id; AWS takes its number alone as well.
pub(super) fn shard_index(id: &str) -> Option<u32> {
    let digits = id.strip_prefix("shardId-").unwrap_or(id);
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| all_digits)
}

impl Stream {
    /// A stream with `shard_count` shards of equal ranges.
    pub(super) fn new(id: u64, name: String, mode: StreamMode, shard_count: u32, now_ms: i64) -> Self {
        let mut stream = Self {
            id,
            name,
            created_ms: now_ms,
            mode,
            retention_hours: 24,
            trimmed_before: 0,
            settings: Settings { record_kib_max: 1024, ..Settings::default() },
            consumers: BTreeMap::new(),
            next_sequence: 0,
            next_shard: 0,
            shards: BTreeMap::new(),
            routes: Vec::new(),
        };
        for range in equal_ranges(shard_count) {
            stream.open_shard(now_ms, range, None, None);
        }
        stream.take_up();
        stream
    }

    /// Derives what is not stored from what is.
    pub(super) fn take_up(&mut self) {
        let open = self.shards.values().filter(|shard| shard.is_open());
        self.routes = open.map(|shard| (shard.hash_end, shard.index)).collect();
        self.routes.sort_unstable();
        let ends = self.shards.values().map(|shard| shard.closed.map_or(shard.end(), |closed| closed.ending + 1));
        self.next_sequence = ends.fold(self.next_sequence, u128::max);
    }

    pub(super) fn retention_ms(&self) -> i64 {
        i64::from(self.retention_hours) * 3_600_000
    }

    pub(crate) fn arn(&self, account: &str, region: &str) -> String {
        format!("arn:aws:kinesis:{region}:{account}:stream/{}", self.name)
    }

    /// In the order of their ranges.
    pub(super) fn open_shards(&self) -> impl Iterator<Item = &Shard> {
        self.routes.iter().map(|(_, index)| &self.shards[index])
    }

    pub(super) fn open_shard_count(&self) -> usize {
        self.routes.len()
    }

    /// The open shard that takes this hash key.
    pub(super) fn route(&self, hash_key: u128) -> Option<u32> {
        let at = self.routes.partition_point(|(end, _)| *end < hash_key);
        self.routes.get(at).map(|(_, index)| *index)
    }

    /// The number of the next record: it carries the time of arrival, and never goes back.
    pub(super) fn take_sequence(&mut self, now_ms: i64) -> u128 {
        let sequence = self.next_sequence.max(sequence_of_time(now_ms));
        self.next_sequence = sequence + 1;
        sequence
    }

    /// No record has this number yet, nor a smaller one is to come.
    pub(super) fn next_sequence(&self) -> u128 {
        self.next_sequence
    }

    pub(super) fn children(&self, index: u32) -> impl Iterator<Item = &Shard> {
        let is_child = move |shard: &&Shard| shard.parent == Some(index) || shard.adjacent_parent == Some(index);
        self.shards.values().filter(is_child)
    }

    /// Closes an open shard and opens two in its place; the second begins at `hash_start`.
    pub(super) fn split(&mut self, now_ms: i64, index: u32, hash_start: u128) {
        let Some(shard) = self.close_shard(now_ms, index) else { return };
        self.open_shard(now_ms, (shard.hash_start, hash_start - 1), Some(index), None);
        self.open_shard(now_ms, (hash_start, shard.hash_end), Some(index), None);
        self.take_up();
    }

    /// Closes two open shards with adjacent ranges and opens one in their place.
    pub(super) fn merge(&mut self, now_ms: i64, index: u32, adjacent: u32) {
        let (Some(one), Some(other)) = (self.close_shard(now_ms, index), self.close_shard(now_ms, adjacent)) else {
            return;
        };
        let range = (one.hash_start.min(other.hash_start), one.hash_end.max(other.hash_end));
        self.open_shard(now_ms, range, Some(index), Some(adjacent));
        self.take_up();
    }

    /// Splits and merges until there are `count` shards of equal ranges.
    pub(super) fn scale(&mut self, now_ms: i64, count: u32) {
        let ranges = equal_ranges(count);
        for (start, _) in &ranges {
            let around = self.open_shards().find(|shard| shard.hash_start < *start && *start <= shard.hash_end);
            if let Some(index) = around.map(|shard| shard.index) {
                self.split(now_ms, index, *start);
            }
        }
        for (start, end) in ranges {
            while let Some((one, other)) = self.first_two_within(start, end) {
                self.merge(now_ms, one, other);
            }
        }
    }

    fn first_two_within(&self, start: u128, end: u128) -> Option<(u32, u32)> {
        let mut inside = self.open_shards().filter(|shard| start <= shard.hash_start && shard.hash_end <= end);
        Some((inside.next()?.index, inside.next()?.index))
    }

    fn close_shard(&mut self, now_ms: i64, index: u32) -> Option<Shard> {
        // Above the last record's number, and below the first one of any child.
        let ending = self.take_sequence(now_ms);
        let shard = self.shards.get_mut(&index)?;
        shard.closed = Some(Closed { at_ms: now_ms, ending });
        Some(*shard)
    }

    fn open_shard(
        &mut self,
        now_ms: i64,
        (hash_start, hash_end): (u128, u128),
        parent: Option<u32>,
        adjacent_parent: Option<u32>,
    ) {
        let index = self.next_shard;
        self.next_shard += 1;
        let starting = self.take_sequence(now_ms);
        let shard = Shard {
            index,
            parent,
            adjacent_parent,
            hash_start,
            hash_end,
            opened_ms: now_ms,
            starting,
            closed: None,
            last: None,
        };
        self.shards.insert(index, shard);
    }
}

/// All 2^128 hash keys in `count` ranges of equal size, each with its first and last key. The last one takes the rest.
fn equal_ranges(count: u32) -> Vec<(u128, u128)> {
    let count = u128::from(count.max(1));
    // 2^128 / count: one more than `u128::MAX / count` where count divides 2^128.
    let size = match u128::MAX % count == count - 1 {
        true => (u128::MAX / count).wrapping_add(1),
        false => u128::MAX / count,
    };
    let start = |at: u128| size.wrapping_mul(at);
    (0..count).map(|at| (start(at), if at + 1 == count { u128::MAX } else { start(at + 1) - 1 })).collect()
}

#[cfg(test)]
mod tests;
