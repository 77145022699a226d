//! Which files a table names.

use std::collections::HashSet;

use iceberg::spec::{SnapshotRef, TableMetadata};
use iceberg::table::Table;

use crate::commit::{checkpoint_file, witnessed_checkpoint_file};
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::file_key::FileKey;
use crate::maintain::inventory::Inventory;
use crate::scan::ScanCache;

/// Every file that the table names, and those of snapshots that a reader of this process holds on to.
pub(crate) async fn needed(table: &Table, readers: &ScanCache, inventory: &mut Inventory) -> Result<HashSet<FileKey>> {
    let pinned = readers.pins.of(table.metadata().uuid());
    reachable(table, &HashSet::new(), pinned, inventory).await
}

/// Every file that the table would name without the snapshots `leaving`, and with those that are `pinned`.
pub(crate) async fn reachable(
    table: &Table,
    leaving: &HashSet<i64>,
    pinned: Vec<SnapshotRef>,
    inventory: &mut Inventory,
) -> Result<HashSet<FileKey>> {
    let metadata = table.metadata();
    let staying = metadata.snapshots().filter(|snapshot| !leaving.contains(&snapshot.snapshot_id()));
    let snapshots: Vec<SnapshotRef> = staying.cloned().chain(pinned).collect();
    let mut files = inventory.files_of(table, &snapshots).await?;
    for path in named_by_metadata(table, leaving)?.iter().chain(&checkpoint_files(metadata, &snapshots)?) {
        files.insert(FileKey::of(path)?);
    }
    Ok(files)
}

/// The metadata files themselves, and statistics.
fn named_by_metadata(table: &Table, leaving: &HashSet<i64>) -> Result<Vec<String>> {
    let metadata = table.metadata();
    let mut paths = metadata_files(table)?;
    let statistics = metadata.statistics_iter().map(|file| (file.snapshot_id, &file.statistics_path));
    let of_partitions = metadata.partition_statistics_iter().map(|file| (file.snapshot_id, &file.statistics_path));
    let staying = statistics.chain(of_partitions).filter(|(snapshot_id, _)| !leaving.contains(snapshot_id));
    paths.extend(staying.map(|(_, path)| path.clone()));
    Ok(paths)
}

/// The table's current metadata file, then those of its log.
pub(crate) fn metadata_files(table: &Table) -> Result<Vec<String>> {
    let Some(current) = table.metadata_location() else {
        let message = format!("find the metadata file of {}, which its catalog does not tell", table.identifier());
        return Err(Error::new(ErrorKind::Refused, message));
    };
    let log = table.metadata().metadata_log().iter().map(|entry| entry.metadata_file.clone());
    Ok(std::iter::once(current.to_owned()).chain(log).collect())
}

fn checkpoint_files(metadata: &TableMetadata, snapshots: &[SnapshotRef]) -> Result<Vec<String>> {
    let stamped = snapshots.iter().filter_map(|snapshot| checkpoint_file(snapshot));
    Ok(stamped.map(str::to_owned).chain(witnessed_checkpoint_file(metadata)?).collect())
}

/// Stops where the table's owner asked that no file of it be deleted: others may share them.
pub(crate) fn refuse_shared_files(table: &Table) -> Result<()> {
    if table.metadata().properties().get("gc.enabled").is_some_and(|value| value.eq_ignore_ascii_case("false")) {
        let message = format!("delete files of {}, whose property gc.enabled is false", table.identifier());
        return Err(Error::new(ErrorKind::Refused, message));
    }
    Ok(())
}
