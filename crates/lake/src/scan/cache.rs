//! What a scan reads that never changes, kept from one query to the next.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::execution::cache::DefaultFilesMetadataCache;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use iceberg::spec::{Manifest, ManifestList};

use crate::scan::deletes::{DeleteFile, DeletedByPath};
use crate::scan::pins::Pins;
use crate::scan::small_file::SmallFile;
use crate::scan::small_files::SMALL_FILE_BYTES_MAX;

const MANIFEST_LISTS_MAX: usize = 256;
// An entry with bounds for some twenty columns takes about 8 KB.
const MANIFEST_ENTRIES_MAX: usize = 20_000;
// A deleted row takes four bytes.
const DELETED_ROWS_MAX: usize = 25_000_000;
const FOOTER_BYTES_MAX: usize = 64 << 20;
const SMALL_FILES_BYTES_MAX: usize = 96 << 20;

/// Manifests, deletes, small files and the footers of others by location. All of them are immutable in Iceberg, so nothing
/// in here is ever stale. Share one among all tables that reach the same stores, and with their maintenance: it also knows which
/// snapshots are being read.
pub struct ScanCache {
    pub(super) manifest_lists: Bounded<Arc<ManifestList>>,
    pub(super) manifests: Bounded<Arc<Manifest>>,
    pub(super) deletes: Bounded<Arc<DeleteFile>>,
    /// All deleted rows of a snapshot, by its manifest list and the data file they are in.
    pub(super) deleted_rows: Bounded<Arc<DeletedByPath>>,
    pub(super) small_files: Bounded<Arc<SmallFile>>,
    /// Files up to this size are small.
    pub(super) small_file_bytes_max: u64,
    /// One per store: DataFusion's cache knows a file by its path only.
    footers: Mutex<HashMap<String, Arc<DefaultFilesMetadataCache>>>,
    /// What the tables that share this are reading.
    pub(crate) pins: Arc<Pins>,
}

impl ScanCache {
    pub fn new() -> Self {
        Self::with_small_files_up_to(SMALL_FILE_BYTES_MAX)
    }

    pub(super) fn with_small_files_up_to(small_file_bytes_max: u64) -> Self {
        Self {
            manifest_lists: Bounded::new(MANIFEST_LISTS_MAX),
            manifests: Bounded::new(MANIFEST_ENTRIES_MAX),
            deletes: Bounded::new(DELETED_ROWS_MAX),
            deleted_rows: Bounded::new(DELETED_ROWS_MAX),
            small_files: Bounded::new(SMALL_FILES_BYTES_MAX),
            small_file_bytes_max,
            footers: Mutex::default(),
            pins: Arc::default(),
        }
    }

    pub(super) fn footers(&self, store_url: &str) -> Arc<dyn FileMetadataCache> {
        let mut footers = locked(&self.footers);
        let cache = footers.entry(store_url.to_owned());
        cache.or_insert_with(|| Arc::new(DefaultFilesMetadataCache::new(FOOTER_BYTES_MAX))).clone()
    }
}

impl Default for ScanCache {
    fn default() -> Self {
        Self::new()
    }
}

/// Values by location up to a total weight; the oldest go first.
pub(super) struct Bounded<V> {
    weight_max: usize,
    state: Mutex<State<String, V>>,
}

struct State<K, V> {
    values: HashMap<K, (V, usize)>,
    order: VecDeque<K>,
    weight: usize,
}

impl<V: Clone> Bounded<V> {
    fn new(weight_max: usize) -> Self {
        Self { weight_max, state: Mutex::new(State { values: HashMap::new(), order: VecDeque::new(), weight: 0 }) }
    }

    pub fn get(&self, location: &str) -> Option<V> {
        locked(&self.state).values.get(location).map(|(value, _)| value.clone())
    }

    /// A value heavier than the whole cache is not kept.
    pub fn put(&self, location: &str, value: V, weight: usize) {
        if weight > self.weight_max {
            return;
        }
        locked(&self.state).put(location.to_owned(), value, weight, self.weight_max);
    }
}

impl<K: Eq + Hash + Clone, V> State<K, V> {
    fn put(&mut self, key: K, value: V, weight: usize, weight_max: usize) {
        if self.values.contains_key(&key) {
            return;
        }
        while self.weight + weight > weight_max {
            let Some(oldest) = self.order.pop_front() else { break };
            let (_, freed) = self.values.remove(&oldest).expect("every key in the order has a value");
            self.weight -= freed;
        }
        self.weight += weight;
        self.order.push_back(key.clone());
        self.values.insert(key, (value, weight));
    }
}

/// A thread that panicked while it held the lock cannot have left a half-made entry that matters.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_make_room() {
        let cache = Bounded::new(10);
        for (key, weight) in [("a", 4), ("b", 4), ("c", 4), ("d", 11)] {
            cache.put(key, key.to_owned(), weight);
        }
        let kept: Vec<_> = ["a", "b", "c", "d"].into_iter().filter(|key| cache.get(key).is_some()).collect();
        assert_eq!(kept, ["b", "c"]);
    }
}
