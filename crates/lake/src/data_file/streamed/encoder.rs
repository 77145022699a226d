//! Turns rows into pieces of files, on a thread of its own.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use iceberg::spec::SchemaRef;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use tokio::sync::mpsc;

use crate::data_file::WrittenFile;
use crate::data_file::encode::FileEnd;
use crate::data_file::layout::FileLayout;
use crate::data_file::streamed::Destination;
use crate::data_file::streamed::open_file::OpenFile;
use crate::error::{Error, ErrorKind, Result};

pub(super) enum ToEncode {
    Rows(RecordBatch),
    /// A row group of another file and the bytes of its columns.
    RowGroup {
        footer: Arc<ParquetMetaData>,
        number: usize,
        columns: mpsc::Receiver<Bytes>,
    },
    /// What comes cannot be had.
    Nothing,
}

/// What the encoder gives of a file, in order.
pub(super) enum Piece {
    Begin(String),
    Bytes(Bytes),
    End(Box<WrittenFile>),
}

pub(super) struct Encoder {
    layout: FileLayout,
    path_prefix: String,
    table_schema: SchemaRef,
    properties: WriterProperties,
    destination: Destination,
    file_count: u32,
    open: Option<OpenFile>,
}

impl Encoder {
    pub fn new(
        layout: FileLayout,
        table_schema: SchemaRef,
        properties: WriterProperties,
        path_prefix: String,
        destination: Destination,
    ) -> Self {
        Self { layout, path_prefix, table_schema, properties, destination, file_count: 0, open: None }
    }

    pub fn run(mut self, mut parts: mpsc::Receiver<ToEncode>, pieces: mpsc::Sender<Piece>) -> Result<()> {
        while let Some(part) = parts.blocking_recv() {
            match part {
                ToEncode::Rows(batch) => self.write_rows(&self.layout.fit(&batch)?, &pieces)?,
                ToEncode::RowGroup { footer, number, mut columns } => {
                    let copied = self.open(&pieces)?.copy(&footer, number, || columns.blocking_recv())?;
                    if !copied {
                        return Ok(());
                    }
                    self.hand_over(&pieces)?;
                }
                ToEncode::Nothing => return Ok(()),
            }
        }
        self.finish(&pieces)
    }

    fn write_rows(&mut self, batch: &RecordBatch, pieces: &mpsc::Sender<Piece>) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let rows_per_file = self.destination.rows_per_file;
            let open = self.open(pieces)?;
            let rows_left = rows_per_file.saturating_sub(open.row_count());
            let mut count = batch.num_rows() - start;
            // Behind its last row a file goes on only because it is too small yet.
            if rows_left > 0 {
                count = count.min(rows_left as usize);
            }
            open.write(&batch.slice(start, count))?;
            start += count;
            self.hand_over(pieces)?;
        }
        Ok(())
    }

    /// The file in progress, or a new one.
    fn open(&mut self, pieces: &mpsc::Sender<Piece>) -> Result<&mut OpenFile> {
        Ok(match &mut self.open {
            Some(open) => open,
            none => {
                let path = format!("{}-{:05}.parquet", self.path_prefix, self.file_count);
                send(pieces, Piece::Begin(path.clone()))?;
                none.insert(OpenFile::new(path, self.layout.schema(), self.properties.clone())?)
            }
        })
    }

    /// Hands over what is finished of the file, and ends it where it is full.
    fn hand_over(&mut self, pieces: &mpsc::Sender<Piece>) -> Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let finished = open.take_finished();
        if !finished.is_empty() {
            send(pieces, Piece::Bytes(finished))?;
        }
        let is_even =
            open.row_count() >= self.destination.rows_per_file && open.byte_count() >= self.destination.file_bytes_min;
        if is_even || open.byte_count() >= self.destination.file_bytes_max {
            self.finish(pieces)?;
        }
        Ok(())
    }

    fn finish(&mut self, pieces: &mpsc::Sender<Piece>) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let row_count = open.row_count();
        let (path, metadata, bytes, byte_count) = open.finish()?;
        let mut builder = FileEnd { metadata: &metadata, row_count, byte_count }.describe(&path, &self.table_schema)?;
        builder.partition(self.destination.partition.clone()).partition_spec_id(self.destination.spec_id);
        if let Some(sort_order_id) = self.destination.sort_order_id {
            builder.sort_order_id(sort_order_id);
        }
        let data_file = builder.build().expect("every required field of the data file is set");
        self.file_count += 1;
        send(pieces, Piece::Bytes(bytes))?;
        send(pieces, Piece::End(Box::new(WrittenFile { data_file, spec_id: self.destination.spec_id, path })))
    }
}

fn send(pieces: &mpsc::Sender<Piece>, piece: Piece) -> Result<()> {
    pieces.blocking_send(piece).map_err(|_| Error::new(ErrorKind::Transient, "hand over a piece of a data file"))
}
