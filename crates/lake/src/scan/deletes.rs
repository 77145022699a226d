//! Position deletes: which rows of which data file are gone.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use futures::stream::{self, StreamExt, TryStreamExt};
use iceberg::spec::{Datum, ManifestEntryRef, PrimitiveLiteral};
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};
use parquet::file::metadata::RowGroupMetaData;
use roaring::RoaringBitmap;

use crate::error::{Error, ErrorKind, Result};
use crate::scan::LakeTable;
use crate::scan::snapshot_files::CONCURRENT_READS;

/// Reserved field id of `file_path` in position-delete files.
const FILE_PATH_ID: i32 = 2_147_483_546;

/// A position-delete file: the deleted rows, sorted, by the path of the data file they are in.
pub(crate) struct DeleteFile {
    pub rows: HashMap<String, Box<[u32]>>,
}

/// The deleted rows of data files that have some, by the file's path.
pub(super) type DeletedByPath = HashMap<String, Arc<RoaringBitmap>>;

/// The deleted rows of each of `data`; `None` where there are none.
///
/// A delete file applies to the data files it names, unless they were written after it.
pub(crate) async fn deleted_rows(
    table: &LakeTable,
    data: &[ManifestEntryRef],
    deletes: &[ManifestEntryRef],
) -> Result<Vec<Option<Arc<RoaringBitmap>>>> {
    let paths = data.iter().enumerate().map(|(index, entry)| (entry.file_path(), index)).collect::<HashMap<_, _>>();
    let mut sorted_paths: Vec<&str> = paths.keys().copied().collect();
    sorted_paths.sort_unstable();
    let mut reads = Vec::new();
    for delete in deletes {
        if may_touch(delete, &paths, &sorted_paths) {
            reads.push(async { Ok::<_, Error>((sequence_number(delete)?, table.delete_file(delete).await?)) });
        }
    }
    let loaded: Vec<(i64, Arc<DeleteFile>)> = stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await?;

    // A data file that was written long ago has a few rows in each of many delete files.
    let mut deleted: Vec<Vec<u32>> = vec![Vec::new(); data.len()];
    for (delete_sequence_number, delete) in &loaded {
        for (path, rows) in &delete.rows {
            let Some(&index) = paths.get(path.as_str()) else { continue };
            if sequence_number(&data[index])? <= *delete_sequence_number {
                deleted[index].extend_from_slice(rows);
            }
        }
    }
    Ok(data.iter().zip(deleted).map(|(entry, rows)| bitmap(entry, rows)).collect())
}

/// The rows of a data file that are gone; `None` where there are none.
fn bitmap(entry: &ManifestEntryRef, mut rows: Vec<u32>) -> Option<Arc<RoaringBitmap>> {
    // A position behind the last row means nothing; with it the number of live rows would be wrong.
    rows.retain(|row| u64::from(*row) < entry.record_count());
    if rows.is_empty() {
        return None;
    }
    rows.sort_unstable();
    rows.dedup();
    Some(Arc::new(RoaringBitmap::from_sorted_iter(rows).expect("the rows are sorted")))
}

/// Tells whether the delete file may name one of the data files, by what the manifest says of it.
fn may_touch(delete: &ManifestEntryRef, paths: &HashMap<&str, usize>, sorted_paths: &[&str]) -> bool {
    if let Some(path) = delete.data_file().referenced_data_file() {
        return paths.contains_key(path.as_str());
    }
    let text = |bound: Option<&Datum>| match bound.map(Datum::literal) {
        Some(PrimitiveLiteral::String(text)) => Some(text.clone()),
        _ => None,
    };
    let (Some(low), Some(high)) = (
        text(delete.data_file().lower_bounds().get(&FILE_PATH_ID)),
        text(delete.data_file().upper_bounds().get(&FILE_PATH_ID)),
    ) else {
        return true;
    };
    let first = sorted_paths.partition_point(|path| *path < low.as_str());
    sorted_paths.get(first).is_some_and(|path| *path <= high.as_str())
}

fn sequence_number(entry: &ManifestEntryRef) -> Result<i64> {
    entry.sequence_number().ok_or_else(|| {
        let message = format!("find the sequence number of {} in its manifest", entry.file_path());
        Error::new(ErrorKind::Unexpected, message)
    })
}

impl LakeTable {
    pub(crate) async fn delete_file(&self, delete: &ManifestEntryRef) -> Result<Arc<DeleteFile>> {
        if let Some(loaded) = self.cache.deletes.get(delete.file_path()) {
            return Ok(loaded);
        }
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            let message = format!("read the position deletes in {}", delete.file_path());
            Error::new(ErrorKind::Unexpected, message).with_source(error)
        };
        let (store, key) = self.locate(delete.file_path())?;
        let bytes = async { store.get(&key).await?.bytes().await };
        // All of it is needed, so one request is enough.
        let bytes = bytes.await.map_err(|error| failed(error.into()))?;
        let rows = read(bytes).map_err(failed)?;
        let loaded = Arc::new(DeleteFile { rows });
        self.cache.deletes.put(delete.file_path(), loaded.clone(), delete.record_count().max(1) as usize);
        Ok(loaded)
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn read(file: Bytes) -> Result<HashMap<String, Box<[u32]>>, BoxError> {
    let mut rows: HashMap<String, Vec<u32>> = HashMap::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
        let batch = batch?;
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("it has no column {name}"));
        let paths = arrow::compute::cast(column("file_path")?, &arrow::datatypes::DataType::Utf8)?;
        let paths: &StringArray = paths.as_string();
        let positions = column("pos")?;
        let positions = positions.as_primitive_opt::<Int64Type>().ok_or("its column pos is not a long")?;
        if paths.null_count() + positions.null_count() > 0 {
            return Err("it holds a null".into());
        }

