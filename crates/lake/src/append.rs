//! Rows that people add to a table which no pipeline writes.

mod held_rows;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use iceberg::TableIdent;
use iceberg::table::Table;
use tracing::info;
use uuid::Uuid;

pub(crate) use crate::append::held_rows::HeldRows;
use crate::catalog::Catalog;
use crate::commit::{Change, RowDelta, Stamp, commit, find};
use crate::data_file::WrittenFile;
use crate::error::{Error, ErrorKind, Result};
use crate::scan::arrow_schema;

/// The pipeline that writes the table; `None` where people may.
pub fn pipeline_of(table: &Table) -> Result<Option<String>> {
    Ok(find(table.metadata())?.map(|stamp| stamp.pipeline))
}

/// Adds rows to a table, all of them in one snapshot. Dropped before its commit, it leaves the table as it was.
pub struct Appender {
    catalog: Catalog,
    schema: SchemaRef,
    rows: HeldRows,
}

impl Appender {
    /// `Refused` where a pipeline writes the table.
    pub async fn open(catalog: &Catalog, table: &TableIdent) -> Result<Self> {
        let table = catalog.load_table(table).await?;
        refuse_owned(&table, find(table.metadata())?)?;
        let schema = arrow_schema(&table)?;
        Ok(Self { catalog: catalog.clone(), schema, rows: HeldRows::new(table, catalog.ambient().uuid()) })
    }

    /// The table's columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Takes rows whose columns are named as the table's. One that is missing is null. `Refused` where a value does not
    /// fit its column.
    pub async fn write(&mut self, rows: RecordBatch) -> Result<()> {
        self.rows.write(rows).await
    }

    /// Makes the rows visible, and tells how many they are. `Refused` where a pipeline has taken the table over.
    pub async fn commit(mut self) -> Result<u64> {
        self.rows.flush().await?;
        let (commit_id, row_count) = (self.rows.commit_id, self.rows.row_count);
        if self.rows.files.is_empty() {
            return Ok(0);
        }
        let mut append = Append { commit_id, files: self.rows.files.clone(), is_doubtful: false };
        let table = self.rows.table.clone();
        match commit(&self.catalog, table.clone(), &mut append).await {
            Ok(landed) => {
                info!(table = %table.identifier(), snapshot_id = landed.snapshot_id, rows = row_count, "appended");
                Ok(row_count)
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
        self.rows.abandon().await;
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
pub(crate) fn refuse_owned(table: &Table, found: Option<Stamp>) -> Result<()> {
    match found {
        None => Ok(()),
        Some(stamp) => {
            let message = format!("change table {}, which pipeline {} writes", table.identifier(), stamp.pipeline);
            Err(Error::new(ErrorKind::Refused, message))
        }
    }
}
