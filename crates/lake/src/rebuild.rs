//! Fills the key index from the table, reading nothing but its key columns: all of it, or after a compaction only what
//! was moved.
//!
//! `live_files` lists what the head holds, `deletes` knows which rows of it are gone, `key_reader` reads the keys of the
//! rest. The table may have been written by anybody: all kinds of deletes that format v2 knows are applied.

mod deletes;
mod key_reader;
mod live_files;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, stream};
use iceberg::spec::Schema;
use iceberg::table::Table;

use crate::error::{Error, ErrorKind, Result};
use crate::key_index::{IndexedFile, KeyIndex, RowPlace};
pub(crate) use crate::rebuild::deletes::Deletes;
pub(crate) use crate::rebuild::key_reader::{KeyColumns, Nulls, read_keys};
use crate::rebuild::live_files::LiveFile;
pub(crate) use crate::rebuild::live_files::LiveFiles;

/// The marker of an index that mirrors a table without a snapshot.
pub(crate) const NO_SNAPSHOT: i64 = -1;

/// Data files read at one time.
pub(crate) const READERS_MAX: usize = 2;

/// Makes `index` mirror the head of `table`, whatever it held before. `Refused` where the table holds something that
/// keys cannot be read from. Where it fails the index is left dirty.
pub(crate) async fn rebuild(table: &Table, key_columns: &[String], index: &mut KeyIndex) -> Result<()> {
    index.clear()?;
    let metadata = table.metadata();
    let Some(snapshot) = metadata.current_snapshot() else {
        return index.seal(NO_SNAPSHOT);
    };
    let LiveFiles { data, deletes } = LiveFiles::load(table, snapshot).await?;
    let indexed = index_files(table, key_columns, data, deletes, index).await?;
    if indexed.replaced > 0 {
        let duplicate_count = indexed.replaced;
        tracing::warn!(duplicate_count, "the table holds keys more than once: an upsert replaces the newest row only");
    }
    index.seal(snapshot.snapshot_id())
}

/// Makes `index`, which mirrors an earlier snapshot, mirror the head of `table`, reading only files that the index does
/// not know. That is right where since then files were only replaced by others with the same rows; gives `false` and
/// leaves the index dirty where something else is found.
pub(crate) async fn rebase(table: &Table, key_columns: &[String], index: &mut KeyIndex) -> Result<bool> {
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return Ok(false);
    };
    let LiveFiles { mut data, deletes } = LiveFiles::load(table, snapshot).await?;
    let live: HashSet<String> = data.iter().map(|file| file.path().to_owned()).collect();
    let (kept, gone): (Vec<_>, Vec<_>) =
        index.files().map(|(file, rows)| (file.path.clone(), rows)).partition(|(path, _)| live.contains(path));
    let kept: HashSet<String> = kept.into_iter().map(|(path, _)| path).collect();
    let moved: u64 = gone.into_iter().map(|(_, rows)| rows).sum();
    data.retain(|file| !kept.contains(file.path()));

    let indexed = index_files(table, key_columns, data, deletes, index).await?;
    let has_rows_in_dead_files = index.files().any(|(file, rows)| rows > 0 && !live.contains(&file.path));
    // Each row that was in a removed file must be in a new one, and no others.
    if indexed.rows != moved || indexed.replaced != moved || has_rows_in_dead_files {
        return Ok(false);
    }
    index.seal(snapshot.snapshot_id())?;
    Ok(true)
}

/// How many rows were put into the index, and how many of them were in it before.
#[derive(Default)]
struct Indexed {
    rows: u64,
    replaced: u64,
}

/// Puts the live rows of `data` into the index, which is left unsealed.
async fn index_files(
    table: &Table,
    key_columns: &[String],
    mut data: Vec<LiveFile>,
    deletes: Vec<LiveFile>,
    index: &mut KeyIndex,
) -> Result<Indexed> {
    let schema = table.metadata().current_schema();
    let key_ids = field_ids(schema, key_columns)?;
    let deletes = Arc::new(Deletes::load(table, &data, deletes).await?);

    // Where a foreign writer made a key twice, the row that was written last stays findable.
    data.sort_by(|a, b| (a.sequence_number, a.path()).cmp(&(b.sequence_number, b.path())));
    let mut readers = stream::iter(data)
        .map(|file| {
            let columns = KeyColumns { key: key_ids.clone(), schema: Arc::clone(schema), nulls: Nulls::AreErrors };
            let keys = read_keys(table.file_io().clone(), file.clone(), columns, Arc::clone(&deletes));
            std::future::ready((file, keys))
        })
        .buffered(READERS_MAX);
    let mut indexed = Indexed::default();
    while let Some((file, mut keys)) = readers.next().await {
        let new = IndexedFile {
            path: file.path().to_owned(),
            spec_id: file.spec_id,
            partition: file.data_file.partition().clone(),
        };
        let id = index.add_files(vec![new])?[0];
        while let Some(rows) = keys.recv().await {
            let placed: Vec<_> = rows?.into_iter().map(|(hash, row)| (hash, RowPlace { file: id, row })).collect();
            indexed.replaced += index.put(&placed)?;
            indexed.rows += placed.len() as u64;
        }
    }
    Ok(indexed)
}

pub(crate) fn field_ids(schema: &Schema, columns: &[String]) -> Result<Vec<i32>> {
    let id = |name: &String| {
        let field = schema.as_struct().field_by_name(name).filter(|field| field.field_type.is_primitive());
        field
            .map(|field| field.id)
            .ok_or_else(|| Error::new(ErrorKind::Refused, format!("index key column {name}: the table has none")))
    };
    columns.iter().map(id).collect()
}
