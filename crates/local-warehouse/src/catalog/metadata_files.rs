//! Metadata files of tables: written once, never changed, parsed once while they are current.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iceberg::spec::TableMetadata;
use serde_json::value::RawValue;

use crate::catalog::error::{CatalogError, Result};
use crate::catalog::locations;
use crate::objects::{Condition, ObjectError, ObjectFiles, ObjectHeaders};

/// S3 Tables refuses larger ones.
const METADATA_BYTES_MAX: usize = 50 << 20;
const CACHE_BYTES_MAX: usize = 64 << 20;
/// Beyond this we forget them all, and check again.
const CHECKED_COUNT_MAX: usize = 100_000;

/// A metadata file with what it says.
#[derive(Debug)]
pub(crate) struct LoadedMetadata {
    pub location: String,
    pub metadata: Arc<TableMetadata>,
    /// The file's text, as it goes into answers.
    pub json: Box<RawValue>,
}

#[derive(Debug)]
pub(crate) struct MetadataFiles {
    files: Arc<ObjectFiles>,
    cache: Mutex<Cache>,
    /// Manifests whose paths were checked. They never change, and most of a snapshot's are its parent's.
    checked: Mutex<HashSet<String>>,
}

#[derive(Debug, Default)]
struct Cache {
    by_location: HashMap<String, Arc<LoadedMetadata>>,
    /// Oldest first; may name what was forgotten already.
    order: VecDeque<String>,
    bytes: usize,
}

impl MetadataFiles {
    pub(crate) fn new(files: Arc<ObjectFiles>) -> Self {
        Self { files, cache: Mutex::default(), checked: Mutex::default() }
    }

    /// Reads a metadata file. `Invalid` where it is none.
    pub(crate) fn load(&self, location: &str) -> Result<Arc<LoadedMetadata>> {
        if let Some(loaded) = self.cache().by_location.get(location) {
            return Ok(loaded.clone());
        }
        let json = self.read_text(location)?;
        let metadata = serde_json::from_str(&json)
            .map_err(|error| CatalogError::invalid(format!("{location} is not valid Iceberg metadata: {error}")))?;
        let json = RawValue::from_string(json).map_err(CatalogError::failed)?;
        let loaded = LoadedMetadata { location: location.to_owned(), metadata: Arc::new(metadata), json };
        Ok(self.cache().insert(loaded))
    }

    /// Writes a metadata file, durably, and never over another one.
    pub(crate) fn write(&self, location: &str, metadata: TableMetadata) -> Result<Arc<LoadedMetadata>> {
        let json = serde_json::to_string(&metadata).map_err(CatalogError::failed)?;
        if json.len() > METADATA_BYTES_MAX {
            return Err(CatalogError::invalid(format!(
                "the table's metadata would have {} bytes, more than the {METADATA_BYTES_MAX} that S3 Tables takes: \
                 expire snapshots, or keep fewer properties",
                json.len()
            )));
        }
        let (bucket, key) = locations::split(location)?;
        let headers = ObjectHeaders { content_type: Some("application/json".into()), ..ObjectHeaders::default() };
        self.files.put(bucket, key, json.as_bytes(), headers, &Condition::Absent)?;
        let json = RawValue::from_string(json).map_err(CatalogError::failed)?;
        let loaded = LoadedMetadata { location: location.to_owned(), metadata: Arc::new(metadata), json };
        Ok(self.cache().insert(loaded))
    }

    /// Deletes files that no table names any longer.
    pub(crate) fn delete(&self, location: &str) -> Result<()> {
        self.forget(location);
        let (bucket, key) = locations::split(location)?;
        Ok(self.files.delete(bucket, &[key.to_owned()])?)
    }

    /// Takes a file that is not current any more out of memory.
    pub(crate) fn forget(&self, location: &str) {
        self.cache().remove(location);
    }

    pub(crate) fn is_checked(&self, manifest: &str) -> bool {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).contains(manifest)
    }

    pub(crate) fn remember_checked(&self, manifest: &str) {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked.len() >= CHECKED_COUNT_MAX {
            checked.clear();
        }
        checked.insert(manifest.to_owned());
    }

    fn read_text(&self, location: &str) -> Result<String> {
        let (bucket, key) = locations::split(location)?;
        let object = match self.files.open_object(bucket, key) {
            Err(ObjectError::NoSuchKey(_)) => {
                return Err(CatalogError::invalid(format!("there is no object at {location}")));
            }
            object => object?,
        };
        let bytes = object.read_all().map_err(CatalogError::failed)?;
        let mut text = String::new();
        let read = if location.ends_with(".gz.metadata.json") || location.ends_with(".metadata.json.gz") {
            let limit = METADATA_BYTES_MAX as u64 + 1;
            flate2::read::GzDecoder::new(bytes.as_slice()).take(limit).read_to_string(&mut text)
        } else {
            bytes.as_slice().read_to_string(&mut text)
        };
        read.map_err(|error| CatalogError::invalid(format!("{location} is not readable: {error}")))?;
        if text.len() > METADATA_BYTES_MAX {
            return Err(CatalogError::invalid(format!("{location} has more than {METADATA_BYTES_MAX} bytes")));
        }
        Ok(text)
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn insert(&mut self, loaded: LoadedMetadata) -> Arc<LoadedMetadata> {
        let loaded = Arc::new(loaded);
        self.remove(&loaded.location);
        self.bytes += loaded.json.get().len();
        self.order.push_back(loaded.location.clone());
        self.by_location.insert(loaded.location.clone(), loaded.clone());
        while self.bytes > CACHE_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.remove(&oldest);
        }
        loaded
    }

    fn remove(&mut self, location: &str) {
        if let Some(loaded) = self.by_location.remove(location) {
            self.bytes -= loaded.json.get().len();
            self.order.retain(|known| known != location);
        }
    }
}
