//! Position-delete files: which rows of which data files are gone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{DictionaryArray, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use iceberg::metadata_columns::{RESERVED_FIELD_ID_DELETE_FILE_PATH, RESERVED_FIELD_ID_DELETE_FILE_POS};
use iceberg::spec::{DataContentType, DataFileBuilder, DataFileFormat, Datum, Struct};
use iceberg::table::Table;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::ColumnPath;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::data_file::encode::{EncodedFile, encode_error, finish_writer, parquet_writer};
use crate::data_file::{UPLOADS_MAX, WrittenFile, data_location, settings, upload};
use crate::error::{Error, ErrorKind, Result};

/// Up to this many data files get a delete file each, which readers and compaction can match by name. A commit that
/// touches more of them writes one delete file per partition, as every delete file costs a request to write and another
/// one to read.
pub(crate) const FILES_WITH_THEIR_OWN_DELETES_MAX: usize = 8;

/// Rows of one data file that are gone.
#[derive(Clone, Debug)]
pub(crate) struct DeletedRows {
    /// As the manifest has it, byte for byte.
    pub data_file_path: String,
    pub spec_id: i32,
    pub partition: Struct,
    /// In any order; one that comes twice counts once.
    pub positions: Vec<u64>,
}

/// Writes position-delete files for `deletes`. They apply to data files of the snapshot that adds them, or older ones.
///
/// The files are named `<data location>/<file_prefix>-deletes-<number>.parquet`.
pub(crate) async fn write_position_deletes(
    table: &Table,
    file_prefix: &str,
    deletes: Vec<DeletedRows>,
) -> Result<Vec<WrittenFile>> {
    let path_prefix = format!("{}/{file_prefix}-deletes", data_location(table.metadata()));
    let (finished, encoded) = mpsc::channel(UPLOADS_MAX);
    let encoding = spawn_blocking(move || {
        for (number, group) in group_deletes(deletes).into_iter().enumerate() {
            let file = group.encode(format!("{path_prefix}-{number:05}.parquet"))?;
            finished
                .blocking_send(file)
                .map_err(|_| Error::new(ErrorKind::Transient, "hand over an encoded delete file"))?;
        }
        Ok(())
    });
    let uploaded = stream::unfold(encoded, async |mut encoded| encoded.recv().await.map(|file| (file, encoded)))
        .map(|file| upload(table.file_io(), file))
        .buffered(UPLOADS_MAX)
        .try_collect()
        .await;
    // Where an upload failed, the encoder fails only because nobody takes its files any more.
    let encoded: Result<()> = encoding.await.expect("the encoder neither panics nor is aborted");
    let uploaded = uploaded?;
    encoded?;
    Ok(uploaded)
}

/// The content of one delete file: data files of one partition, each with its positions.
struct DeleteGroup {
    spec_id: i32,
    partition: Struct,
    /// In the order of the paths, as the file must be; positions sorted and unique.
    positions_by_path: BTreeMap<String, Vec<u64>>,
}

fn group_deletes(deletes: Vec<DeletedRows>) -> Vec<DeleteGroup> {
    let mut by_partition: HashMap<(i32, Struct), BTreeMap<String, Vec<u64>>> = HashMap::new();
    for delete in deletes.into_iter().filter(|delete| !delete.positions.is_empty()) {
        let partition = by_partition.entry((delete.spec_id, delete.partition)).or_default();
        partition.entry(delete.data_file_path).or_default().extend(delete.positions);
    }
    for positions in by_partition.values_mut().flat_map(BTreeMap::values_mut) {
        positions.sort_unstable();
        positions.dedup();
    }
    let file_count: usize = by_partition.values().map(BTreeMap::len).sum();
    let mut groups: Vec<DeleteGroup> = by_partition
        .into_iter()
        .flat_map(|((spec_id, partition), files)| {
            let contents = if file_count <= FILES_WITH_THEIR_OWN_DELETES_MAX {
                files.into_iter().map(|file| BTreeMap::from([file])).collect()
            } else {
                vec![files]
            };
            contents.into_iter().map(move |positions_by_path| DeleteGroup {
                spec_id,
                partition: partition.clone(),
                positions_by_path,
            })
        })
        .collect();
    // The same deletes give the same files, whatever the order of the map.
    groups.sort_by(|a, b| a.positions_by_path.keys().next().cmp(&b.positions_by_path.keys().next()));
    groups
}

