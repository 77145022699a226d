//! Which files a table no longer needs once some of its snapshots have left.

use std::collections::HashSet;

use iceberg::spec::TableMetadata;
use iceberg::table::Table;

use crate::commit::checkpoint_file;
use crate::error::Result;
use crate::maintain::file_key::FileKey;
use crate::maintain::inventory::{Inventory, manifest_paths, read_manifest};
use crate::maintain::reachable::reachable;

/// In the order in which files are deleted: as long as a manifest is there, it tells which data files it freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// Data files and delete files.
    Rows,
    Statistics,
    Checkpoint,
    Manifest,
    ManifestList,
}

/// A file that nothing in the table names any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreedFile {
    pub kind: FileKind,
    pub location: String,
    /// Its size, as far as the table tells: 0 for manifests, their lists and checkpoints.
    pub bytes: u64,
}

/// The files that `table` would need no more without the snapshots `leaving`. Reads every manifest that it rests on.
pub(crate) async fn freed_files(
    table: &Table,
    leaving: &HashSet<i64>,
    inventory: &mut Inventory,
) -> Result<Vec<FreedFile>> {
    let staying = reachable(table, leaving, Vec::new(), inventory).await?;
    let mut freed = Freed { seen: staying, files: Vec::new() };
    for (location, bytes) in statistics(table.metadata(), leaving) {
        freed.add(FileKind::Statistics, location, bytes)?;
    }
    for snapshot_id in leaving {
        let Some(snapshot) = table.metadata().snapshot_by_id(*snapshot_id) else { continue };
        for path in manifest_paths(table, snapshot).await? {
            if !freed.add(FileKind::Manifest, &path, 0)? {
                continue;
            }
            let manifest = read_manifest(table, &path, *snapshot_id).await?;
            for entry in manifest.entries().iter().filter(|entry| entry.is_alive()) {
                freed.add(FileKind::Rows, entry.file_path(), entry.file_size_in_bytes())?;
            }
        }
        freed.add(FileKind::ManifestList, snapshot.manifest_list(), 0)?;
        if let Some(path) = checkpoint_file(snapshot) {
            freed.add(FileKind::Checkpoint, path, 0)?;
        }
    }
    freed.files.sort_by(|one, other| (one.kind, &one.location).cmp(&(other.kind, &other.location)));
    Ok(freed.files)
}

struct Freed {
    /// What stays, and what was found to be free already.
    seen: HashSet<FileKey>,
    files: Vec<FreedFile>,
}

impl Freed {
    /// Adds a file that does not stay; false where it was there before, or stays.
    fn add(&mut self, kind: FileKind, location: &str, bytes: u64) -> Result<bool> {
        let is_free = self.seen.insert(FileKey::of(location)?);
        if is_free {
            self.files.push(FreedFile { kind, location: location.to_owned(), bytes });
        }
        Ok(is_free)
    }
}

/// The statistics files of the snapshots, with their sizes.
fn statistics<'a>(metadata: &'a TableMetadata, leaving: &HashSet<i64>) -> Vec<(&'a str, u64)> {
    let of_table = metadata.statistics_iter();
    let of_table = of_table.map(|file| (file.snapshot_id, file.statistics_path.as_str(), file.file_size_in_bytes));
    let of_partitions = metadata.partition_statistics_iter();
    let of_partitions =
        of_partitions.map(|file| (file.snapshot_id, file.statistics_path.as_str(), file.file_size_in_bytes));
    let of_leaving = of_table.chain(of_partitions).filter(|(snapshot_id, ..)| leaving.contains(snapshot_id));
    of_leaving.map(|(_, location, bytes)| (location, bytes.unsigned_abs())).collect()
}
