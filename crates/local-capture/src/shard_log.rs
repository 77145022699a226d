//! A durable append log of shards: what DynamoDB Streams serves.
//!
//! [`stream`] holds streams and shards as values; [`catalog`] is what readers see of them and how one atomic edit is
//! made; this file stores both beside the records. A record is visible only once it is synced to disk.

pub(crate) mod catalog;
pub(crate) mod stream;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};

use catalog::{Catalog, Edit};
use stream::{SEQUENCE_NUMBER_MIN, Shard, Stream};

const DRAINED: &[u8] = b"drained";
const STREAM_PREFIX: u8 = b's';
const SHARD_PREFIX: u8 = b'h';
/// Milliseconds of arrival, in front of each record's JSON.
const ARRIVAL_BYTES: usize = 8;

pub(crate) struct ShardLog {
    folder: PathBuf,
    /// Nothing while the store cannot be opened again after a failed write.
    store: RwLock<Option<Store>>,
    catalog: RwLock<Arc<Catalog>>,
}

struct Store {
    database: Database,
    /// `stream u64 | shard u32 | sequence u128`, big-endian → arrival + JSON.
    records: Keyspace,
    /// Descriptors, and how far the outbox is drained.
    meta: Keyspace,
}

/// Some records of a shard, their JSON joined by commas.
pub(crate) struct Page {
    pub json: Vec<u8>,
    pub count: usize,
    /// The number that the next page starts at.
    pub next: u128,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error(transparent)]
    Store(#[from] fjall::Error),
    #[error("the shard log is closed after a failed write")]
    Closed,
    #[error("decode a descriptor of the shard log")]
    Descriptor(#[from] serde_json::Error),
}

impl ShardLog {
    pub(crate) fn open(folder: &Path) -> Result<Self, LogError> {
        let store = Store::open(folder)?;
        let catalog = RwLock::new(Arc::new(read_catalog(&store.meta)?));
        Ok(Self { folder: folder.to_owned(), store: RwLock::new(Some(store)), catalog })
    }

    /// The streams as of the last durable edit.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts an edit on top of the last one. One edit at a time: the caller holds the region's writer.
    pub(crate) fn edit(&self) -> Edit {
        Edit::new(&self.catalog())
    }

    /// Makes the edit durable and then visible, or neither.
    pub(crate) fn commit(&self, edit: Edit) -> Result<(), LogError> {
        let outcome = match &*self.store() {
            Some(store) => store.write(&edit),
            None => Err(LogError::Closed),
        };
        if let Err(error) = outcome {
            // A full disk may be the cause. Whether the batch landed is known only after recovery, and the store takes
            // no more writes without it.
            self.recover()?;
            return Err(error);
        }
        self.publish(edit.catalog);
        Ok(())
    }

    /// Opens the store again and takes up what it holds.
    fn recover(&self) -> Result<(), LogError> {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        *store = None;
        let opened = Store::open(&self.folder)?;
        self.publish(read_catalog(&opened.meta)?);
        *store = Some(opened);
        Ok(())
    }

    fn publish(&self, catalog: Catalog) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog);
    }

    fn store(&self) -> RwLockReadGuard<'_, Option<Store>> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records of `shard` from number `from` on, at most `count_max` and about `bytes_max`, but at least one.
    pub(crate) fn read(
        &self,
        stream: u64,
        shard: &Shard,
        from: u128,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Page, LogError> {
        let mut page = Page { json: Vec::new(), count: 0, next: from };
        // What lies beyond the catalog's last number is not known to be synced yet.
        if from >= shard.end() {
            return Ok(page);
        }
        let store = self.store();
        let store = store.as_ref().ok_or(LogError::Closed)?;
        let from = record_key(stream, shard.index, from);
        let until = record_key(stream, shard.index, shard.end());
        for entry in store.records.range((Bound::Included(from), Bound::Excluded(until))) {
            let (key, value) = entry.into_inner()?;
            let json = value.get(ARRIVAL_BYTES..).unwrap_or_default();
            if page.count == count_max || (page.count > 0 && page.json.len() + json.len() > bytes_max) {
                break;
            }
            if page.count > 0 {
                page.json.push(b',');
            }
            page.json.extend_from_slice(json);
            page.count += 1;
            page.next = sequence_of(&key) + 1;
        }
        Ok(page)
    }

    /// The oldest records of a shard, as key, sequence number and arrival, until `each` says to stop.
    pub(crate) fn visit_oldest(
        &self,
        stream: u64,
        shard: &Shard,
        mut each: impl FnMut(&[u8], u128, i64) -> bool,
    ) -> Result<(), LogError> {
        let store = self.store();
        let store = store.as_ref().ok_or(LogError::Closed)?;
        let from = record_key(stream, shard.index, shard.trimmed.map_or(0, |trimmed| trimmed + 1));
        let until = record_key(stream, shard.index, shard.end());
        for entry in store.records.range((Bound::Included(from), Bound::Excluded(until))) {
            let (key, value) = entry.into_inner()?;
            if !each(&key, sequence_of(&key), arrival_of(&value)) {
                break;
            }
        }
        Ok(())
    }
}

