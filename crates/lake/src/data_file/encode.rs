//! Rows of one layout encoded into a sequence of Parquet files.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, SchemaRef, Struct};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use tokio::sync::mpsc;

use crate::column_bounds::ColumnMetrics;
use crate::data_file::WrittenFile;
use crate::data_file::layout::FileLayout;
use crate::error::{Error, ErrorKind, Result};

/// Rows given to the writer at one time: how far a file may overshoot its target size.
const ROWS_PER_WRITE_MAX: usize = 65_536;

/// A whole Parquet file, not in storage yet.
pub(crate) struct EncodedFile {
    pub(crate) written: WrittenFile,
    pub(crate) bytes: Bytes,
}

/// A writer into memory. The Arrow schema is not put into the file: it would make dictionary columns of ours a
/// dictionary for every Arrow reader, and nobody else reads it.
pub(crate) fn parquet_writer(
    schema: arrow::datatypes::SchemaRef,
    properties: WriterProperties,
) -> Result<ArrowWriter<Vec<u8>>> {
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), schema, options).map_err(encode_error)
}

/// Ends the file and gives what it holds.
pub(crate) fn finish_writer(mut writer: ArrowWriter<Vec<u8>>) -> Result<(ParquetMetaData, Bytes)> {
    let metadata = writer.finish().map_err(encode_error)?;
    let bytes = std::mem::take(writer.inner_mut());
    Ok((metadata, bytes.into()))
}

/// What the files of one commit have in common.
pub(crate) struct FileTemplate<'a> {
    pub(crate) table_schema: &'a SchemaRef,
    pub(crate) layout: &'a FileLayout,
    pub(crate) properties: WriterProperties,
    pub(crate) spec_id: i32,
    pub(crate) path_prefix: String,
    pub(crate) file_bytes_target: usize,
}

/// The files of one commit. A file holds rows of one partition.
pub(crate) struct FileSequence<'a> {
    template: FileTemplate<'a>,
    finished: mpsc::Sender<EncodedFile>,
    file_count: u32,
    open: Option<OpenFile>,
}

struct OpenFile {
    writer: ArrowWriter<Vec<u8>>,
    row_count: u64,
    partition: Struct,
}

impl<'a> FileSequence<'a> {
    pub(crate) fn new(template: FileTemplate<'a>, finished: mpsc::Sender<EncodedFile>) -> Self {
        Self { template, finished, file_count: 0, open: None }
    }

    /// Writes rows of one partition and tells the place (file, position) of each, in order. Rows of another partition
    /// may follow only after [`FileSequence::finish`].
    pub(crate) fn write(
        &mut self,
        batch: &RecordBatch,
        partition: &Struct,
        mut placed: impl FnMut((u32, u64)),
    ) -> Result<()> {
        for start in (0..batch.num_rows()).step_by(ROWS_PER_WRITE_MAX) {
            let rows = batch.slice(start, ROWS_PER_WRITE_MAX.min(batch.num_rows() - start));
            let open = match &mut self.open {
                Some(open) => open,
                none => none.insert(OpenFile {
                    writer: parquet_writer(
                        Arc::clone(self.template.layout.schema()),
                        self.template.properties.clone(),
                    )?,
                    row_count: 0,
                    partition: partition.clone(),
                }),
            };
            open.writer.write(&rows).map_err(encode_error)?;
            let first = open.row_count;
            open.row_count += rows.num_rows() as u64;
            (first..open.row_count).for_each(|position| placed((self.file_count, position)));
            if open.writer.bytes_written() + open.writer.in_progress_size() >= self.template.file_bytes_target {
                self.finish()?;
            }
        }
        Ok(())
    }

    /// Ends the file in progress, if there is one, and hands it over.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let (metadata, bytes) = finish_writer(open.writer)?;
        let path = format!("{}-{:05}.parquet", self.template.path_prefix, self.file_count);
        let data_file = FileEnd { metadata: &metadata, row_count: open.row_count, byte_count: bytes.len() as u64 }
            .describe(&path, self.template.table_schema)?
            .partition(open.partition)
            .partition_spec_id(self.template.spec_id)
            .build()
            .expect("every required field of the data file is set");

        self.file_count += 1;
        let written = WrittenFile { data_file, spec_id: self.template.spec_id, path };
        self.finished
            .blocking_send(EncodedFile { written, bytes })
            .map_err(|_| Error::new(ErrorKind::Transient, "hand over an encoded data file"))
    }
}

/// What is known of a data file once it is written.
pub(crate) struct FileEnd<'a> {
    pub(crate) metadata: &'a ParquetMetaData,
    pub(crate) row_count: u64,
    pub(crate) byte_count: u64,
}

impl FileEnd<'_> {
    /// The manifest entry of the file but for its partition.
    pub(crate) fn describe(self, path: &str, table_schema: &SchemaRef) -> Result<DataFileBuilder> {
        let mut builder = DataFileBuilder::default();
        builder
            .content(DataContentType::Data)
            .file_path(path.to_owned())
            .file_format(DataFileFormat::Parquet)
            .record_count(self.row_count)
            .file_size_in_bytes(self.byte_count)
            .split_offsets(Some(self.metadata.row_groups().iter().filter_map(|group| group.file_offset()).collect()));
        ColumnMetrics::of(self.metadata, table_schema)?.describe(&mut builder);
        Ok(builder)
    }
}

pub(crate) fn encode_error(error: ParquetError) -> Error {
    Error::new(ErrorKind::Unexpected, "encode a Parquet file").with_source(error)
}
