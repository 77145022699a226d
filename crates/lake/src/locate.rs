//! Finds rows by their keys without an index, in a table that may hold a key in many rows.
//!
//! The key columns of every live row are read, so that a delete costs as much as the table has keys.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, stream};
use iceberg::table::Table;

use crate::error::Result;
use crate::position_deletes::DeletedRows;
use crate::rebuild::{Deletes, KeyColumns, LiveFiles, Nulls, READERS_MAX, field_ids, read_keys};

/// The live rows of the head of `table` whose key is one of `keys`, file by file. A row without a key is none of them.
pub(crate) async fn locate(table: &Table, key_columns: &[String], keys: &HashSet<u128>) -> Result<Vec<DeletedRows>> {
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return Ok(Vec::new());
    };
    let schema = table.metadata().current_schema();
    let key = field_ids(schema, key_columns)?;
    let LiveFiles { data, deletes } = LiveFiles::load(table, snapshot).await?;
    let deletes = Arc::new(Deletes::load(table, &data, deletes).await?);
    let mut readers = stream::iter(data)
        .map(|file| {
            let columns = KeyColumns { key: key.clone(), schema: Arc::clone(schema), nulls: Nulls::AreValues };
            let keys = read_keys(table.file_io().clone(), file.clone(), columns, Arc::clone(&deletes));
            std::future::ready((file, keys))
        })
        .buffered(READERS_MAX);
    let mut found = Vec::new();
    while let Some((file, mut rows)) = readers.next().await {
        let mut positions = Vec::new();
        while let Some(rows) = rows.recv().await {
            positions.extend(rows?.into_iter().filter(|(hash, _)| keys.contains(hash)).map(|(_, row)| row));
        }
        if !positions.is_empty() {
            let (spec_id, partition) = (file.spec_id, file.data_file.partition().clone());
            found.push(DeletedRows { data_file_path: file.path().to_owned(), spec_id, partition, positions });
        }
    }
    Ok(found)
}
