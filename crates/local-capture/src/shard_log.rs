//! A durable append log of shards: what DynamoDB Streams serves.
//!
//! [`stream`] holds streams and shards as values; [`catalog`] is what readers see of them and how one atomic edit is
//! made; [`store`] keeps both beside the records. A record is visible only once it is synced to disk.

pub(crate) mod catalog;
mod store;
pub(crate) mod stream;

use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use catalog::{Catalog, Edit};
use store::{Store, arrival_of, json_of, record_key, sequence_of};
use stream::Shard;

pub(crate) struct ShardLog {
    folder: PathBuf,
    /// Nothing while the store cannot be opened again after a failed write.
    store: RwLock<Option<Store>>,
    catalog: RwLock<Arc<Catalog>>,
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
        let catalog = RwLock::new(Arc::new(store.catalog()?));
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
            Some(store) => store.write(&self.catalog(), &edit),
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
        self.publish(opened.catalog()?);
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
            let json = json_of(&value);
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
