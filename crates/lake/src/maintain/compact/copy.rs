//! Row groups that a rewrite takes over as they are, because encoding their rows again would change nothing.

use std::mem::discriminant;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::ObjectStoreExt;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::SchemaDescriptor;

use crate::data_file::layout::FileLayout;
use crate::data_file::settings;
use crate::data_file::streamed::{ROW_GROUP_BYTES_DEFAULT, RowGroupCopy};
use crate::error::{Error, ErrorKind, Result};
use crate::scan::{LakeTable, PlannedFile};

/// A file of the target size holds at most so many copies. Each row group costs a reader requests, and lines in the footer.
const COPIES_PER_FILE_MAX: u64 = 64;
/// Columns of a row group on their way at a time.
const CONCURRENT_COLUMNS: usize = 4;

/// What a row group must be like to be copied.
pub(crate) struct Copying {
    schema: SchemaDescriptor,
    settings: WriterProperties,
    /// Compressed. A copy is in memory as a whole.
    bytes: Range<u64>,
}

/// A part of a file.
pub(crate) enum Cut {
    /// Rows to decode: the live ones of the file, or some of them.
    Rows(PlannedFile),
    RowGroup {
        path: String,
        footer: Arc<ParquetMetaData>,
        number: usize,
    },
}

impl Copying {
    /// Copying into files of `target_file_bytes` with the columns of `schema`.
    pub fn new(lake: &LakeTable, schema: &ArrowSchemaRef, target_file_bytes: u64) -> Result<Self> {
        let metadata = lake.table().metadata();
        let layout = FileLayout::new(metadata.current_schema(), schema)?;
        Ok(Self {
            schema: layout.parquet_schema()?,
            settings: settings::of_table(metadata.properties())?,
            bytes: (target_file_bytes / COPIES_PER_FILE_MAX).max(1)..ROW_GROUP_BYTES_DEFAULT as u64 * 2,
        })
    }

    /// Cuts `file` so that every row group that can be copied is a part of its own.
    pub async fn cut(&self, lake: &LakeTable, file: PlannedFile) -> Result<Vec<Cut>> {
        let row_count = file.entry.record_count();
        if file.size() < self.bytes.start || u32::try_from(row_count).is_err() {
            return Ok(vec![Cut::Rows(file)]);
        }
        let footer = lake.footer(&file).await.map_err(|error| {
            let message = format!("read the footer of {}", file.entry.file_path());
            Error::new(ErrorKind::Transient, message).with_source(error)
        })?;
        if !self.has_our_layout(&footer) {
            return Ok(vec![Cut::Rows(file)]);
        }
        let mut cuts = Vec::new();
        let (mut start, mut cut_to) = (0, 0);
        for (number, row_group) in footer.row_groups().iter().enumerate() {
            let rows = start..start + row_group.num_rows() as u64;
            if self.admits(row_group) && has_all_rows(&file, rows.clone()) {
                cuts.extend(only(&file, cut_to..rows.start)?.map(Cut::Rows));
                let path = file.entry.file_path().to_owned();
                cuts.push(Cut::RowGroup { path, footer: footer.clone(), number });
                cut_to = rows.end;
            }
            start = rows.end;
        }
        cuts.extend(only(&file, cut_to..row_count)?.map(Cut::Rows));
        Ok(cuts)
    }

    /// Whether row groups of the file are such as we would write. Others write statistics in orders of their own, so that
    /// only our files are trusted.
    fn has_our_layout(&self, footer: &ParquetMetaData) -> bool {
        let file = footer.file_metadata();
        file.created_by().is_some_and(|writer| writer.starts_with("dynaberg "))
            && file.schema_descr().root_schema() == self.schema.root_schema()
            && footer.offset_index().is_some()
            && footer.column_index().is_some()
    }

    fn admits(&self, row_group: &RowGroupMetaData) -> bool {
        let is_as_set = row_group.columns().iter().all(|column| {
            let path = column.column_path();
            discriminant(&column.compression()) == discriminant(&self.settings.compression(path))
                && column.bloom_filter_offset().is_none()
                && self.settings.bloom_filter_properties(path).is_none()
        });
        is_as_set && self.bytes.contains(&(row_group.compressed_size() as u64))
    }
}

fn has_all_rows(file: &PlannedFile, rows: Range<u64>) -> bool {
    let deleted = file.deleted.as_deref();
    rows.is_empty() || deleted.is_none_or(|deleted| deleted.range_cardinality(rows.start as u32..rows.end as u32) == 0)
}

/// The file without its rows outside of `rows`; `None` where none is left.
fn only(file: &PlannedFile, rows: Range<u64>) -> Result<Option<PlannedFile>> {
    let row_count = file.entry.record_count();
    let mut deleted = file.deleted.as_deref().cloned().unwrap_or_default();
    deleted.insert_range(0..rows.start as u32);
    deleted.insert_range(rows.end as u32..row_count as u32);
    if deleted.len() == row_count {
        return Ok(None);
    }
    let deleted = (!deleted.is_empty()).then(|| Arc::new(deleted));
    PlannedFile::new(file.spec_id, file.entry.clone(), deleted).map(Some)
}

/// The copy of a row group of the file at `path`.
pub(crate) fn copy(
    lake: &LakeTable,
    path: String,
    footer: Arc<ParquetMetaData>,
    number: usize,
) -> Result<RowGroupCopy> {
    let (store, key) = lake.locate(&path)?;
    let mut reads = Vec::new();
    for column in footer.row_group(number).columns() {
        let (start, length) = column.byte_range();
        let (store, key, path) = (store.clone(), key.clone(), path.clone());
        reads.push(async move {
            let read = store.get_range(&key, start..start + length).await;
            read.map_err(|error| Error::new(ErrorKind::Transient, format!("read {path}")).with_source(error))
        });
    }
    let columns: BoxStream<'static, Result<Bytes>> = stream::iter(reads).buffered(CONCURRENT_COLUMNS).boxed();
    Ok(RowGroupCopy { footer, number, columns })
}