impl DeleteGroup {
    fn encode(self, path: String) -> Result<EncodedFile> {
        let (metadata, bytes) = self.encode_rows()?;
        let data_file = self.describe(&path, &metadata, bytes.len() as u64);
        Ok(EncodedFile { written: WrittenFile { data_file, spec_id: self.spec_id, path }, bytes })
    }

    fn encode_rows(&self) -> Result<(ParquetMetaData, Bytes)> {
        let paths = StringArray::from_iter_values(self.positions_by_path.keys());
        let path_numbers = (0..).zip(self.positions_by_path.values());
        let path_numbers: Int32Array =
            path_numbers.flat_map(|(number, positions)| std::iter::repeat_n(Some(number), positions.len())).collect();
        let positions = Int64Array::from_iter_values(self.positions_by_path.values().flatten().map(|&p| p as i64));
        let paths = DictionaryArray::new(path_numbers, Arc::new(paths));
        let rows = RecordBatch::try_new(delete_schema(), vec![Arc::new(paths), Arc::new(positions)])
            .expect("both columns are of the schema's types and of one length");

        let properties = settings::defaults()
            // Positions hardly repeat, and the statistics of a long path must stay whole.
            .set_column_dictionary_enabled(ColumnPath::from("pos"), false)
            .set_statistics_truncate_length(None)
            .set_column_index_truncate_length(None)
            .build();
        let properties = settings::for_rows(properties, rows.num_rows());
        let mut writer = parquet_writer(delete_schema(), properties)?;
        writer.write(&rows).map_err(encode_error)?;
        finish_writer(writer)
    }

    fn describe(&self, path: &str, metadata: &ParquetMetaData, byte_count: u64) -> iceberg::spec::DataFile {
        const PATH: i32 = RESERVED_FIELD_ID_DELETE_FILE_PATH;
        const POS: i32 = RESERVED_FIELD_ID_DELETE_FILE_POS;
        let paths = || self.positions_by_path.keys();
        let positions = || self.positions_by_path.values().flatten();
        let row_count = positions().count() as u64;
        let position = |bound: Option<&u64>| Datum::long(bound.copied().unwrap_or_default() as i64);
        // The bounds of the path are whole: readers skip the file for data files outside of them, and know that it
        // speaks of one data file where they are equal.
        let path_bound = |bound: Option<&String>| Datum::string(bound.map_or("", String::as_str));
        let mut column_sizes: HashMap<i32, u64> = HashMap::new();
        for group in metadata.row_groups() {
            for (id, column) in [PATH, POS].into_iter().zip(group.columns()) {
                *column_sizes.entry(id).or_default() += column.compressed_size() as u64;
            }
        }
        let only_path = if self.positions_by_path.len() == 1 { paths().next().cloned() } else { None };
        DataFileBuilder::default()
            .content(DataContentType::PositionDeletes)
            .file_path(path.to_owned())
            .file_format(DataFileFormat::Parquet)
            .partition(self.partition.clone())
            .partition_spec_id(self.spec_id)
            .record_count(row_count)
            .file_size_in_bytes(byte_count)
            .column_sizes(column_sizes)
            .value_counts(HashMap::from([(PATH, row_count), (POS, row_count)]))
            .null_value_counts(HashMap::from([(PATH, 0), (POS, 0)]))
            .lower_bounds(HashMap::from([(PATH, path_bound(paths().next())), (POS, position(positions().min()))]))
            .upper_bounds(HashMap::from([(PATH, path_bound(paths().last())), (POS, position(positions().max()))]))
            .split_offsets(Some(metadata.row_groups().iter().filter_map(|group| group.file_offset()).collect()))
            .referenced_data_file(only_path)
            .build()
            .expect("every required field of the delete file is set")
    }
}

/// Paths come as a dictionary, so that a long path is not repeated in memory; in the file they are plain strings.
fn delete_schema() -> SchemaRef {
    let with_id = |field: Field, id: i32| {
        field.with_metadata(HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]))
    };
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    Arc::new(Schema::new(vec![
        with_id(Field::new("file_path", text, false), RESERVED_FIELD_ID_DELETE_FILE_PATH),
        with_id(Field::new("pos", DataType::Int64, false), RESERVED_FIELD_ID_DELETE_FILE_POS),
    ]))
}

#[cfg(test)]
mod tests;
