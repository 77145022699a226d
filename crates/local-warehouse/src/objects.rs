//! Objects in buckets, as files that survive a crash: what S3, the in-process store and the tables stand on.
//!
//! Everything here blocks; the fronts call it from blocking threads. `file_name` maps keys to paths, `attributes` is what
//! a file holds behind the object's bytes, `staged` is an object on its way in, `listing` walks keys in order,
//! `multipart` collects parts.

mod attributes;
mod buckets;
mod durable;
mod error;
mod file_name;
mod listing;
mod multipart;
mod staged;

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ambient::Ambient;

pub(crate) use attributes::{Attributes, Checksums, ObjectHeaders};
pub(crate) use buckets::{Bucket, BucketKind, Buckets};
pub(crate) use durable::{create_directories, open_private_file};
pub(crate) use error::{ObjectError, Result};
pub(crate) use listing::{ListedObject, Listing, ListingRequest};
pub(crate) use multipart::{CompletedPart, Part, Upload};
pub(crate) use staged::{SealedObject, StagedObject};

/// S3 takes keys of 1 to 1024 bytes.
pub(crate) const KEY_BYTES_MAX: usize = 1024;
/// A put and the removal of the directory it goes to may meet, over and over in theory.
const PUBLISH_ATTEMPTS_MAX: usize = 16;

/// What must hold for an object to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    /// No object has this key: `If-None-Match: *`.
    Absent,
    /// The object has this ETag: `If-Match`.
    Etag(String),
}

/// All objects of the warehouse.
#[derive(Debug)]
pub(crate) struct ObjectFiles {
    pub(crate) buckets: Buckets,
    staging: PathBuf,
    uploads: PathBuf,
    ambient: Ambient,
    /// One writer per key at a time, so that a condition still holds at the rename.
    locks: [Mutex<()>; 64],
}

impl ObjectFiles {
    /// Opens the objects beneath `root` and sweeps what a crash has left in staging.
    pub(crate) fn open(root: &Path, ambient: Ambient) -> io::Result<Self> {
        let staging = root.join("staging");
        if staging.exists() {
            std::fs::remove_dir_all(&staging)?;
        }
        durable::create_directories(&staging)?;
        let uploads = root.join("uploads");
        durable::create_directories(&uploads)?;
        let buckets = Buckets::open(root.join("buckets"))?;
        Ok(Self { buckets, staging, uploads, ambient, locks: [const { Mutex::new(()) }; 64] })
    }

    pub(crate) fn create_bucket(&self, name: &str, kind: BucketKind, region: &str) -> Result<()> {
        self.create_tagged_bucket(name, kind, region, BTreeMap::new())
    }

    /// The same with tags, in one step.
    pub(crate) fn create_tagged_bucket(
        &self,
        name: &str,
        kind: BucketKind,
        region: &str,
        tags: BTreeMap<String, String>,
    ) -> Result<()> {
        let created_ms = self.ambient.now_ms();
        self.buckets.create(name, Bucket { kind, region: region.to_owned(), created_ms, tags, policy: None })
    }

    /// Deletes a bucket without objects.
    pub(crate) fn delete_empty_bucket(&self, name: &str) -> Result<()> {
        let trash = self.staging_path();
        self.buckets.delete(name, &trash, |objects| match listing::is_empty(objects)? {
            true => Ok(()),
            false => Err(ObjectError::BucketNotEmpty(name.to_owned())),
        })?;
        Ok(std::fs::remove_dir_all(trash)?)
    }

    /// Deletes a bucket with all that it holds.
    pub(crate) fn delete_bucket_and_objects(&self, name: &str) -> Result<()> {
        let trash = self.staging_path();
        self.buckets.delete(name, &trash, |_| Ok(()))?;
        Ok(std::fs::remove_dir_all(trash)?)
    }

    /// Begins a new object.
    pub(crate) fn stage(&self) -> Result<StagedObject> {
        Ok(StagedObject::create(self.staging_path())?)
    }

    /// Attributes of an object that is written now.
    pub(crate) fn attributes(&self, etag: String, headers: ObjectHeaders) -> Attributes {
        Attributes { etag, last_modified_ms: self.ambient.now_ms(), headers, ..Attributes::default() }
    }

    /// An ETag for an object whose MD5 nobody needs: the form of a multipart upload's, which no client takes for an MD5.
    pub(crate) fn opaque_etag(&self) -> String {
        format!("{:032x}-1", self.ambient.random())
    }

    /// Gives the object its key, durably, in place of what had the key before, if `condition` holds.
    pub(crate) fn publish(&self, bucket: &str, key: &str, object: &SealedObject, condition: &Condition) -> Result<()> {
        let held = self.buckets.hold(bucket)?;
        let path = object_path(&held.objects, key)?;
        {
            let _writer = self.lock(&path);
            self.check(&path, key, condition)?;
            rename_into(object, &path)?;
        }
        Ok(durable::sync_parent(&path)?)
    }