        // Rows are sorted by path, so a path's rows come in one run.
        let mut start = 0;
        while start < batch.num_rows() {
            let path = paths.value(start);
            let run = (start..batch.num_rows()).take_while(|row| paths.value(*row) == path).count();
            let of_path = match rows.get_mut(path) {
                Some(of_path) => of_path,
                None => rows.entry(path.to_owned()).or_default(),
            };
            for position in &positions.values()[start..start + run] {
                of_path.push(u32::try_from(*position)?);
            }
            start += run;
        }
    }
    let sorted = |mut rows: Vec<u32>| {
        rows.sort_unstable();
        rows.dedup();
        rows.into_boxed_slice()
    };
    Ok(rows.into_iter().map(|(path, rows)| (path, sorted(rows))).collect())
}

/// The rows among `rows`, counted from the start of the file, that are left of each row group.
pub(super) fn access_plan(
    deleted: Option<&RoaringBitmap>,
    row_groups: &[RowGroupMetaData],
    rows: Range<u64>,
) -> ParquetAccessPlan {
    let mut start: u64 = 0;
    let mut access = Vec::with_capacity(row_groups.len());
    for row_group in row_groups {
        let end = start + row_group.num_rows() as u64;
        access.push(row_group_access(deleted, start..end, &rows));
        start = end;
    }
    ParquetAccessPlan::new(access)
}

/// Access to the live rows of a row group that are among `wanted`.
fn row_group_access(deleted: Option<&RoaringBitmap>, group: Range<u64>, wanted: &Range<u64>) -> RowGroupAccess {
    let live = wanted.start.max(group.start)..wanted.end.min(group.end);
    if live.is_empty() {
        return RowGroupAccess::Skip;
    }
    // A bitmap reaches as far as `u32` does; rows behind are live.
    let last = |row: u64| u32::try_from(row).unwrap_or(u32::MAX);
    let gone = last(live.start)..=last(live.end - 1);
    let deleted =
        deleted.filter(|deleted| u32::try_from(live.start).is_ok() && deleted.range_cardinality(gone.clone()) > 0);
    if deleted.is_none() && live == group {
        return RowGroupAccess::Scan;
    }

    let mut selection = Selection::default();
    selection.skip(live.start - group.start);
    let mut next = live.start;
    for row in deleted.into_iter().flat_map(|deleted| deleted.range(gone.clone())).map(u64::from) {
        selection.select(row - next);
        selection.skip(1);
        next = row + 1;
    }
    selection.select(live.end - next);
    selection.skip(group.end - live.end);
    if selection.selectors.iter().all(|selector| selector.skip) {
        return RowGroupAccess::Skip;
    }
    RowGroupAccess::Selection(RowSelection::from(selection.selectors))
}

/// Runs of rows to read and to pass over, in turns.
#[derive(Default)]
struct Selection {
    selectors: Vec<RowSelector>,
}

impl Selection {
    fn select(&mut self, rows: u64) {
        self.push(RowSelector::select(rows as usize));
    }

    fn skip(&mut self, rows: u64) {
        self.push(RowSelector::skip(rows as usize));
    }

    fn push(&mut self, selector: RowSelector) {
        match self.selectors.last_mut() {
            _ if selector.row_count == 0 => {}
            Some(last) if last.skip == selector.skip => last.row_count += selector.row_count,
            _ => self.selectors.push(selector),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_rows_of_a_row_group_become_a_selection_that_covers_it() {
        let check = |deleted: &[u32], group: Range<u64>, wanted: Range<u64>, expected: RowGroupAccess| {
            let deleted = RoaringBitmap::from_iter(deleted);
            assert_eq!(
                row_group_access(Some(&deleted), group.clone(), &wanted),
                expected,
                "{deleted:?} {group:?} {wanted:?}"
            );
        };
        let selection = |selectors: &[(usize, bool)]| {
            let selector = |(row_count, skip): &(usize, bool)| RowSelector { row_count: *row_count, skip: *skip };
            RowGroupAccess::Selection(selectors.iter().map(selector).collect::<Vec<_>>().into())
        };
        check(&[], 0..10, 0..99, RowGroupAccess::Scan);
        check(&[10, 3], 4..10, 0..99, RowGroupAccess::Scan);
        check(&[4, 5, 6], 4..7, 0..99, RowGroupAccess::Skip);
        check(&[0, 9], 0..10, 0..99, selection(&[(1, true), (8, false), (1, true)]));
        let expected = selection(&[(2, false), (2, true), (1, false), (1, true), (4, false)]);
        check(&[12, 13, 15], 10..20, 0..99, expected);
        // A piece of the file.
        check(&[], 10..20, 0..10, RowGroupAccess::Skip);
        check(&[], 10..20, 10..20, RowGroupAccess::Scan);
        check(&[], 10..20, 0..15, selection(&[(5, false), (5, true)]));
        check(
            &[16, 18],
            10..20,
            15..99,
            selection(&[(5, true), (1, false), (1, true), (1, false), (1, true), (1, false)]),
        );
        check(&[15, 16], 10..20, 15..17, RowGroupAccess::Skip);
    }
}
