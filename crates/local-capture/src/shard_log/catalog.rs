//! All streams of a region at one moment, and the edit that leads to the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fjall::Slice;

use super::store::record_value;
use super::stream::{SEQUENCE_NUMBER_MIN, Stream};

/// The streams as readers see them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    /// The last row of the engine's outbox that the log holds.
    pub drained: i64,
    pub streams: BTreeMap<u64, Arc<Stream>>,
}

impl Catalog {
    /// The stream that takes the changes of a table now.
    pub(crate) fn writable(&self, table_name: &str) -> Option<&Arc<Stream>> {
        self.streams.values().find(|stream| stream.table_name == table_name && stream.is_writable())
    }

    /// The stream of a table, the newest where there are several; also one that is disabled.
    pub(crate) fn latest(&self, table_name: &str, table_id: Option<&str>) -> Option<&Arc<Stream>> {
        let of_table =
            |stream: &&Arc<Stream>| stream.table_name == table_name && stream.table_id.as_deref() == table_id;
        self.streams.values().filter(of_table).max_by(|left, right| left.label.cmp(&right.label))
    }

    pub(crate) fn labelled(&self, table_name: &str, label: &str) -> Option<&Arc<Stream>> {
        self.streams.values().find(|stream| stream.table_name == table_name && stream.label == label)
    }

    /// A number that no record of the table has reached.
    pub(crate) fn next_sequence(&self, table_name: &str) -> u128 {
        let of_table = self.streams.values().filter(|stream| stream.table_name == table_name);
        of_table.map(|stream| stream.next_sequence).fold(SEQUENCE_NUMBER_MIN + 1, u128::max)
    }
}

/// Records and descriptors that become durable together.
#[derive(Debug)]
pub(crate) struct Edit {
    pub(crate) catalog: Catalog,
    pub(super) changed: BTreeSet<u64>,
    pub(super) records: Vec<LogRecord>,
    pub(crate) removed_records: Vec<Vec<u8>>,
    pub(crate) removed_shards: Vec<(u64, u32)>,
    pub(super) removed_streams: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct LogRecord {
    pub stream: u64,
    pub shard: u32,
    pub sequence: u128,
    /// Arrival and JSON; cheap to clone.
    pub value: Slice,
}

impl Edit {
    pub(super) fn new(catalog: &Catalog) -> Self {
        Self {
            catalog: catalog.clone(),
            changed: BTreeSet::new(),
            records: Vec::new(),
            removed_records: Vec::new(),
            removed_shards: Vec::new(),
            removed_streams: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty()
            && self.records.is_empty()
            && self.removed_records.is_empty()
            && self.removed_shards.is_empty()
            && self.removed_streams.is_empty()
    }

    pub(crate) fn insert(&mut self, stream: Stream) {
        self.changed.insert(stream.id);
        self.catalog.streams.insert(stream.id, Arc::new(stream));
    }

    /// The stream to be changed; nothing where it does not exist.
    pub(crate) fn change(&mut self, id: u64) -> Option<&mut Stream> {
        let stream = self.catalog.streams.get_mut(&id)?;
        self.changed.insert(id);
        Some(Arc::make_mut(stream))
    }

    /// Forgets a stream whose records are gone.
    pub(crate) fn remove(&mut self, id: u64) {
        self.changed.remove(&id);
        let Some(stream) = self.catalog.streams.remove(&id) else { return };
        self.removed_shards.extend(stream.shards.keys().map(|shard| (id, *shard)));
        self.removed_streams.push(id);
    }

    /// Appends one record to the shard that takes this key. `render` gets the record's number.
    pub(crate) fn append(
        &mut self,
        id: u64,
        key_hash: u64,
        drawn: u128,
        now_ms: i64,
        render: impl FnOnce(u128) -> Vec<u8>,
    ) {
        let Some(stream) = self.change(id) else { return };
        let sequence = stream.take_sequence(drawn);
        let index = stream.route(key_hash).expect("a writable stream has an open shard for every key");
        let shard = stream.shards.get_mut(&index).expect("route names a shard of the stream");
        shard.last = Some(sequence);
        shard.oldest_ms.get_or_insert(now_ms);
        let value = record_value(now_ms, &render(sequence));
        self.records.push(LogRecord { stream: id, shard: index, sequence, value });
    }
}
