//! Rows that people add to a table which no pipeline writes.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use iceberg::TableIdent;
use iceberg::table::Table;
use tracing::{debug, info};
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::commit::{Change, RowDelta, Stamp, commit, find};
use crate::data_file::{WrittenFile, write_data_files};
use crate::error::{Error, ErrorKind, Result};
use crate::scan::arrow_schema;

/// Rows are held until so many bytes of them have come together; then they become files.
const HELD_BYTES_MAX: usize = 128 << 20;

/// The pipeline that writes the table; `None` where people may.
pub fn pipeline_of(table: &Table) -> Result<Option<String>> {
    Ok(find(table.metadata())?.map(|stamp| stamp.pipeline))
}

/// Adds rows to a table, all of them in one snapshot. Dropped before its commit, it leaves the table as it was.
pub struct Appender {
    catalog: Catalog,
    table: Table,
    schema: SchemaRef,
    commit_id: Uuid,
    held: Vec<RecordBatch>,
    held_bytes: usize,
    files: Vec<WrittenFile>,
    flush_count: u32,
    row_count: u64,
}

impl Appender {
    /// `Refused` where a pipeline writes the table.
    pub async fn open(catalog: &Catalog, table: &TableIdent) -> Result<Self> {
        let table = catalog.load_table(table).await?;
        refuse_owned(&table, find(table.metadata())?)?;
        Ok(Self {
            catalog: catalog.clone(),
            schema: arrow_schema(&table)?,
            table,
            commit_id: catalog.ambient().uuid(),
            held: Vec::new(),
            held_bytes: 0,
            files: Vec::new(),
            flush_count: 0,
            row_count: 0,
        })
    }

    /// The table's columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Takes rows whose columns are named as the table's. One that is missing is null. `Refused` where a value does not
    /// fit its column.
    pub async fn write(&mut self, rows: RecordBatch) -> Result<()> {
        self.row_count += rows.num_rows() as u64;
        self.held_bytes += rows.get_array_memory_size();
        self.held.push(rows);
        if self.held_bytes >= HELD_BYTES_MAX { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        let file_prefix = format!("{}-{}", self.commit_id, self.flush_count);
        self.flush_count += 1;
        self.held_bytes = 0;
        let written = write_data_files(&self.table, &file_prefix, &std::mem::take(&mut self.held)).await?;
        self.files.extend(written.files);
        Ok(())
    }

    /// Makes the rows visible, and tells how many they are. `Refused` where a pipeline has taken the table over.
    pub async fn commit(mut self) -> Result<u64> {
        self.flush().await?;
        if self.files.is_empty() {
            return Ok(0);
        }
        let mut append = Append { commit_id: self.commit_id, files: self.files.clone(), is_doubtful: false };
        match commit(&self.catalog, self.table.clone(), &mut append).await {
            Ok(landed) => {
                info!(table = %self.table.identifier(), snapshot_id = landed.snapshot_id, rows = self.row_count, "appended");
                Ok(self.row_count)
            }
            Err(error) => {
                // After a request whose outcome is unknown the files may be in the table.
                if !append.is_doubtful {
                    self.abandon().await;
                }
                Err(error)
            }
        }
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

struct Append {
    commit_id: Uuid,
    files: Vec<WrittenFile>,
    is_doubtful: bool,
}

#[async_trait]
impl Change for Append {
    fn commit_id(&self) -> Uuid {
        self.commit_id
    }

    async fn prepare(&mut self, head: &Table, found: Option<Stamp>) -> Result<RowDelta> {
        refuse_owned(head, found)?;
        Ok(RowDelta {
            commit_id: self.commit_id,
            data_files: self.files.clone(),
            delete_files: Vec::new(),
            replaced: None,
            stamp: None,
        })
    }

    fn doubted(&mut self) {
        self.is_doubtful = true;
    }
}

/// A pipeline's index would miss the rows, and its next commit could bring a key twice.
fn refuse_owned(table: &Table, found: Option<Stamp>) -> Result<()> {
    match found {
        None => Ok(()),
        Some(stamp) => {
            let message = format!("change table {}, which pipeline {} writes", table.identifier(), stamp.pipeline);
            Err(Error::new(ErrorKind::Refused, message))
        }
    }
}
