//! Makes sure that a folder is one table's alone: to a sweep, files of another table there are named by nothing.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use iceberg::TableIdent;
use iceberg::table::Table;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::catalog::Catalog;
use crate::error::{Error, ErrorKind, Result};
use crate::maintain::file_key::{FileKey, is_below};
use crate::maintain::reachable::metadata_files;
use crate::maintain::removal::failed;
use crate::storage::Place;

/// Tables loaded at one time.
const LOADS_MAX: usize = 8;

/// Asks the catalog for all of its tables: `Refused` where one of them shares files with this one's folder.
pub(crate) async fn refuse_neighbours(catalog: &Catalog, table: &Table) -> Result<()> {
    let mut others: Vec<TableIdent> = Vec::new();
    for namespace in catalog.list_namespaces().await? {
        others.extend(catalog.list_tables(&namespace).await?);
    }
    others.retain(|other| other != table.identifier());
    let mut loads = Vec::with_capacity(others.len());
    for other in others {
        loads.push(async move {
            match catalog.load_table(&other).await {
                Ok(loaded) => Ok(Some((other, loaded.metadata().location().to_owned()))),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        });
    }
    let mut locations = stream::iter(loads).buffer_unordered(LOADS_MAX);
    let ours = table.metadata().location();
    while let Some(found) = locations.try_next().await? {
        let Some((other, location)) = found else { continue };
        // What lies where we cannot reach is not in our folder either.
        if Place::parse(&location).is_ok() && overlap(ours, &location)? {
            return Err(refused(table, &format!("table {other} at {location}")));
        }
    }
    Ok(())
}

/// Looks for metadata files that are not this table's: those of other catalogs' tables are found by nothing else.
pub(crate) async fn refuse_tables_below(store: &Arc<dyn ObjectStore>, folder: &Path, table: &Table) -> Result<()> {
    let bucket = Place::parse(table.metadata().location())?.root();
    let mut own_folders = HashSet::from([FileKey::of(&format!("{}metadata", prefix(table)?))?]);
    for file in metadata_files(table)? {
        own_folders.insert(FileKey::of(folder_of(&file))?);
    }
    let mut listed = store.list(Some(folder));
    let failed = |error| failed(format!("list the files of {}", table.identifier()), error);
    while let Some(file) = listed.try_next().await.map_err(failed)? {
        let location = format!("{bucket}{}", file.location);
        if is_metadata_file(&location) && !own_folders.contains(&FileKey::of(folder_of(&location))?) {
            return Err(refused(table, &format!("another table, as {location} tells")));
        }
    }
    Ok(())
}

/// A table's metadata has such a name wherever it comes from; with `gz` in it where it is compressed.
pub(crate) fn is_metadata_file(location: &str) -> bool {
    location.ends_with(".metadata.json") || location.ends_with(".metadata.json.gz")
}

fn overlap(one: &str, other: &str) -> Result<bool> {
    Ok(FileKey::of(one)? == FileKey::of(other)? || is_below(one, other)? || is_below(other, one)?)
}

fn prefix(table: &Table) -> Result<String> {
    Ok(Place::parse(table.metadata().location())?.prefix())
}

fn folder_of(location: &str) -> &str {
    location.rsplit_once('/').map_or(location, |(folder, _)| folder)
}

fn refused(table: &Table, neighbour: &str) -> Error {
    let location = table.metadata().location();
    let message = format!("sweep {} at {location}, which holds {neighbour}", table.identifier());
    Error::new(ErrorKind::Refused, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_overlap_where_one_lies_in_the_other() {
        let check = |one: &str, other: &str, expected: bool| {
            assert_eq!(overlap(one, other).unwrap(), expected, "{one} {other}");
            assert_eq!(overlap(other, one).unwrap(), expected, "{other} {one}");
        };
        check("s3://b/t", "s3://b/t/", true);
        check("s3://b/t", "s3a://b/t/u", true);
        check("s3://b", "s3://b/t", true);
        check("s3://b/t", "s3://b/t2", false);
        check("s3://b/t", "s3://c/t", false);
    }
}
