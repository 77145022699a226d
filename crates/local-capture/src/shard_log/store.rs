//! The files of the shard log: records and descriptors in one store with atomic, synced batches.

use std::path::Path;
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};

use super::LogError;
use super::catalog::{Catalog, Edit};
use super::stream::{SEQUENCE_NUMBER_MIN, Shard, Stream};

const DRAINED: &[u8] = b"drained";
const STREAM_PREFIX: u8 = b's';
const SHARD_PREFIX: u8 = b'h';
/// What is in memory and journal is replayed at each start, so both are kept short.
const MEMTABLE_BYTES_MAX: u64 = 8 << 20;
/// The least that the store takes.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// Milliseconds of arrival, in front of each record's JSON.
const ARRIVAL_BYTES: usize = 8;

pub(super) struct Store {
    database: Database,
    /// `stream u64 | shard u32 | sequence u128`, big-endian → arrival + JSON.
    pub(super) records: Keyspace,
    /// Descriptors, and how far the outbox is drained.
    meta: Keyspace,
}

impl Store {
    pub(super) fn open(folder: &Path) -> Result<Self, LogError> {
        let builder = Database::builder(folder).worker_threads(1).max_journaling_size(JOURNAL_BYTES_MAX);
        let database = builder.open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES_MAX);
        let records = database.keyspace("records", options)?;
        let meta = database.keyspace("meta", options)?;
        Ok(Self { database, records, meta })
    }

    /// Writes what differs from `before` in one batch and waits until it is on disk.
    pub(super) fn write(&self, before: &Catalog, edit: &Edit) -> Result<(), LogError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        for record in &edit.records {
            batch.insert(&self.records, record_key(record.stream, record.shard, record.sequence), record.value.clone());
        }
        for key in &edit.removed_records {
            batch.remove(&self.records, key.as_slice());
        }
        for (stream, shard) in &edit.removed_shards {
            batch.remove(&self.meta, shard_key(*stream, *shard));
        }
        for stream in &edit.removed_streams {
            batch.remove(&self.meta, stream_key(*stream));
        }
        for id in &edit.changed {
            let Some(stream) = edit.catalog.streams.get(id) else { continue };
            batch.insert(&self.meta, stream_key(*id), serde_json::to_vec(&**stream)?);
            let stored = before.streams.get(id).map(|stream| &stream.shards);
            for shard in stream.shards.values() {
                if stored.and_then(|shards| shards.get(&shard.index)) == Some(shard) {
                    continue;
                }
                batch.insert(&self.meta, shard_key(*id, shard.index), serde_json::to_vec(shard)?);
            }
        }
        batch.insert(&self.meta, DRAINED, edit.catalog.drained.to_be_bytes());
        batch.commit()?;
        Ok(())
    }

    /// What the last batch left.
    pub(super) fn catalog(&self) -> Result<Catalog, LogError> {
        let mut catalog = Catalog::default();
        if let Some(drained) = self.meta.get(DRAINED)? {
            catalog.drained = drained.as_ref().try_into().map_or(0, i64::from_be_bytes);
        }
        for entry in self.meta.prefix([STREAM_PREFIX]) {
            let stream: Stream = serde_json::from_slice(&entry.value()?)?;
            catalog.streams.insert(stream.id, Arc::new(stream));
        }
        for entry in self.meta.prefix([SHARD_PREFIX]) {
            let (key, value) = entry.into_inner()?;
            let stream = key.get(1..9).and_then(|id| id.try_into().ok()).map_or(0, u64::from_be_bytes);
            let shard: Shard = serde_json::from_slice(&value)?;
            if let Some(stream) = catalog.streams.get_mut(&stream) {
                Arc::make_mut(stream).shards.insert(shard.index, shard);
            }
        }
        Ok(catalog)
    }
}

/// The value of a record that arrived at `arrival_ms`.
pub(super) fn record_value(arrival_ms: i64, json: &[u8]) -> Slice {
    let mut value = Vec::with_capacity(ARRIVAL_BYTES + json.len());
    value.extend_from_slice(&arrival_ms.to_be_bytes());
    value.extend_from_slice(json);
    Slice::from(value)
}

pub(super) fn arrival_of(value: &[u8]) -> i64 {
    value.first_chunk().map_or(0, |arrival| i64::from_be_bytes(*arrival))
}

pub(super) fn record_key(stream: u64, shard: u32, sequence: u128) -> [u8; 28] {
    let mut key = [0; 28];
    key[..8].copy_from_slice(&stream.to_be_bytes());
    key[8..12].copy_from_slice(&shard.to_be_bytes());
    key[12..].copy_from_slice(&sequence.to_be_bytes());
    key
}

pub(super) fn sequence_of(key: &[u8]) -> u128 {
    key.last_chunk().map_or(SEQUENCE_NUMBER_MIN, |sequence| u128::from_be_bytes(*sequence))
}

/// A record's JSON without its arrival.
pub(super) fn json_of(value: &[u8]) -> &[u8] {
    value.get(ARRIVAL_BYTES..).unwrap_or_default()
}

fn stream_key(stream: u64) -> [u8; 9] {
    let mut key = [STREAM_PREFIX; 9];
    key[1..].copy_from_slice(&stream.to_be_bytes());
    key
}

fn shard_key(stream: u64, shard: u32) -> [u8; 13] {
    let mut key = [SHARD_PREFIX; 13];
    key[1..9].copy_from_slice(&stream.to_be_bytes());
    key[9..].copy_from_slice(&shard.to_be_bytes());
    key
}
