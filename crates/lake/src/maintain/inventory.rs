//! What the manifests of a table hold.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{Manifest, SnapshotRef};
use iceberg::table::Table;

use crate::error::{Error, Result};
use crate::maintain::file_key::FileKey;

/// Manifest lists or manifests read at one time.
const READS_MAX: usize = 8;

/// The contents of manifest lists and manifests, by location. They never change, so one that was read once is not read
/// again: keep an inventory per table from job to job. It holds no more than the table's last known snapshots need.
#[derive(Default)]
pub struct Inventory {
    lists: HashMap<String, Vec<Arc<str>>>,
    /// The live files of each manifest, 16 bytes a file.
    manifests: HashMap<Arc<str>, Vec<FileKey>>,
}

impl Inventory {
    /// Every file that the snapshots need: manifest lists, manifests, data files, delete files.
    pub(crate) async fn files_of(&mut self, table: &Table, snapshots: &[SnapshotRef]) -> Result<HashSet<FileKey>> {
        self.read(table, snapshots).await?;
        let mut files = HashSet::new();
        for snapshot in snapshots {
            files.insert(FileKey::of(snapshot.manifest_list())?);
            for manifest in &self.lists[snapshot.manifest_list()] {
                // A manifest that was seen in another snapshot has nothing new.
                if files.insert(FileKey::of(manifest)?) {
                    files.extend(&self.manifests[manifest]);
                }
            }
        }
        Ok(files)
    }

    /// Reads what is not known yet, and forgets what belongs to none of `snapshots`.
    async fn read(&mut self, table: &Table, snapshots: &[SnapshotRef]) -> Result<()> {
        let wanted: HashSet<&str> = snapshots.iter().map(|snapshot| snapshot.manifest_list()).collect();
        self.lists.retain(|list, _| wanted.contains(list.as_str()));
        let unknown = snapshots.iter().filter(|snapshot| !self.lists.contains_key(snapshot.manifest_list()));
        let mut reads = Vec::new();
        for snapshot in unknown {
            reads.push(async move { Ok::<_, Error>((snapshot, manifest_paths(table, snapshot).await?)) });
        }
        let read: Vec<(&SnapshotRef, Vec<String>)> =
            stream::iter(reads).buffer_unordered(READS_MAX).try_collect().await?;
        let known: HashMap<Arc<str>, Arc<str>> =
            self.manifests.keys().map(|path| (path.clone(), path.clone())).collect();
        for (snapshot, paths) in read {
            let paths = paths.into_iter().map(|path| known.get(path.as_str()).cloned().unwrap_or_else(|| path.into()));
            self.lists.insert(snapshot.manifest_list().to_owned(), paths.collect());
        }

        let mut unknown: HashMap<Arc<str>, i64> = HashMap::new();
        for snapshot in snapshots {
            for path in &self.lists[snapshot.manifest_list()] {
                if !self.manifests.contains_key(path) {
                    unknown.entry(path.clone()).or_insert(snapshot.snapshot_id());
                }
            }
        }
        let mut reads = Vec::with_capacity(unknown.len());
        for (path, snapshot_id) in unknown {
            reads.push(async move {
                let manifest = read_manifest(table, &path, snapshot_id).await?;
                let live = manifest.entries().iter().filter(|entry| entry.is_alive());
                let files: Result<Vec<FileKey>> = live.map(|entry| FileKey::of(entry.file_path())).collect();
                Ok::<_, Error>((path, files?))
            });
        }
        let mut reads = stream::iter(reads).buffer_unordered(READS_MAX);
        while let Some(read) = reads.next().await {
            let (path, files) = read?;
            self.manifests.insert(path, files);
        }
        let wanted: HashSet<&Arc<str>> = self.lists.values().flatten().collect();
        self.manifests.retain(|path, _| wanted.contains(path));
        Ok(())
    }
}

/// The manifests that a snapshot lists.
pub(crate) async fn manifest_paths(table: &Table, snapshot: &SnapshotRef) -> Result<Vec<String>> {
    let list = table.manifest_list_reader(snapshot).load().await;
    let list =
        list.map_err(|error| unreadable("manifest list", snapshot.manifest_list(), snapshot.snapshot_id(), error));
    Ok(list?.consume_entries().into_iter().map(|manifest| manifest.manifest_path).collect())
}

pub(crate) async fn read_manifest(table: &Table, path: &str, snapshot_id: i64) -> Result<Manifest> {
    let failed = |error| unreadable("manifest", path, snapshot_id, error);
    let bytes = table.file_io().new_input(path).map_err(failed)?.read().await.map_err(failed)?;
    Manifest::parse_avro(&bytes).map_err(failed)
}

fn unreadable(what: &str, path: &str, snapshot_id: i64, error: iceberg::Error) -> Error {
    Error::from_iceberg(format!("read {what} {path} of snapshot {snapshot_id}"), error)
}
