//! Which manifests a snapshot takes over from its parent.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::spec::{Manifest, ManifestContentType, ManifestFile};

use crate::commit::snapshot_files::{Entry, SnapshotFiles};
use crate::error::{Error, ErrorKind, Result};

/// A commit adds one or two manifests of a few entries, and every reader opens all of them. So many small ones of a
/// kind are merged into one; each entry is rewritten a few times in its life.
const SMALL_MANIFESTS_MAX: usize = 64;
/// A manifest with as many entries is left alone.
const SMALL_ENTRIES_MAX: u32 = 1_000;
/// Manifests read at a time.
const READS_MAX: usize = 16;

/// The parent's manifests, those that list only removed files left out, small ones merged when they are many.
pub(crate) async fn carry_over(files: &mut SnapshotFiles<'_>) -> Result<Vec<ManifestFile>> {
    let head = files.head;
    let Some(parent) = head.metadata().current_snapshot() else {
        return Ok(Vec::new());
    };
    let list = head.manifest_list_reader(parent).load().await;
    let list = list.map_err(|error| Error::from_iceberg(format!("read {}", parent.manifest_list()), error))?;

    let mut carried = Vec::new();
    let mut small: BTreeMap<(bool, i32), Vec<ManifestFile>> = BTreeMap::new();
    for manifest in list.consume_entries() {
        let is_empty = !manifest.has_added_files() && !manifest.has_existing_files();
        match entry_count(&manifest) {
            _ if is_empty => {}
            Some(count) if count < SMALL_ENTRIES_MAX => {
                let is_deletes = manifest.content == ManifestContentType::Deletes;
                small.entry((is_deletes, manifest.partition_spec_id)).or_default().push(manifest);
            }
            _ => carried.push(manifest),
        }
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

    let mut entries = Vec::new();
    for entry in loaded.iter().flat_map(Manifest::entries).filter(|entry| entry.is_alive()) {
        let (Some(snapshot_id), Some(sequence_number)) = (entry.snapshot_id(), entry.sequence_number()) else {
            let message = format!("read the sequence number of {}", entry.file_path());
            return Err(Error::new(ErrorKind::Unexpected, message));
        };
        entries.push(Entry::Existing {
            file: entry.data_file().clone(),
            snapshot_id,
            sequence_number,
            file_sequence_number: entry.file_sequence_number,
        });
    }
    files.write_manifest(spec_id, content, entries).await
}
