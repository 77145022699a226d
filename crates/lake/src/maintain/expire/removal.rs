//! Deletes what expired snapshots left behind.

use iceberg::TableIdent;
use tracing::{info, warn};

use crate::catalog::Catalog;
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::expire::{Expired, FreedFile};
use crate::maintain::file_key::{FileKey, is_below};
use crate::maintain::inventory::Inventory;
use crate::maintain::metadata_log;
use crate::maintain::reachable::{needed, refuse_shared_files};
use crate::maintain::removal::delete;
use crate::scan::{Location, ScanCache};

/// What became of freed files.
#[derive(Debug, Default)]
pub struct Removed {
    pub files: usize,
    pub bytes: u64,
    /// Files that the table needs again, or that `readers` are still reading. The sweep finds them later.
    pub kept: Vec<FreedFile>,
}

/// Deletes the freed files, unless the table as it is now names them or a reader holds on to them, and the metadata files
/// of the time when the table stood at an expired snapshot. To be called a grace
/// time after the expiry, longer than a query takes: readers of other processes are not known here. After an error it
/// may be called again; files that are gone already are no error.
pub async fn remove(
    catalog: &Catalog,
    table: &TableIdent,
    expired: &Expired,
    readers: &ScanCache,
    inventory: &mut Inventory,
) -> Result<Removed> {
    let Some(table_uuid) = expired.table_uuid else { return Ok(Removed::default()) };
    let now = catalog.load_table(table).await?;
    if now.metadata().uuid() != table_uuid {
        let message = format!("delete files of {table}, which was replaced by another table");
        return Err(Error::new(ErrorKind::Refused, message));
    }
    refuse_shared_files(&now)?;
    let needed = needed(&now, readers, inventory).await?;

    let mut removed = Removed::default();
    let folder = now.metadata().location();
    let mut kinds: Vec<Vec<_>> = Vec::new();
    for same_kind in expired.freed.chunk_by(|one, other| one.kind == other.kind) {
        let mut paths = Vec::with_capacity(same_kind.len());
        for file in same_kind {
            if needed.contains(&FileKey::of(&file.location)?) {
                removed.kept.push(file.clone());
            } else if !is_below(&file.location, folder)? {
                warn!(table = %table, location = file.location, "left a file outside of the table's location");
            } else {
                paths.push(Location::parse(&file.location)?.path);
                removed.bytes += file.bytes;
            }
        }
        removed.files += paths.len();
        kinds.push(paths);
    }
    let store = catalog.store_for(folder)?;
    for paths in kinds {
        delete(&store, paths).await?;
    }
    removed.files += metadata_log::remove_unreadable(catalog, &now, expired.before_ms).await?;
    info!(table = %table, files = removed.files, bytes = removed.bytes, kept = removed.kept.len(), "removed files");
    Ok(removed)
}
