//! All streams of a region at one moment, and the draft of the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fjall::Slice;

use super::NewRecord;
use super::Placed;
use crate::kinesis::destination::Destination;
use crate::kinesis::stream::Stream;

/// The streams as readers see them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    pub streams: BTreeMap<u64, Arc<Stream>>,
    by_name: BTreeMap<String, u64>,
    /// Deleted streams whose records still lie on the disk.
    pub garbage: BTreeSet<u64>,
    /// Where changes of tables go.
    pub destinations: Vec<Destination>,
    /// The last row of the item engine's outbox that was delivered to streams.
    pub drained: i64,
}

impl Catalog {
    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Stream>> {
        self.streams.get(self.by_name.get(name)?)
    }

    /// By name.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = &Arc<Stream>> {
        self.by_name.values().filter_map(|id| self.streams.get(id))
    }

    pub(super) fn insert(&mut self, stream: Stream) {
        self.by_name.insert(stream.name.clone(), stream.id);
        self.streams.insert(stream.id, Arc::new(stream));
    }

    /// How many shards of streams with provisioned capacity are open.
    pub(crate) fn open_shard_count(&self) -> usize {
        self.streams.values().map(|stream| stream.open_shard_count()).sum()
    }
}

/// Records and descriptors that become durable together.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub catalog: Catalog,
    pub(super) changed: BTreeSet<u64>,
    pub(super) records: Vec<DraftRecord>,
    pub(super) removed_records: Vec<Slice>,
    pub(super) removed_shards: Vec<(u64, u32)>,
    pub(super) removed_streams: Vec<u64>,
    pub(super) cleared_garbage: Vec<u64>,
    pub(super) has_new_destinations: bool,
}

#[derive(Debug)]
pub(super) struct DraftRecord {
    pub key: [u8; 28],
    pub value: Slice,
}

impl Draft {
    pub(super) fn of(catalog: Catalog) -> Self {
        Self { catalog, ..Self::default() }
    }

    pub(crate) fn insert(&mut self, stream: Stream) {
        self.changed.insert(stream.id);
        self.catalog.insert(stream);
    }

    /// The stream whose descriptor is to be changed.
    pub(crate) fn change(&mut self, id: u64) -> Option<&mut Stream> {
        let stream = self.catalog.streams.get_mut(&id)?;
        self.changed.insert(id);
        Some(Arc::make_mut(stream))
    }

    /// Forgets a stream. Its records are removed later, a part at a time.
    pub(crate) fn remove(&mut self, id: u64) {
        let Some(stream) = self.catalog.streams.remove(&id) else { return };
        self.changed.remove(&id);
        self.catalog.by_name.remove(&stream.name);
        self.catalog.garbage.insert(id);
        self.removed_shards.extend(stream.shards.keys().map(|shard| (id, *shard)));
        self.removed_streams.push(id);
    }

    pub(crate) fn remove_shard(&mut self, id: u64, index: u32) {
        if let Some(stream) = self.change(id) {
            stream.shards.remove(&index);
            self.removed_shards.push((id, index));
        }
    }

    /// Makes `destination` the one of its table and stream.
    pub(crate) fn set_destination(&mut self, destination: Destination) {
        let key = |destination: &Destination| (destination.table_name.clone(), destination.stream_arn.clone());
        let replaced = key(&destination);
        self.retain_destinations(|known| key(known) != replaced);
        self.catalog.destinations.push(destination);
    }

    pub(crate) fn retain_destinations(&mut self, keep: impl FnMut(&Destination) -> bool) {
        self.catalog.destinations.retain(keep);
        self.has_new_destinations = true;
    }

    /// The shard that would take a record with this hash key.
    pub(super) fn route(&self, id: u64, hash_key: u128) -> Option<u32> {
        self.catalog.streams.get(&id)?.route(hash_key)
    }

    /// Appends a record to an open shard. Descriptors do not change with it: what a shard holds is found in its records.
    pub(super) fn append(&mut self, id: u64, shard: u32, record: NewRecord, now_ms: i64) -> Option<Placed> {
        let stream = Arc::make_mut(self.catalog.streams.get_mut(&id)?);
        let sequence = stream.take_sequence(now_ms);
        stream.shards.get_mut(&shard)?.last = Some(sequence);
        self.records.push(DraftRecord { key: super::record::key(id, shard, sequence), value: record.value });
        Some(Placed { shard, sequence })
    }
}
