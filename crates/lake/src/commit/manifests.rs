//! Which manifests a snapshot takes over from its parent.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{Manifest, ManifestContentType, ManifestEntry, ManifestFile, SnapshotSummaryCollector};

use crate::commit::row_delta::Replaced;
use crate::commit::snapshot_files::{Entry, SnapshotFiles};
use crate::error::{Error, ErrorKind, Result};

/// A commit adds one or two manifests of a few entries, and every reader opens all of them. So many small ones of a
/// kind are merged into one; each entry is rewritten a few times in its life.
const SMALL_MANIFESTS_MAX: usize = 64;
/// A manifest with as many entries is left alone.
const SMALL_ENTRIES_MAX: u32 = 1_000;
/// Manifests read at a time.
const READS_MAX: usize = 16;

/// The parent's manifests, those that list only removed files left out, small ones merged when they are many. Files
/// that are `replaced` are marked as removed and told to the `summary`.
pub(crate) async fn carry_over(
    files: &mut SnapshotFiles<'_>,
    replaced: Option<&Replaced>,
    summary: &mut SnapshotSummaryCollector,
) -> Result<Vec<ManifestFile>> {
    let head = files.head;
    let Some(parent) = head.metadata().current_snapshot() else {
        return Ok(Vec::new());
    };
    let list = head.manifest_list_reader(parent).load().await;
    let list = list.map_err(|error| Error::from_iceberg(format!("read {}", parent.manifest_list()), error))?;

    let mut carried = Vec::new();
    let mut removed_count = 0;
    let mut small: BTreeMap<(bool, i32), Vec<ManifestFile>> = BTreeMap::new();
    for manifest in list.consume_entries().into_iter().collect::<Vec<_>>() {
        let is_empty = !manifest.has_added_files() && !manifest.has_existing_files();
        let touched = replaced.and_then(|replaced| Some((replaced, replaced.manifests.get(&manifest.manifest_path)?)));
        if let Some((replaced, loaded)) = touched {
            let (rewritten, removed) = remove(files, &manifest, loaded, replaced, summary).await?;
            carried.push(rewritten);
            removed_count += removed;
            continue;
        }
        match entry_count(&manifest) {
            _ if is_empty => {}
            Some(count) if count < SMALL_ENTRIES_MAX => {
                let is_deletes = manifest.content == ManifestContentType::Deletes;
                small.entry((is_deletes, manifest.partition_spec_id)).or_default().push(manifest);
            }
            _ => carried.push(manifest),
        }
    }
    if replaced.is_some_and(|replaced| replaced.paths.len() != removed_count) {
        return Err(Error::new(ErrorKind::Unexpected, "replace files, one of which no manifest lists"));
    }
    for manifests in small.into_values() {
        if manifests.len() < SMALL_MANIFESTS_MAX {
            carried.extend(manifests);
        } else {
            carried.push(merge(files, manifests).await?);
        }
    }
    Ok(carried)
}

/// The entries of a manifest; `None` where its list does not say.
fn entry_count(manifest: &ManifestFile) -> Option<u32> {
    let counts = [manifest.added_files_count, manifest.existing_files_count, manifest.deleted_files_count];
    counts.into_iter().sum()
}

/// Writes the live entries of manifests of one kind and partition spec to one.
async fn merge(files: &mut SnapshotFiles<'_>, manifests: Vec<ManifestFile>) -> Result<ManifestFile> {
    let (content, spec_id) = (manifests[0].content, manifests[0].partition_spec_id);
    let file_io = files.head.file_io();
    let loading = manifests.into_iter().map(|manifest| async move {
        let loaded = manifest.load_manifest(file_io).await;
        loaded.map_err(|error| Error::from_iceberg(format!("read manifest {}", manifest.manifest_path), error))
    });
    let loaded: Vec<Manifest> = stream::iter(loading).buffered(READS_MAX).try_collect().await?;

    let live = loaded.iter().flat_map(Manifest::entries).filter(|entry| entry.is_alive());
    let entries = live.map(|entry| existing(entry)).collect::<Result<_>>()?;
    files.write_manifest(spec_id, content, entries).await
}

/// Writes a manifest anew with the `replaced` files marked as removed, and tells how many they are.
async fn remove(
    files: &mut SnapshotFiles<'_>,
    manifest: &ManifestFile,
    loaded: &Manifest,
    replaced: &Replaced,
    summary: &mut SnapshotSummaryCollector,
) -> Result<(ManifestFile, usize)> {
    let spec = files.spec(manifest.partition_spec_id)?;
    let schema = files.head.metadata().current_schema();
    let mut removed_count = 0;
    let mut entries = Vec::with_capacity(loaded.entries().len());
    for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
        if !replaced.paths.contains(entry.file_path()) {
            entries.push(existing(entry)?);
            continue;
        }
        removed_count += 1;
        summary.remove_file(entry.data_file(), schema.clone(), spec.clone());
        entries.push(Entry::Removed {
            file: entry.data_file().clone(),
            sequence_number: entry.sequence_number().ok_or_else(|| without_number(entry))?,
            file_sequence_number: entry.file_sequence_number,
        });
    }
    let rewritten = files.write_manifest(manifest.partition_spec_id, manifest.content, entries).await?;
    Ok((rewritten, removed_count))
}

fn existing(entry: &ManifestEntry) -> Result<Entry> {
    Ok(Entry::Existing {
        file: entry.data_file().clone(),
        snapshot_id: entry.snapshot_id().ok_or_else(|| without_number(entry))?,
        sequence_number: entry.sequence_number().ok_or_else(|| without_number(entry))?,
        file_sequence_number: entry.file_sequence_number,
    })
}

fn without_number(entry: &ManifestEntry) -> Error {
    Error::new(ErrorKind::Unexpected, format!("read the sequence number of {}", entry.file_path()))
}
