//! Which buckets there are.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};

use crate::objects::durable;
use crate::objects::error::{ObjectError, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BucketKind {
    /// A bucket of Amazon S3.
    General,
    /// Holds the files of one table of S3 Tables: reached by its name, never listed.
    TableWarehouse,
}

/// What `bucket.json` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub kind: BucketKind,
    pub region: String,
    pub created_ms: i64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// JSON, as it was put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// The buckets of this warehouse, in memory and as one folder each.
#[derive(Debug)]
pub(crate) struct Buckets {
    root: PathBuf,
    known: RwLock<BTreeMap<String, Bucket>>,
}

/// Proof that a bucket exists, and cannot be deleted while this is held.
pub(crate) struct BucketGuard<'a> {
    _known: RwLockReadGuard<'a, BTreeMap<String, Bucket>>,
    pub objects: PathBuf,
}

impl Buckets {
    /// Reads the buckets beneath `root`. A folder without `bucket.json` is the rest of a creation that was cut short.
    pub(crate) fn open(root: PathBuf) -> io::Result<Self> {
        durable::create_directories(&root)?;
        let mut known = BTreeMap::new();
        for entry in std::fs::read_dir(&root)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            match std::fs::read(entry.path().join("bucket.json")) {
                Ok(json) => known.insert(name, serde_json::from_slice(&json)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
        }
        Ok(Self { root, known: RwLock::new(known) })
    }

    pub(crate) fn get(&self, name: &str) -> Option<Bucket> {
        self.read().get(name).cloned()
    }

    pub(crate) fn list(&self, kind: BucketKind) -> Vec<(String, Bucket)> {
        self.read().iter().filter(|(_, bucket)| bucket.kind == kind).map(|(n, b)| (n.clone(), b.clone())).collect()
    }

    /// Keeps the bucket in existence while the guard lives.
    pub(crate) fn hold(&self, name: &str) -> Result<BucketGuard<'_>> {
        let known = self.read();
        if !known.contains_key(name) {
            return Err(ObjectError::NoSuchBucket(name.to_owned()));
        }
        Ok(BucketGuard { _known: known, objects: self.objects(name) })
    }

    pub(crate) fn create(&self, name: &str, bucket: Bucket) -> Result<()> {
        // The name becomes a folder's name: the fronts have checked it against the rules of AWS, this is the last wall.
        let is_safe = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
            && name.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !is_safe {
            return Err(ObjectError::NoSuchBucket(name.to_owned()));
        }
        let mut known = self.write();
        if known.contains_key(name) {
            return Err(ObjectError::BucketExists(name.to_owned()));
        }
        self.write_folder(name, &bucket)?;
        known.insert(name.to_owned(), bucket);
        Ok(())
    }

    /// Changes what is known of a bucket, durably.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Bucket)) -> Result<()> {
        let mut known = self.write();
        let Some(bucket) = known.get_mut(name) else { return Err(ObjectError::NoSuchBucket(name.to_owned())) };
        let mut changed = bucket.clone();
        change(&mut changed);
        self.write_folder(name, &changed)?;
        *bucket = changed;
        Ok(())
    }

    /// Forgets the bucket and moves its folder to `trash`, where `may_go` agrees on its folder of objects.
    pub(crate) fn delete(&self, name: &str, trash: &Path, may_go: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let mut known = self.write();
        if !known.contains_key(name) {
            return Err(ObjectError::NoSuchBucket(name.to_owned()));
        }
        may_go(&self.objects(name))?;
        let folder = self.root.join(name);
        std::fs::rename(&folder, trash)?;
        durable::sync_parent(&folder)?;
        known.remove(name);
        Ok(())
    }

    fn write_folder(&self, name: &str, bucket: &Bucket) -> io::Result<()> {
        let folder = self.root.join(name);
        durable::create_directories(&folder.join("objects"))?;
        let staged = folder.join("bucket.json.staged");
        let _ = std::fs::remove_file(&staged);
        let mut file = durable::create_file(&staged)?;
        io::Write::write_all(&mut file, &serde_json::to_vec(bucket)?)?;
        file.sync_all()?;
        std::fs::rename(&staged, folder.join("bucket.json"))?;
        durable::sync_parent(&staged)
    }

    fn objects(&self, name: &str) -> PathBuf {
        self.root.join(name).join("objects")
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Bucket>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Bucket>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
