//! Rows of one partition written as they come: neither they nor a whole file are ever in memory.
//!
//! Rows are fed to an `encoder` on a thread of its own, which writes them into one `open_file` after the other; its bytes
//! are uploaded as they are finished. Row groups of other files can stand among the rows: they are copied.

mod encoder;
mod open_file;

use std::sync::Arc;

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, TryStreamExt};
use iceberg::spec::Struct;
use object_store::buffered::BufWriter;
use parquet::file::metadata::ParquetMetaData;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::data_file::layout::FileLayout;
use crate::data_file::streamed::encoder::{Encoder, Piece, ToEncode};
use crate::data_file::{WrittenFile, data_location, settings};
use crate::error::{Error, ErrorKind, Result};
use crate::scan::LakeTable;

/// A row group is in memory until it is full: Iceberg's default.
pub(crate) const ROW_GROUP_BYTES_DEFAULT: usize = 128 << 20;
/// Batches and pieces of files on their way from one task to the next.
const QUEUED_MAX: usize = 2;

/// The files to write.
pub(crate) struct Destination {
    /// The files are named `<data location>/<file_prefix>-<number>.parquet`.
    pub file_prefix: String,
    pub spec_id: i32,
    pub partition: Struct,
    pub sort_order_id: Option<i32>,
    /// A file ends after so many rows, ...
    pub rows_per_file: u64,
    /// ... but not before so many bytes, ...
    pub file_bytes_min: u64,
    /// ... and with so many bytes in any case.
    pub file_bytes_max: u64,
}

/// What a file is made of, in order.
pub(crate) enum Part {
    /// Rows with all columns of the table.
    Rows(RecordBatch),
    RowGroup(RowGroupCopy),
}

/// A row group of another file with the same Parquet schema, taken over as it is.
pub(crate) struct RowGroupCopy {
    /// Of the other file, with its page index.
    pub footer: Arc<ParquetMetaData>,
    pub number: usize,
    /// The bytes of each of its columns, in order.
    pub columns: BoxStream<'static, Result<Bytes>>,
}

/// Writes `parts` of `schema` in their order. What was finished is in `written`, even where it fails.
pub(crate) async fn write_streamed(
    lake: &LakeTable,
    destination: Destination,
    schema: ArrowSchemaRef,
    parts: impl Stream<Item = Result<Part>>,
    written: &mut Vec<WrittenFile>,
) -> Result<()> {
    let metadata = lake.table().metadata();
    let mut properties = settings::of_table(metadata.properties())?;
    if properties.max_row_group_bytes().is_none() {
        properties = properties.into_builder().set_max_row_group_bytes(Some(ROW_GROUP_BYTES_DEFAULT)).build();
    }
    let table_schema = metadata.current_schema().clone();
    let layout = FileLayout::new(&table_schema, &schema)?;
    let path_prefix = format!("{}/{}", data_location(metadata), destination.file_prefix);
    let encoder = Encoder::new(layout, table_schema, properties, path_prefix, destination);
    let (fed_parts, to_encode) = mpsc::channel(QUEUED_MAX);
    let (encoded, pieces) = mpsc::channel(QUEUED_MAX);
    let encoding = spawn_blocking(move || encoder.run(to_encode, encoded));
    let (fed, uploaded) = tokio::join!(feed(parts, fed_parts), upload(lake, pieces, written));
    let encoded = encoding.await.expect("the encoder neither panics nor is aborted");
    // Where one of them fails the others stop for want of work: the end of the chain knows why, if anybody does.
    uploaded.and(fed).and(encoded)
}

/// Ends early where nobody takes the parts any more.
async fn feed(parts: impl Stream<Item = Result<Part>>, fed: mpsc::Sender<ToEncode>) -> Result<()> {
    let mut parts = std::pin::pin!(parts);
    loop {
        let part = match parts.try_next().await {
            Ok(None) => return Ok(()),
            Ok(Some(part)) => part,
            Err(error) => {
                // The encoder must not take this for the end of the rows.
                let _ = fed.send(ToEncode::Nothing).await;
                return Err(error);
            }
        };
        let is_taken = match part {
            Part::Rows(batch) => fed.send(ToEncode::Rows(batch)).await.is_ok(),
            Part::RowGroup(RowGroupCopy { footer, number, mut columns }) => {
                let (column, fed_columns) = mpsc::channel(QUEUED_MAX);
                let mut is_taken = fed.send(ToEncode::RowGroup { footer, number, columns: fed_columns }).await.is_ok();
                // Where a column fails, the encoder misses it and ends.
                while is_taken && let Some(bytes) = columns.try_next().await? {
                    is_taken = column.send(bytes).await.is_ok();
                }
                is_taken
            }
        };
        if !is_taken {
            return Ok(());
        }
    }
}

async fn upload(lake: &LakeTable, mut pieces: mpsc::Receiver<Piece>, written: &mut Vec<WrittenFile>) -> Result<()> {
    let mut open: Option<(String, BufWriter)> = None;
    while let Some(piece) = pieces.recv().await {
        match (piece, &mut open) {
            (Piece::Begin(path), open) => {
                let (store, key) = lake.locate(&path)?;
                *open = Some((path, BufWriter::new(store, key)));
            }
            (Piece::Bytes(bytes), Some((path, writer))) => {
                if let Err(error) = writer.put(bytes).await {
                    // Parts of an upload that is not aborted are kept, and paid for, until somebody finds them.
                    let _ = writer.abort().await;
                    return Err(unwritten(path).with_source(error));
                }
            }
            (Piece::End(file), Some((path, writer))) => {
                writer.shutdown().await.map_err(|error| unwritten(path).with_source(error))?;
                written.push(*file);
                open = None;
            }
            (_, None) => unreachable!("the encoder begins a file before it sends any of it"),
        }
    }
    if let Some((_, mut writer)) = open {
        let _ = writer.abort().await;
    }
    Ok(())
}

fn unwritten(path: &str) -> Error {
    Error::new(ErrorKind::Transient, format!("write data file {path}"))
}
