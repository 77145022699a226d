//! The files of the Kinesis log: records and descriptors in one store with atomic, synced batches.

use std::ops::Bound;
use std::path::Path;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::KinesisLogError;
use super::catalog::{Catalog, Draft};
use super::record;
use crate::kinesis::stream::{Shard, Stream};

const DRAINED: &[u8] = b"drained";
const DESTINATIONS: &[u8] = b"destinations";
const STREAM_PREFIX: u8 = b's';
const SHARD_PREFIX: u8 = b'h';
const GARBAGE_PREFIX: u8 = b'g';
/// What is in memory and journal is replayed at each start, so both are kept short.
const MEMTABLE_BYTES_MAX: u64 = 16 << 20;
/// The least that the store takes.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// How long a flush is waited for, a second in all: puts wait meanwhile, and on a full disk it never ends.
const FLUSH_PAUSE: Duration = Duration::from_millis(10);
const FLUSH_LOOKS_MAX: usize = 100;

pub(super) struct Store {
    database: Database,
    pub(super) records: Keyspace,
    /// Descriptors, and how far the item engine's outbox is delivered.
    meta: Keyspace,
}

impl Store {
    pub(super) fn open(folder: &Path) -> Result<Self, KinesisLogError> {
        let builder = Database::builder(folder).worker_threads(1).max_journaling_size(JOURNAL_BYTES_MAX);
        let database = builder.open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES_MAX);
        let records = database.keyspace("records", options)?;
        let meta = database.keyspace("meta", options)?;
        Ok(Self { database, records, meta })
    }

    /// Writes the draft in one batch and waits until it is on disk.
    pub(super) fn write(&self, draft: &Draft) -> Result<(), KinesisLogError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for record in &draft.records {
            batch.insert(&self.records, record.key, record.value.clone());
        }
        for key in &draft.removed_records {
            batch.remove(&self.records, key.clone());
        }
        for (stream, shard) in &draft.removed_shards {
            batch.remove(&self.meta, shard_key(*stream, *shard));
        }
        for stream in &draft.removed_streams {
            batch.remove(&self.meta, id_key(STREAM_PREFIX, *stream));
            batch.insert(&self.meta, id_key(GARBAGE_PREFIX, *stream), []);
        }
        for stream in &draft.cleared_garbage {
            batch.remove(&self.meta, id_key(GARBAGE_PREFIX, *stream));
        }
        for id in &draft.changed {
            let Some(stream) = draft.catalog.streams.get(id) else { continue };
            batch.insert(&self.meta, id_key(STREAM_PREFIX, *id), serde_json::to_vec(&**stream)?);
            for shard in stream.shards.values() {
                batch.insert(&self.meta, shard_key(*id, shard.index), serde_json::to_vec(shard)?);
            }
        }
        if draft.has_new_destinations {
            batch.insert(&self.meta, DESTINATIONS, serde_json::to_vec(&draft.catalog.destinations)?);
        }
        batch.insert(&self.meta, DRAINED, draft.catalog.drained.to_be_bytes());
        batch.commit()?;
        Ok(())
    }

    /// Puts everything into tables; tells whether the journals are not needed any more. Nobody may write meanwhile. It
    /// does not wait for tables that are being merged.
    pub(super) fn flush(&self) -> Result<bool, KinesisLogError> {
        if self.database.active_compactions() > 0 {
            return Ok(false);
        }
        self.records.rotate_memtable()?;
        self.meta.rotate_memtable()?;
        for _ in 0..FLUSH_LOOKS_MAX {
            let waiting = self.records.sealed_memtable_count() + self.meta.sealed_memtable_count();
            if waiting + self.database.outstanding_flushes() + self.database.active_compactions() == 0 {
                return Ok(true);
            }
            std::thread::sleep(FLUSH_PAUSE);
        }
        Ok(false)
    }

    /// Empties the journals of the closed store in `folder`, all of whose content [`Store::flush`] has put into tables.
    pub(super) fn empty_journals(folder: &Path) -> Result<(), KinesisLogError> {
        let mut journals = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let number: Option<u64> = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            if let Some(number) = number.filter(|_| is_journal(&path)) {
                journals.push((number, path));
            }
        }
        journals.sort_unstable();
        // The last one stays, empty. Where a store finds none at all it counts its writes from zero again, and takes those
        // in the next journal for older than its tables: it would drop them.
        let last = journals.pop();
        for (_, journal) in journals {
            std::fs::remove_file(journal)?;
        }
        if let Some((_, last)) = last {
            let file = std::fs::OpenOptions::new().write(true).open(last)?;
            file.set_len(0)?;
            file.sync_all()?;
        }
        Ok(())
    }

    /// What the last batch left.
    pub(super) fn catalog(&self) -> Result<Catalog, KinesisLogError> {
        let mut catalog = Catalog::default();
        if let Some(drained) = self.meta.get(DRAINED)? {
            catalog.drained = drained.as_ref().try_into().map_or(0, i64::from_be_bytes);
        }
        if let Some(destinations) = self.meta.get(DESTINATIONS)? {
            catalog.destinations = serde_json::from_slice(&destinations)?;
        }
        for entry in self.meta.prefix([GARBAGE_PREFIX]) {
            catalog.garbage.extend(id_of(&entry.key()?));
        }
        for entry in self.meta.prefix([STREAM_PREFIX]) {
            let mut stream: Stream = serde_json::from_slice(&entry.value()?)?;
            for entry in self.meta.prefix(id_key(SHARD_PREFIX, stream.id)) {
                let mut shard: Shard = serde_json::from_slice(&entry.value()?)?;
                shard.last = self.last_of(&stream, &shard)?;
                stream.shards.insert(shard.index, shard);
            }
            stream.take_up();
            catalog.insert(stream);
        }
        Ok(catalog)
    }

    /// The number of the shard's last record: its descriptor is not written with each record.
    fn last_of(&self, stream: &Stream, shard: &Shard) -> Result<Option<u128>, KinesisLogError> {
        let range = (
            Bound::Included(record::key(stream.id, shard.index, 0)),
            Bound::Included(record::key(stream.id, shard.index, u128::MAX)),
        );
        match self.records.range(range).next_back() {
            Some(entry) => Ok(Some(record::sequence_of(&entry.key()?))),
            // Everything in it has expired; it must not count as empty from its beginning.
            None => Ok(shard.last),
        }
    }
}

pub(super) fn is_journal(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jnl")
}

fn id_key(prefix: u8, id: u64) -> [u8; 9] {
    let mut key = [prefix; 9];
    key[1..].copy_from_slice(&id.to_be_bytes());
    key
}

fn id_of(key: &[u8]) -> Option<u64> {
    key.get(1..9)?.try_into().ok().map(u64::from_be_bytes)
}

fn shard_key(stream: u64, shard: u32) -> [u8; 13] {
    let mut key = [0; 13];
    key[..9].copy_from_slice(&id_key(SHARD_PREFIX, stream));
    key[9..].copy_from_slice(&shard.to_be_bytes());
    key
}
