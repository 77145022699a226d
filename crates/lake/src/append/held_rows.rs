//! Rows on their way into data files that no snapshot has yet.

use arrow::record_batch::RecordBatch;
use iceberg::table::Table;
use tracing::debug;
use uuid::Uuid;

use crate::data_file::{WrittenFile, write_data_files};
use crate::error::Result;

/// Rows are held until so many bytes of them have come together; then they become files.
const HELD_BYTES_MAX: usize = 128 << 20;

pub(crate) struct HeldRows {
    pub table: Table,
    /// Files carry it in their names.
    pub commit_id: Uuid,
    /// What is written so far.
    pub files: Vec<WrittenFile>,
    pub row_count: u64,
    held: Vec<RecordBatch>,
    held_bytes: usize,
    flush_count: u32,
}

impl HeldRows {
    pub fn new(table: Table, commit_id: Uuid) -> Self {
        Self { table, commit_id, files: Vec::new(), row_count: 0, held: Vec::new(), held_bytes: 0, flush_count: 0 }
    }

    /// Takes rows whose columns are named as the table's. One that is missing is null. `Refused` where a value does not
    /// fit its column.
    pub async fn write(&mut self, rows: RecordBatch) -> Result<()> {
        self.row_count += rows.num_rows() as u64;
        self.held_bytes += rows.get_array_memory_size();
        self.held.push(rows);
        if self.held_bytes >= HELD_BYTES_MAX { self.flush().await } else { Ok(()) }
    }

    pub async fn flush(&mut self) -> Result<()> {
        let file_prefix = format!("{}-{}", self.commit_id, self.flush_count);
        self.flush_count += 1;
        self.held_bytes = 0;
        let written = write_data_files(&self.table, &file_prefix, &std::mem::take(&mut self.held)).await?;
        self.files.extend(written.files);
        Ok(())
    }

    /// Deletes what was written, for rows that shall not come. What cannot be deleted is found by the sweep.
    pub async fn abandon(self) {
        for file in &self.files {
            if let Err(error) = self.table.file_io().delete(&file.path).await {
                debug!(path = file.path, %error, "left a file behind");
            }
        }
    }
}
