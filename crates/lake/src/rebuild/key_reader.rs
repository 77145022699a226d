//! The keys of a data file's live rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use iceberg::arrow::{ArrowFileReader, type_to_arrow_type};
use iceberg::io::{FileIO, FileMetadata};
use iceberg::spec::SchemaRef;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ProjectionMask};
use parquet::schema::types::SchemaDescriptor;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::error::{Error, ErrorKind, Result};
use crate::key::{hash_keys, hash_rows};
use crate::rebuild::deletes::Deletes;
use crate::rebuild::live_files::LiveFile;

const ROWS_PER_READ: usize = 65_536;

/// Reads waiting to be taken. Together with the reading size it bounds what a rebuild holds in memory.
const READS_AHEAD_MAX: usize = 2;

/// Which columns identify a row.
#[derive(Clone)]
pub(crate) struct KeyColumns {
    /// Field ids, in the order of the table's key columns.
    pub(crate) key: Vec<i32>,
    pub(crate) schema: SchemaRef,
    pub(crate) nulls: Nulls,
}

/// What a null in a key column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// Nothing could be found under such a key.
    AreErrors,
    AreValues,
}

/// Key hash and position of live rows.
pub(crate) type RowKeys = Vec<(u128, u64)>;

/// Starts to read the live rows of `file`. Decoding runs on the blocking pool.
pub(crate) fn read_keys(
    file_io: FileIO,
    file: LiveFile,
    columns: KeyColumns,
    deletes: Arc<Deletes>,
) -> mpsc::Receiver<Result<RowKeys>> {
    let (found, keys) = mpsc::channel(READS_AHEAD_MAX);
    let runtime = Handle::current();
    spawn_blocking(move || {
        let sent = runtime.block_on(send_keys(&file_io, &file, &columns, &deletes, &found));
        if let Err(error) = sent {
            let message = format!("read keys of {}", file.path());
            // Nobody listens any more where the rebuild failed elsewhere.
            let _ = found.blocking_send(Err(Error::new(error.kind(), message).with_source(error)));
        }
    });
    keys
}

async fn send_keys(
    file_io: &FileIO,
    file: &LiveFile,
    columns: &KeyColumns,
    deletes: &Deletes,
    found: &mpsc::Sender<Result<RowKeys>>,
) -> Result<()> {
    let mut row_filter = deletes.of(file);
    let mut wanted = columns.key.clone();
    wanted.extend(row_filter.equality_ids());

    let unreadable = |error: iceberg::Error| Error::new(ErrorKind::Transient, "open data file").with_source(error);
    let reader = file_io.new_input(file.path()).map_err(unreadable)?.reader().await.map_err(unreadable)?;
    let reader = ArrowFileReader::new(FileMetadata { size: file.data_file.file_size_in_bytes() }, reader);
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(undecodable)?;
    let mask = columns_by_id(builder.parquet_schema(), &wanted);
    let mut batches = builder.with_projection(mask).with_batch_size(ROWS_PER_READ).build().map_err(undecodable)?;
    let mut first_position = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(undecodable)?;
        let key = columns.key.iter().map(|id| key_column(&batch, *id)).collect::<Result<Vec<_>>>()?;
        let keys = match columns.nulls {
            Nulls::AreErrors => hash_keys(&key)?,
            Nulls::AreValues => hash_rows(&key)?,
        };
        row_filter.begin(&batch, &columns.schema)?;
        let live = keys.into_iter().zip(first_position..).enumerate();
        let live = live.filter(|(row, (_, position))| row_filter.keeps(*row, *position)).map(|(_, key)| key).collect();
        if found.send(Ok(live)).await.is_err() {
            return Ok(());
        }
        first_position += batch.num_rows() as u64;
    }
    Ok(())
}

/// The columns of a file with these field ids; what the file does not have is left out.
pub(crate) fn columns_by_id(schema: &SchemaDescriptor, ids: &[i32]) -> ProjectionMask {
    let fields = schema.root_schema().get_fields().iter().enumerate();
    let roots = fields.filter(|(_, field)| {
        let info = field.get_basic_info();
        info.has_id() && ids.contains(&info.id())
    });
    ProjectionMask::roots(schema, roots.map(|(root, _)| root))
}

pub(crate) fn column_by_id(batch: &RecordBatch, id: i32) -> Option<&ArrayRef> {
    let id = id.to_string();
    let fields = batch.schema_ref().fields();
    let index = fields.iter().position(|field| field.metadata().get(PARQUET_FIELD_ID_META_KEY) == Some(&id))?;
    Some(batch.column(index))
}

fn key_column(batch: &RecordBatch, id: i32) -> Result<ArrayRef> {
    column_by_id(batch, id)
        .cloned()
        .ok_or_else(|| Error::new(ErrorKind::Refused, format!("find key column with field id {id} in the file")))
}

/// Hashes rows by columns that may be null, or missing in an old file.
pub(crate) fn hash_columns(batch: &RecordBatch, ids: &[i32], schema: &SchemaRef) -> Result<Vec<u128>> {
    let columns = ids.iter().map(|id| match column_by_id(batch, *id) {
        Some(column) => Ok(Arc::clone(column)),
        None => {
            let field = schema
                .field_by_id(*id)
                .ok_or_else(|| Error::new(ErrorKind::Refused, format!("find deleted-by column with field id {id}")))?;
            let data_type = type_to_arrow_type(&field.field_type)
                .map_err(|error| Error::new(ErrorKind::Unexpected, "convert a column's type").with_source(error))?;
            Ok(new_null_array(&data_type, batch.num_rows()))
        }
    });
    hash_rows(&columns.collect::<Result<Vec<_>>>()?)
}

pub(crate) fn undecodable(error: parquet::errors::ParquetError) -> Error {
    Error::new(ErrorKind::Unexpected, "decode a Parquet file").with_source(error)
}
