//! A Parquet file in progress, of rows that are encoded and of row groups that are copied.

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::{Buf, Bytes};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::SerializedFileWriter;

use crate::data_file::encode::{encode_error, parquet_writer};
use crate::error::Result;

pub(super) struct OpenFile {
    path: String,
    schema: ArrowSchemaRef,
    writer: SerializedFileWriter<Vec<u8>>,
    row_groups: ArrowRowGroupWriterFactory,
    /// The row group that encoded rows go to.
    filling: Option<Filling>,
    row_count: u64,
    taken_bytes: u64,
}

struct Filling {
    columns: Vec<ArrowColumnWriter>,
    row_count: usize,
}

impl Filling {
    fn byte_count(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }
}

impl OpenFile {
    pub fn new(path: String, schema: &ArrowSchemaRef, properties: WriterProperties) -> Result<Self> {
        let writer = parquet_writer(schema.clone(), properties)?;
        let (writer, row_groups) = writer.into_serialized_writer().map_err(encode_error)?;
        Ok(Self { path, schema: schema.clone(), writer, row_groups, filling: None, row_count: 0, taken_bytes: 0 })
    }

    pub fn row_count(&self) -> u64 {
        self.row_count
    }

    /// About how large the file would be if it ended now.
    pub fn byte_count(&self) -> u64 {
        (self.writer.bytes_written() + self.filling.as_ref().map_or(0, Filling::byte_count)) as u64
    }

    pub fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        self.encode(rows).map_err(encode_error)
    }

    fn encode(&mut self, rows: &RecordBatch) -> ParquetResult<()> {
        let number = self.writer.flushed_row_groups().len();
        let filling = match &mut self.filling {
            Some(filling) => filling,
            none => none.insert(Filling { columns: self.row_groups.create_column_writers(number)?, row_count: 0 }),
        };
        let mut columns = filling.columns.iter_mut();
        for (field, array) in self.schema.fields().iter().zip(rows.columns()) {
            for leaf in compute_leaves(field, array)? {
                columns.next().expect("a row group has a column for every leaf").write(&leaf)?;
            }
        }
        filling.row_count += rows.num_rows();
        self.row_count += rows.num_rows() as u64;
        let limits = self.writer.properties();
        let is_full = limits.max_row_group_row_count().is_some_and(|max| filling.row_count >= max)
            || limits.max_row_group_bytes().is_some_and(|max| filling.byte_count() >= max);
        if is_full { self.end_row_group() } else { Ok(()) }
    }

    fn end_row_group(&mut self) -> ParquetResult<()> {
        let Some(filling) = self.filling.take() else { return Ok(()) };
        let mut row_group = self.writer.next_row_group()?;
        for column in filling.columns {
            column.close()?.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
        Ok(())
    }

    /// Copies a row group of the file that `footer` is of. `false` where `next_column` ends too early: the file must not
    /// be finished then.
    pub fn copy(
        &mut self,
        footer: &ParquetMetaData,
        number: usize,
        mut next_column: impl FnMut() -> Option<Bytes>,
    ) -> Result<bool> {
        let source = footer.row_group(number);
        self.end_row_group().map_err(encode_error)?;
        let mut copy = self.writer.next_row_group().map_err(encode_error)?;
        for (index, column) in source.columns().iter().enumerate() {
            let Some(bytes) = next_column() else { return Ok(false) };
            let end = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: source.num_rows() as u64,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: footer.column_index().map(|indexes| indexes[number][index].clone()),
                offset_index: footer.offset_index().map(|indexes| indexes[number][index].clone()),
            };
            copy.append_column(&ColumnBytes::of(column, bytes), end).map_err(encode_error)?;
        }
        copy.close().map_err(encode_error)?;
        self.row_count += source.num_rows() as u64;
        Ok(true)
    }

    /// The bytes that were finished since the last time.
    pub fn take_finished(&mut self) -> Bytes {
        let bytes = std::mem::take(self.writer.inner_mut());
        self.taken_bytes += bytes.len() as u64;
        bytes.into()
    }

    /// The file's path, its footer, its last bytes and how many it has in all.
    pub fn finish(mut self) -> Result<(String, ParquetMetaData, Bytes, u64)> {
        self.end_row_group().map_err(encode_error)?;
        let footer = self.writer.finish().map_err(encode_error)?;
        let rest = self.take_finished();
        Ok((self.path, footer, rest, self.taken_bytes))
    }
}

/// The bytes of one column, at the place where they were in their file.
struct ColumnBytes {
    start: u64,
    bytes: Bytes,
}

impl ColumnBytes {
    fn of(column: &ColumnChunkMetaData, bytes: Bytes) -> Self {
        Self { start: column.byte_range().0, bytes }
    }

    fn behind(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let start = start.checked_sub(self.start).map(|start| start as usize);
        match start.filter(|start| start.checked_add(length).is_some_and(|end| end <= self.bytes.len())) {
            Some(start) => Ok(self.bytes.slice(start..)),
            None => Err(parquet::errors::ParquetError::EOF("a column ends before its footer says".to_owned())),
        }
    }
}

impl Length for ColumnBytes {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for ColumnBytes {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.behind(start, 0)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        Ok(self.behind(start, length)?.slice(..length))
    }
}
