//! Old metadata files: how many are kept is `write.metadata.previous-versions-max`, and the catalog cuts the log as it
//! commits. Some delete what they cut off, many do not.

use std::collections::HashSet;

use futures::TryStreamExt;
use iceberg::TableIdent;
use iceberg::spec::{MetadataLog, SnapshotLog, TableMetadata};
use iceberg::table::Table;
use object_store::path::Path;
use tracing::info;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::maintain::file_key::{FileKey, is_below};
use crate::maintain::reachable::{metadata_files, refuse_shared_files};
use crate::maintain::removal::{delete, failed};
use crate::maintain::sweep::is_metadata_file;
use crate::scan::Location;
use crate::storage::Place;

/// A metadata file as the store lists it.
struct Listed {
    key: FileKey,
    path: Path,
    last_modified_ms: i64,
}

/// Deletes the metadata files that fell out of the table's log, if the table asks for that by
/// `write.metadata.delete-after-commit.enabled`; gives their number. Without it they are left to the sweep.
pub async fn trim(catalog: &Catalog, table: &TableIdent) -> Result<usize> {
    let table = catalog.load_table(table).await?;
    if !may_be_deleted(&table) {
        return Ok(0);
    }
    refuse_shared_files(&table)?;
    let log = metadata_files(&table)?;
    let folder = log[0].rsplit_once('/').map_or(log[0].as_str(), |(folder, _)| folder);
    if !is_below(&log[0], table.metadata().location())? {
        return Ok(0);
    }
    let store = catalog.store_for(&log[0])?;
    let keys: HashSet<FileKey> = log.iter().map(|file| FileKey::of(file)).collect::<Result<_>>()?;
    let fallen = fallen_out(list(catalog, &table, folder).await?, &keys);
    let files = fallen.len();
    delete(&store, fallen).await?;
    if files > 0 {
        info!(table = %table.identifier(), files, "removed old metadata");
    }
    Ok(files)
}

fn may_be_deleted(table: &Table) -> bool {
    let asks = table.metadata().properties().get("write.metadata.delete-after-commit.enabled");
    asks.is_some_and(|asks| asks.eq_ignore_ascii_case("true"))
}

/// Deletes the metadata files, written until `until_ms`, of which nothing can be read any more: the snapshot that was the
/// table's head then has left it. After a thousand commits each of them lists a thousand snapshots. The log goes on
/// naming them until they fall out of it. Like [`trim`] for tables that ask for it; gives their number.
pub(crate) async fn remove_unreadable(catalog: &Catalog, table: &Table, until_ms: i64) -> Result<usize> {
    if !may_be_deleted(table) {
        return Ok(0);
    }
    let folder = table.metadata().location();
    let mut paths = Vec::new();
    for file in unreadable(table.metadata(), until_ms) {
        if is_below(file, folder)? {
            paths.push(Location::parse(file)?.path);
        }
    }
    let files = paths.len();
    delete(&catalog.store_for(folder)?, paths).await?;
    Ok(files)
}

/// The log's files in which the table stands at a snapshot that it no longer has. Its history begins with the oldest head
/// that it still has, which is in no metadata file that is older.
fn unreadable(metadata: &TableMetadata, until_ms: i64) -> Vec<&str> {
    let has_snapshot = |entry: &&SnapshotLog| metadata.snapshot_by_id(entry.snapshot_id).is_some();
    let history = metadata.history().iter().rev().take_while(has_snapshot);
    let Some(oldest_ms) = history.map(SnapshotLog::timestamp_ms).min() else { return Vec::new() };
    let is_unreadable = |entry: &&MetadataLog| entry.timestamp_ms < oldest_ms && entry.timestamp_ms <= until_ms;
    metadata.metadata_log().iter().filter(is_unreadable).map(|entry| entry.metadata_file.as_str()).collect()
}

async fn list(catalog: &Catalog, table: &Table, folder: &str) -> Result<Vec<Listed>> {
    let failed = |error| failed(format!("list the metadata files of {}", table.identifier()), error);
    let (bucket, path) = (Place::parse(folder)?.root(), Location::parse(folder)?.path);
    let mut files = Vec::new();
    let mut listed = catalog.store_for(folder)?.list(Some(&path));
    while let Some(file) = listed.try_next().await.map_err(failed)? {
        let location = format!("{bucket}{}", file.location);
        if is_metadata_file(&location) && file.location.parts_count() == path.parts_count() + 1 {
            let last_modified_ms = file.last_modified.timestamp_millis();
            files.push(Listed { key: FileKey::of(&location)?, path: file.location, last_modified_ms });
        }
    }
    Ok(files)
}

/// The files that are not in the log and older than all that are. A younger one may be of a commit that is under way.
fn fallen_out(files: Vec<Listed>, log: &HashSet<FileKey>) -> Vec<Path> {
    let in_log = files.iter().filter(|file| log.contains(&file.key));
    let Some(oldest_ms) = in_log.map(|file| file.last_modified_ms).min() else { return Vec::new() };
    let fallen = files.into_iter().filter(|file| !log.contains(&file.key) && file.last_modified_ms < oldest_ms);
    fallen.map(|file| file.path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, i64)], log: &[&str], expected: &[&str]) {
        let key = |name: &str| FileKey::of(&format!("s3://b/{name}")).unwrap();
        let listed = files.iter().map(|(name, last_modified_ms)| Listed {
            key: key(name),
            path: Path::parse(name).unwrap(),
            last_modified_ms: *last_modified_ms,
        });
        let fallen = fallen_out(listed.collect(), &log.iter().map(|name| key(name)).collect());
        assert_eq!(fallen.iter().map(Path::as_ref).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_older_than_the_log_has_fallen_out_of_it() {
        check(&[("v1", 1), ("v2", 2), ("v3", 3), ("v4", 4)], &["v4", "v3"], &["v1", "v2"]);
    }

    #[test]
    fn a_file_as_young_as_the_log_may_be_of_a_commit_under_way() {
        check(&[("v2", 2), ("v3", 3), ("lost race", 2), ("next", 4)], &["v3", "v2"], &[]);
    }

    #[test]
    fn where_none_of_the_log_is_found_nothing_is_old() {
        check(&[("v1", 1), ("v2", 2)], &["v9"], &[]);
    }
}
