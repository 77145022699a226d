//! Rows of one partition written as they come: neither they nor a whole file are ever in memory.

use arrow::datatypes::SchemaRef as ArrowSchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use iceberg::spec::{SchemaRef, Struct};
use object_store::buffered::BufWriter;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::data_file::encode::{FileEnd, encode_error, finish_writer, parquet_writer};
use crate::data_file::layout::FileLayout;
use crate::data_file::{WrittenFile, data_location, settings};
use crate::error::{Error, ErrorKind, Result};
use crate::scan::LakeTable;

/// A row group is in memory until it is full: Iceberg's default.
const ROW_GROUP_BYTES_DEFAULT: usize = 128 << 20;
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

/// Writes `rows`, which have all columns of the table, in their order. What was finished is in `written`, even where it
/// fails.
pub(crate) async fn write_streamed(
    lake: &LakeTable,
    destination: Destination,
    schema: ArrowSchemaRef,
    rows: impl Stream<Item = Result<RecordBatch>>,
    written: &mut Vec<WrittenFile>,
) -> Result<()> {
    let metadata = lake.table().metadata();
    let mut properties = settings::of_table(metadata.properties())?;
    if properties.max_row_group_bytes().is_none() {
        properties = properties.into_builder().set_max_row_group_bytes(Some(ROW_GROUP_BYTES_DEFAULT)).build();
    }
    let table_schema = metadata.current_schema().clone();
    let encoder = Encoder {
        layout: FileLayout::new(&table_schema, &schema)?,
        path_prefix: format!("{}/{}", data_location(metadata), destination.file_prefix),
        table_schema,
        properties,
        destination,
        file_count: 0,
        open: None,
    };
    let (batches, to_encode) = mpsc::channel(QUEUED_MAX);
    let (encoded, pieces) = mpsc::channel(QUEUED_MAX);
    let encoding = spawn_blocking(move || encoder.run(to_encode, encoded));
    let (fed, uploaded) = tokio::join!(feed(rows, batches), upload(lake, pieces, written));
    let encoded = encoding.await.expect("the encoder neither panics nor is aborted");
    // Where one of them fails the others stop for want of work: the end of the chain knows why, if anybody does.
    uploaded.and(fed).and(encoded)
}

/// Ends early where nobody takes the batches any more.
async fn feed(
    rows: impl Stream<Item = Result<RecordBatch>>,
    batches: mpsc::Sender<Result<RecordBatch, ()>>,
) -> Result<()> {
    let mut rows = std::pin::pin!(rows);
    loop {
        match rows.try_next().await {
            Ok(None) => return Ok(()),
            Ok(Some(batch)) => {
                if batches.send(Ok(batch)).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => {
                // The encoder must not take this for the end of the rows.
                let _ = batches.send(Err(())).await;
                return Err(error);
            }
        }
    }
}

/// What the encoder gives of a file, in order.
enum Piece {
    Begin(String),
    Bytes(Bytes),
    End(Box<WrittenFile>),
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

/// Turns rows into pieces of files, on a thread of its own.
struct Encoder {
    layout: FileLayout,
    path_prefix: String,
    table_schema: SchemaRef,
    properties: WriterProperties,
    destination: Destination,
    file_count: u32,
    open: Option<OpenFile>,
}

struct OpenFile {
    path: String,
    writer: ArrowWriter<Vec<u8>>,
    row_count: u64,
    byte_count: u64,
}

impl Encoder {
    fn run(mut self, mut batches: mpsc::Receiver<Result<RecordBatch, ()>>, pieces: mpsc::Sender<Piece>) -> Result<()> {
        while let Some(batch) = batches.blocking_recv() {
            let Ok(batch) = batch else { return Ok(()) };
            let batch = self.layout.fit(&batch)?;
            let mut start = 0;
            while start < batch.num_rows() {
                start += self.write(&batch.slice(start, batch.num_rows() - start), &pieces)?;
            }
        }
        self.finish(&pieces)
    }

    /// Writes as many of the rows as the file takes.
    fn write(&mut self, rows: &RecordBatch, pieces: &mpsc::Sender<Piece>) -> Result<usize> {
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let path = format!("{}-{:05}.parquet", self.path_prefix, self.file_count);
                send(pieces, Piece::Begin(path.clone()))?;
                let writer = parquet_writer(self.layout.schema().clone(), self.properties.clone())?;
                none.insert(OpenFile { path, writer, row_count: 0, byte_count: 0 })
            }
        };
        let rows_left = self.destination.rows_per_file.saturating_sub(open.row_count);
        // Behind its last row a file goes on only because it is too small yet.
        let count = if rows_left == 0 { rows.num_rows() as u64 } else { rows_left.min(rows.num_rows() as u64) };
        open.writer.write(&rows.slice(0, count as usize)).map_err(encode_error)?;
        open.row_count += count;
        let finished = std::mem::take(open.writer.inner_mut());
        if !finished.is_empty() {
            open.byte_count += finished.len() as u64;
            send(pieces, Piece::Bytes(finished.into()))?;
        }
        let bytes = (open.writer.bytes_written() + open.writer.in_progress_size()) as u64;
        let is_even = open.row_count >= self.destination.rows_per_file && bytes >= self.destination.file_bytes_min;
        if is_even || bytes >= self.destination.file_bytes_max {
            self.finish(pieces)?;
        }
        Ok(count as usize)
    }

    fn finish(&mut self, pieces: &mpsc::Sender<Piece>) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let (metadata, bytes) = finish_writer(open.writer)?;
        let byte_count = open.byte_count + bytes.len() as u64;
        let mut builder = FileEnd { metadata: &metadata, row_count: open.row_count, byte_count }
            .describe(&open.path, &self.table_schema)?;
        builder.partition(self.destination.partition.clone()).partition_spec_id(self.destination.spec_id);
        if let Some(sort_order_id) = self.destination.sort_order_id {
            builder.sort_order_id(sort_order_id);
        }
        let data_file = builder.build().expect("every required field of the data file is set");
        self.file_count += 1;
        send(pieces, Piece::Bytes(bytes))?;
        send(
            pieces,
            Piece::End(Box::new(WrittenFile { data_file, spec_id: self.destination.spec_id, path: open.path })),
        )
    }
}

fn send(pieces: &mpsc::Sender<Piece>, piece: Piece) -> Result<()> {
    pieces.blocking_send(piece).map_err(|_| Error::new(ErrorKind::Transient, "hand over a piece of a data file"))
}