    /// Writes a whole object in one go.
    pub(crate) fn put(
        &self,
        bucket: &str,
        key: &str,
        bytes: &[u8],
        headers: ObjectHeaders,
        condition: &Condition,
    ) -> Result<Attributes> {
        let mut staged = self.stage()?;
        staged.write(bytes)?;
        let sealed = staged.seal(self.attributes(self.opaque_etag(), headers))?;
        self.publish(bucket, key, &sealed, condition)?;
        Ok(sealed.attributes.clone())
    }

    /// Opens an object. What is read through the handle does not change, even where the key is overwritten meanwhile.
    pub(crate) fn open_object(&self, bucket: &str, key: &str) -> Result<OpenObject> {
        let held = self.buckets.hold(bucket)?;
        let path = object_path(&held.objects, key)?;
        open(&path).map_err(|error| not_found_is_no_such_key(error, key))
    }

    /// Deletes objects, durably. A key that is not there is no error.
    pub(crate) fn delete(&self, bucket: &str, keys: &[String]) -> Result<()> {
        let held = self.buckets.hold(bucket)?;
        let mut paths = Vec::with_capacity(keys.len());
        for key in keys {
            let path = object_path(&held.objects, key)?;
            let _writer = self.lock(&path);
            match std::fs::remove_file(&path) {
                Ok(()) => paths.push(path),
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // One sync per directory, however many of its files went.
        paths.sort_unstable_by(|a, b| a.parent().cmp(&b.parent()));
        paths.dedup_by(|a, b| a.parent() == b.parent());
        for path in &paths {
            match durable::sync_parent(path) {
                Err(error) if !is_absent(&error) => return Err(error.into()),
                _ => remove_empty_directories(path, &held.objects),
            }
        }
        Ok(())
    }

    pub(crate) fn list(&self, bucket: &str, request: &ListingRequest) -> Result<Listing> {
        let held = self.buckets.hold(bucket)?;
        Ok(listing::list(&held.objects, request)?)
    }

    fn check(&self, path: &Path, key: &str, condition: &Condition) -> Result<()> {
        match condition {
            Condition::Always => Ok(()),
            Condition::Absent if path.exists() => Err(ObjectError::PreconditionFailed),
            Condition::Absent => Ok(()),
            Condition::Etag(etag) => {
                let object = open(path).map_err(|error| not_found_is_no_such_key(error, key))?;
                if object.attributes.etag == *etag { Ok(()) } else { Err(ObjectError::PreconditionFailed) }
            }
        }
    }

    fn staging_path(&self) -> PathBuf {
        self.staging.join(format!("{:032x}", self.ambient.random()))
    }

    fn lock(&self, path: &Path) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(path);
        self.locks[hash as usize % self.locks.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object that is being read.
#[derive(Debug)]
pub(crate) struct OpenObject {
    pub attributes: Attributes,
    file: File,
}

impl OpenObject {
    /// Reads `length` bytes from `offset` on. Both lie within the object.
    pub(crate) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    pub(crate) fn read_all(&self) -> io::Result<Vec<u8>> {
        self.read(0, self.attributes.size as usize)
    }

    /// Appends bytes of this object to another one.
    pub(crate) fn copy_to(&self, target: &mut StagedObject, offset: u64, length: u64) -> io::Result<()> {
        target.append(&self.file, offset, length)
    }
}

fn object_path(root: &Path, key: &str) -> Result<PathBuf> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(ObjectError::InvalidKey);
    }
    Ok(file_name::object_path(root, key))
}

fn open(path: &Path) -> io::Result<OpenObject> {
    let file = File::open(path)?;
    Ok(OpenObject { attributes: attributes::read_attributes(&file)?, file })
}

fn rename_into(object: &SealedObject, path: &Path) -> io::Result<()> {
    for _ in 0..PUBLISH_ATTEMPTS_MAX {
        match object.rename(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = path.parent().expect("an object's path has the bucket's folder above it");
                durable::create_directories(directory)?;
            }
            outcome => return outcome,
        }
    }
    Err(io::Error::other("the object's directory is removed as often as it is made"))
}

/// Removes the directories that the deletion of `path` has left empty.
fn remove_empty_directories(path: &Path, root: &Path) {
    let above = path.ancestors().skip(1).take_while(|directory| *directory != root);
    for directory in above {
        // It fails where something else lies there, which ends the climb.
        if std::fs::remove_dir(directory).is_err() {
            return;
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn not_found_is_no_such_key(error: io::Error, key: &str) -> ObjectError {
    if is_absent(&error) { ObjectError::NoSuchKey(key.to_owned()) } else { error.into() }
}
