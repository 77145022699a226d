//! Rows that people delete and change in a table which no pipeline writes: position deletes and new rows in one snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use iceberg::TableIdent;
use iceberg::table::Table;
use roaring::RoaringTreemap;
use tracing::info;
use uuid::Uuid;

use crate::append::{HeldRows, refuse_owned};
use crate::catalog::Catalog;
use crate::commit::{Change, RowDelta, Stamp, commit, find};
use crate::data_file::WrittenFile;
use crate::error::{Error, ErrorKind, Result};
use crate::position_deletes::{DeletedRows, write_position_deletes};
use crate::scan::{LakeTable, PositionedTable, ScanCache, arrow_schema};

/// Edits of one snapshot's rows. What they are was decided by reading that snapshot, so they are committed on top of it
/// and of no other. Dropped before the commit, they leave the table as it was.
pub struct RowEdits {
    catalog: Catalog,
    base: PositionedTable,
    schema: SchemaRef,
    deleted: BTreeMap<i32, RoaringTreemap>,
    rows: HeldRows,
}

/// What became of edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    Done,
    /// The table has another head now, by which they may be other ones. Nothing of them is left.
    Overtaken,
}

impl RowEdits {
    /// Edits of the table's current snapshot. `Refused` where a pipeline writes the table.
    pub async fn open(catalog: &Catalog, table: &TableIdent, cache: &Arc<ScanCache>) -> Result<Self> {
        let table = catalog.load_table(table).await?;
        refuse_owned(&table, find(table.metadata())?)?;
        let schema = arrow_schema(&table)?;
        let rows = HeldRows::new(table.clone(), catalog.ambient().uuid());
        let stores = catalog.clone();
        let base = LakeTable::new(table, Arc::new(move |location| stores.store_for(location)), cache.clone())?;
        let base = PositionedTable::new(base);
        Ok(Self { catalog: catalog.clone(), base, schema, deleted: BTreeMap::new(), rows })
    }

    /// The table that is edited.
    pub fn table(&self) -> &LakeTable {
        self.base.table()
    }

    /// Its rows, and behind its columns `$file` and `$pos`, by which [`RowEdits::delete`] knows a row.
    pub fn positioned(&self) -> Arc<dyn TableProvider> {
        Arc::new(self.base.clone())
    }

    /// The table's columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Deletes a row. Tells whether it was still there.
    pub fn delete(&mut self, file: i32, position: i64) -> bool {
        self.deleted.entry(file).or_default().insert(position as u64)
    }

    /// Adds rows whose columns are named as the table's. One that is missing is null. `Refused` where a value does not
    /// fit its column.
    pub async fn write(&mut self, rows: RecordBatch) -> Result<()> {
        self.rows.write(rows).await
    }

    /// Makes all of it visible at once, or nothing. `Refused` where a pipeline has taken the table over.
    pub async fn commit(mut self) -> Result<Edited> {
        self.rows.flush().await?;
        if self.deleted.is_empty() && self.rows.files.is_empty() {
            return Ok(Edited::Done);
        }
        let table = self.base.table().table().clone();
        let mut edit = Edit {
            commit_id: self.rows.commit_id,
            base_uuid: table.metadata().uuid(),
            base_snapshot_id: table.metadata().current_snapshot_id(),
            deleted: self.deleted_rows()?,
            files: self.rows.files.clone(),
            attempt_number: 0,
            is_overtaken: false,
            is_doubtful: false,
        };
        match commit(&self.catalog, table.clone(), &mut edit).await {
            Ok(landed) => {
                let deleted: usize = edit.deleted.iter().map(|file| file.positions.len()).sum();
                let (written, snapshot_id) = (self.rows.row_count, landed.snapshot_id);
                info!(table = %table.identifier(), snapshot_id, deleted, written, "edited");
                Ok(Edited::Done)
            }
            // After a request whose outcome is unknown the files may be in the table.
            Err(error) if edit.is_doubtful => Err(error),
            Err(error) => {
                self.abandon().await;
                if edit.is_overtaken { Ok(Edited::Overtaken) } else { Err(error) }
            }
        }
    }

    /// Deletes what was written, for edits that shall not come. What cannot be deleted is found by the sweep.
    pub async fn abandon(self) {
        self.rows.abandon().await;
    }

    fn deleted_rows(&self) -> Result<Vec<DeletedRows>> {
        let of_file = |(number, positions): (&i32, &RoaringTreemap)| {
            let file = self.base.file(*number);
            let file = file.ok_or_else(|| Error::new(ErrorKind::Unexpected, format!("find file {number}")))?;
            let positions = positions.iter().collect();
            Ok(DeletedRows { data_file_path: file.path, spec_id: file.spec_id, partition: file.partition, positions })
        };
        self.deleted.iter().map(of_file).collect()
    }
}

/// One logical commit. Its data files serve every attempt.
struct Edit {
    commit_id: Uuid,
    base_uuid: Uuid,
    base_snapshot_id: Option<i64>,
    deleted: Vec<DeletedRows>,
    files: Vec<WrittenFile>,
    attempt_number: u32,
    is_overtaken: bool,
    is_doubtful: bool,
}

#[async_trait]
impl Change for Edit {
    fn commit_id(&self) -> Uuid {
        self.commit_id
    }

    async fn prepare(&mut self, head: &Table, found: Option<Stamp>) -> Result<RowDelta> {
        refuse_owned(head, found)?;
        let is_same_table = head.metadata().uuid() == self.base_uuid;
        if !is_same_table || head.metadata().current_snapshot_id() != self.base_snapshot_id {
            self.is_overtaken = true;
            let message = format!("edit {}, which others have changed meanwhile", head.identifier());
            return Err(Error::new(ErrorKind::Transient, message));
        }
        self.attempt_number += 1;
        let file_prefix = format!("{}-{}", self.commit_id, self.attempt_number);
        Ok(RowDelta {
            commit_id: self.commit_id,
            data_files: self.files.clone(),
            delete_files: write_position_deletes(head, &file_prefix, self.deleted.clone()).await?,
            replaced: None,
            stamp: None,
        })
    }

    fn doubted(&mut self) {
        self.is_doubtful = true;
    }
}
