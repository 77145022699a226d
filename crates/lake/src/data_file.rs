//! Parquet data files: rows in, finished files in the table's storage and the place of every row out.
//!
//! We drive Parquet's own writer rather than iceberg's `ParquetWriter`: that one skips row groups whose statistics are
//! cut short when it computes a file's bounds, and encodes on the async worker. `layout` fits the rows to the table's
//! schema, `partition` sorts them into files, `encode` turns them into bytes as `settings` say, `streamed` does so for
//! more rows than fit into memory, and `column_bounds` beside this module says what is in them.

pub(crate) mod encode;
pub(crate) mod layout;
mod partition;
pub(crate) mod settings;
pub(crate) mod streamed;
#[cfg(test)]
pub(crate) mod tests;

use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::io::FileIO;
use iceberg::spec::{DataFile, SchemaRef, Struct, TableMetadata};
use iceberg::table::Table;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::data_file::encode::{EncodedFile, FileSequence, FileTemplate};
use crate::data_file::layout::FileLayout;
use crate::data_file::partition::{RowGroups, group_by_partition};
use crate::error::{Error, ErrorKind, Result};

/// Uploads at one time. A commit that touches many partitions waits for the store, not for a core.
pub(crate) const UPLOADS_MAX: usize = 8;

/// A file that is in storage and in no snapshot yet.
#[derive(Clone, Debug)]
pub(crate) struct WrittenFile {
    pub data_file: DataFile,
    /// The crate's `DataFile` does not give its partition spec away.
    pub spec_id: i32,
    pub path: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct WrittenRows {
    pub files: Vec<WrittenFile>,
    /// For each row of the batches, in order: the index of its file in `files`, and its position in that file.
    pub places: Vec<(u32, u64)>,
}

/// Writes `batches` as data files under the table's current schema and partition spec, at least one file per partition.
///
/// Columns are matched by name; an optional column that is missing becomes null. The files are named
/// `<data location>/<file_prefix>-<number>.parquet`, so a prefix must not be used twice.
pub(crate) async fn write_data_files(table: &Table, file_prefix: &str, batches: &[RecordBatch]) -> Result<WrittenRows> {
    let filled: Vec<RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).cloned().collect();
    if filled.is_empty() {
        return Ok(WrittenRows::default());
    }

    let job = EncodeJob {
        metadata: table.metadata_ref(),
        path_prefix: format!("{}/{file_prefix}", data_location(table.metadata())),
        batches: filled,
    };
    let (finished, encoded) = mpsc::channel(1);
    let encoding = spawn_blocking(move || job.run(finished));
    let uploaded = stream::unfold(encoded, async |mut encoded| encoded.recv().await.map(|file| (file, encoded)))
        .map(|file| upload(table.file_io(), file))
        .buffered(UPLOADS_MAX)
        .try_collect()
        .await;
    // Where an upload failed, the encoder fails only because nobody takes its files any more.
    let places = encoding.await.expect("the encoder neither panics nor is aborted");
    Ok(WrittenRows { files: uploaded?, places: places? })
}

/// Where new files of the table go.
pub(crate) fn data_location(metadata: &TableMetadata) -> String {
    match metadata.properties().get("write.data.path") {
        Some(path) => path.trim_end_matches('/').to_owned(),
        None => format!("{}/data", metadata.location().trim_end_matches('/')),
    }
}

pub(crate) async fn upload(file_io: &FileIO, file: EncodedFile) -> Result<WrittenFile> {
    let failed = |error: iceberg::Error| {
        Error::new(ErrorKind::Transient, format!("write data file {}", file.written.path)).with_source(error)
    };
    file_io.new_output(&file.written.path).map_err(failed)?.write(file.bytes).await.map_err(failed)?;
    Ok(file.written)
}

/// Everything the encoder needs, so that it can run on another thread.
struct EncodeJob {
    metadata: iceberg::spec::TableMetadataRef,
    path_prefix: String,
    batches: Vec<RecordBatch>,
}

impl EncodeJob {
    /// Hands over each file as it is finished and gives the place of every row.
    fn run(self, finished: mpsc::Sender<EncodedFile>) -> Result<Vec<(u32, u64)>> {
        let schema: &SchemaRef = self.metadata.current_schema();
        let spec = self.metadata.default_partition_spec();
        let layout = FileLayout::new(schema, &self.batches[0].schema())?;
        let batches = self.batches.iter().map(|batch| layout.fit(batch)).collect::<Result<Vec<_>>>()?;
        let file_bytes_target = self
            .metadata
            .table_properties()
            .map_err(|error| Error::new(ErrorKind::Refused, "read the table's properties").with_source(error))?
            .write_target_file_size_bytes;
        let row_count = batches.iter().map(RecordBatch::num_rows).sum();
        let template = FileTemplate {
            table_schema: schema,
            layout: &layout,
            properties: settings::for_rows(settings::of_table(self.metadata.properties())?, row_count),
            spec_id: spec.spec_id(),
            path_prefix: self.path_prefix,
            file_bytes_target,
        };
        let mut files = FileSequence::new(template, finished);

        let mut places = Vec::with_capacity(row_count);
        if spec.is_unpartitioned() {
            for batch in &batches {
                files.write(batch, &Struct::empty(), |place| places.push(place))?;
            }
            files.finish()?;
            return Ok(places);
        }

        let RowGroups { groups, first_row_of_batch } = group_by_partition(schema, spec, &batches)?;
        places.resize(places.capacity(), (0, 0));
        for group in groups {
            for chunk in group.chunks(&batches) {
                let mut rows = chunk.rows.iter();
                files.write(&chunk.batch?, &group.partition, |place| {
                    let &(batch, row) = rows.next().expect("a chunk has one place per row");
                    places[first_row_of_batch[batch] + row] = place;
                })?;
            }
            files.finish()?;
        }
        Ok(places)
    }
}
