//! Fills the key index from the table, reading nothing but its key columns.
//!
//! `live_files` lists what the head holds, `deletes` knows which rows of it are gone, `key_reader` reads the keys of the
//! rest. The table may have been written by anybody: all kinds of deletes that format v2 knows are applied.

mod deletes;
mod key_reader;
mod live_files;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::{StreamExt, stream};
use iceberg::spec::Schema;
use iceberg::table::Table;

use crate::error::{Error, ErrorKind, Result};
use crate::key_index::{IndexedFile, KeyIndex, RowPlace};
use crate::rebuild::deletes::Deletes;
use crate::rebuild::key_reader::{KeyColumns, read_keys};
use crate::rebuild::live_files::LiveFiles;

/// The marker of an index that mirrors a table without a snapshot.
pub(crate) const NO_SNAPSHOT: i64 = -1;

/// Data files read at one time.
const READERS_MAX: usize = 2;

/// Makes `index` mirror the head of `table`, whatever it held before. `Refused` where the table holds something that
/// keys cannot be read from. Where it fails the index is left dirty.
pub(crate) async fn rebuild(table: &Table, key_columns: &[String], index: &mut KeyIndex) -> Result<()> {
    index.clear()?;
    let metadata = table.metadata();
    let Some(snapshot) = metadata.current_snapshot() else {
        return index.seal(NO_SNAPSHOT);
    };
    let key_ids = field_ids(metadata.current_schema(), key_columns)?;
    let LiveFiles { mut data, deletes } = LiveFiles::load(table, snapshot).await?;
    let deletes = Arc::new(Deletes::load(table, &data, deletes).await?);

    // Where a foreign writer made a key twice, the row that was written last stays findable.
    data.sort_by(|a, b| (a.sequence_number, a.path()).cmp(&(b.sequence_number, b.path())));
    let mut readers = stream::iter(data)
        .map(|file| {
            let columns = KeyColumns { key: key_ids.clone(), schema: Arc::clone(metadata.current_schema()) };
            let keys = read_keys(table.file_io().clone(), file.clone(), columns, Arc::clone(&deletes));
            std::future::ready((file, keys))
        })
        .buffered(READERS_MAX);
    let mut duplicate_count = 0;
    while let Some((file, mut keys)) = readers.next().await {
        let indexed = IndexedFile {
            path: file.path().to_owned(),
            spec_id: file.spec_id,
            partition: file.data_file.partition().clone(),
        };
        let id = index.add_files(vec![indexed])?[0];
        while let Some(rows) = keys.recv().await {
            let placed = rows?.into_iter().map(|(hash, row)| (hash, RowPlace { file: id, row }));
            duplicate_count += index.put(&placed.collect::<Vec<_>>())?;
        }
    }
    if duplicate_count > 0 {
        tracing::warn!(duplicate_count, "the table holds keys more than once: an upsert replaces the newest row only");
    }
    index.seal(snapshot.snapshot_id())
}

fn field_ids(schema: &Schema, columns: &[String]) -> Result<Vec<i32>> {
    let id = |name: &String| {
        let field = schema.as_struct().field_by_name(name).filter(|field| field.field_type.is_primitive());
        field
            .map(|field| field.id)
            .ok_or_else(|| Error::new(ErrorKind::Refused, format!("index key column {name}: the table has none")))
    };
    columns.iter().map(id).collect()
}