impl Store {
    fn open(folder: &Path) -> Result<Self, LogError> {
        let database = Database::builder(folder).worker_threads(1).open()?;
        let records = database.keyspace("records", KeyspaceCreateOptions::default)?;
        let meta = database.keyspace("meta", KeyspaceCreateOptions::default)?;
        Ok(Self { database, records, meta })
    }

    /// Writes everything in one batch and waits until it is on disk.
    fn write(&self, edit: &Edit) -> Result<(), LogError> {
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
            for shard in stream.shards.values() {
                batch.insert(&self.meta, shard_key(*id, shard.index), serde_json::to_vec(shard)?);
            }
        }
        batch.insert(&self.meta, DRAINED, edit.catalog.drained.to_be_bytes());
        batch.commit()?;
        Ok(())
    }
}

fn read_catalog(meta: &Keyspace) -> Result<Catalog, LogError> {
    let mut catalog = Catalog::default();
    if let Some(drained) = meta.get(DRAINED)? {
        catalog.drained = drained.as_ref().try_into().map_or(0, i64::from_be_bytes);
    }
    for entry in meta.prefix([STREAM_PREFIX]) {
        let stream: Stream = serde_json::from_slice(&entry.value()?)?;
        catalog.streams.insert(stream.id, Arc::new(stream));
    }
    for entry in meta.prefix([SHARD_PREFIX]) {
        let (key, value) = entry.into_inner()?;
        let stream = key.get(1..9).and_then(|id| id.try_into().ok()).map_or(0, u64::from_be_bytes);
        let shard: Shard = serde_json::from_slice(&value)?;
        if let Some(stream) = catalog.streams.get_mut(&stream) {
            Arc::make_mut(stream).shards.insert(shard.index, shard);
        }
    }
    Ok(catalog)
}

/// The value of a record that arrived at `arrival_ms`.
fn record_value(arrival_ms: i64, json: &[u8]) -> Slice {
    let mut value = Vec::with_capacity(ARRIVAL_BYTES + json.len());
    value.extend_from_slice(&arrival_ms.to_be_bytes());
    value.extend_from_slice(json);
    Slice::from(value)
}

fn arrival_of(value: &[u8]) -> i64 {
    value.first_chunk().map_or(0, |arrival| i64::from_be_bytes(*arrival))
}

fn record_key(stream: u64, shard: u32, sequence: u128) -> [u8; 28] {
    let mut key = [0; 28];
    key[..8].copy_from_slice(&stream.to_be_bytes());
    key[8..12].copy_from_slice(&shard.to_be_bytes());
    key[12..].copy_from_slice(&sequence.to_be_bytes());
    key
}

fn sequence_of(key: &[u8]) -> u128 {
    key.last_chunk().map_or(SEQUENCE_NUMBER_MIN, |sequence| u128::from_be_bytes(*sequence))
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
