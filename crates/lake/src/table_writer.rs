//! The one committer of a table.
//!
//! `batch` works out what a batch changes on a given head, `takeover` how the table is taken over, `mirror` keeps the
//! key index in step with the head, `request` what a writer is asked for.

mod batch;
mod mirror;
mod request;
mod takeover;

use arrow::datatypes::SchemaRef;
use iceberg::TableIdent;
use iceberg::table::Table;
use tracing::{debug, info};

pub use crate::table_writer::request::{ColumnAddition, Progress, RowChanges, WriterOptions};

use crate::catalog::Catalog;
use crate::commit::{Stamp, StoredCheckpoint, commit, find, is_stamped};
use crate::data_file::write_data_files;
use crate::error::{Error, ErrorKind, Result};
use crate::evolve;
use crate::key_index::KeyIndex;
use crate::scan::arrow_schema;
use crate::table_writer::batch::{Batch, BatchKeys};
use crate::table_writer::mirror::Mirror;
use crate::table_writer::takeover::Takeover;

/// Writes one table: rows, deletes and the checkpoint in one snapshot.
pub struct TableWriter {
    catalog: Catalog,
    pipeline: String,
    /// As of our last look. A commit on a head that has moved since is refused and built again.
    table: Table,
    schema: SchemaRef,
    /// `None` for a table whose rows are not replaced by their keys.
    mirror: Option<Mirror>,
    /// The key that rows are deleted by, where the table may hold it in many rows: they are looked for in the table.
    repeated_key: Vec<String>,
    /// What the table must stand on for us to commit: the stamp of our last commit. `None` before the takeover, and
    /// after an error, when the table may stand on something else.
    standing: Option<Stamp>,
}

impl TableWriter {
    /// Loads the table. Nothing is written before [`TableWriter::take_over`].
    pub async fn open(catalog: Catalog, table: TableIdent, options: WriterOptions) -> Result<Self> {
        let table = catalog.load_table(&table).await?;
        let schema = arrow_schema(&table)?;
        check_columns(&table, &schema, &options.key_columns)?;
        let mirror = match options.key_columns.is_empty() {
            true => None,
            false => Some(Mirror {
                index: KeyIndex::open(&options.index_dir, table.metadata().uuid())?,
                key_columns: options.key_columns,
            }),
        };
        let (pipeline, repeated_key) = (options.pipeline, Vec::new());
        Ok(Self { catalog, pipeline, table, schema, mirror, repeated_key, standing: None })
    }

    /// Loads a table to which rows are added whether or not it holds their key, and from which a delete takes every
    /// row of a key. Nothing is written before [`TableWriter::take_over`].
    pub async fn open_repeating(
        catalog: Catalog,
        table: TableIdent,
        pipeline: String,
        key_columns: Vec<String>,
    ) -> Result<Self> {
        let table = catalog.load_table(&table).await?;
        let schema = arrow_schema(&table)?;
        check_columns(&table, &schema, &key_columns)?;
        Ok(Self { catalog, pipeline, table, schema, mirror: None, repeated_key: key_columns, standing: None })
    }

    /// Commits an empty snapshot under the next epoch, after which no older writer can commit, and gives the
    /// checkpoint text stored in the table; `None` where it has none yet.
    pub async fn take_over(&mut self) -> Result<Option<String>> {
        self.standing = None;
        let head = self.catalog.load_table(self.table.identifier()).await?;
        if head.metadata().uuid() != self.table.metadata().uuid() {
            let message = format!("take over table {}, which was replaced by another", head.identifier());
            return Err(Error::new(ErrorKind::Transient, message));
        }
        let mut takeover = Takeover { commit_id: self.catalog.ambient().uuid(), pipeline: &self.pipeline };
        let landed = commit(&self.catalog, head, &mut takeover).await?;
        let stamp = find(landed.table.metadata())?.filter(|stamp| stamp.commit_id == takeover.commit_id);
        let stamp = stamp.ok_or_else(|| fenced(&landed.table))?;

        self.stand_on(landed.table)?;
        if let Some(mirror) = &mut self.mirror {
            mirror.follow(&self.table).await?;
        }
        let checkpoint = match &stamp.checkpoint {
            Some(checkpoint) => Some(checkpoint.read(&self.table).await?),
            None => None,
        };
        info!(table = %self.table.identifier(), epoch = stamp.epoch, "took over");
        self.standing = Some(stamp);
        Ok(checkpoint)
    }

    /// Up to when the table has everything that was written to its source, as the last commit says; `None` before the
    /// takeover.
    pub fn complete_up_to_ms(&self) -> Option<i64> {
        self.standing.as_ref()?.complete_up_to_ms
    }

    /// The table's current schema as Arrow, with `PARQUET:field_id` in each field's metadata and the column's doc
    /// under the metadata key `doc`.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Adds optional columns at the end of the table. One that is there already with the same type is left as it is.
    pub async fn add_columns(&mut self, columns: &[ColumnAddition]) -> Result<()> {
        let table = evolve::add_columns(&self.catalog, self.table.clone(), columns).await?;
        self.stand_on(table)
    }

    /// Makes `changes` and the checkpoint text `to` visible in one snapshot, or neither. `Fenced` if the table's
    /// checkpoint is not `from`, or its epoch is not ours. Resolves unknown outcomes before it returns: minutes, where
    /// the catalog does not answer. After an error only a new takeover tells whether the changes are visible.
    pub async fn commit(
        &mut self,
        changes: RowChanges,
        from: Option<&str>,
        to: impl Into<Progress<'_>> + Send,
    ) -> Result<()> {
        let to = to.into();
        let Some(standing) = self.standing.take() else {
            let message = format!("commit to table {} before it was taken over", self.table.identifier());
            return Err(Error::new(ErrorKind::Unexpected, message));
        };
        let is_from = match (&standing.checkpoint, from) {
            (Some(stored), Some(from)) => stored.is(from),
            (stored, from) => stored.is_none() && from.is_none(),
        };
        if !is_from {
            return Err(fenced(&self.table));
        }

        let commit_id = to.commit_id.unwrap_or_else(|| self.catalog.ambient().uuid());
        let file_prefix = format!("{}-{commit_id}", standing.epoch);
        let keys = BatchKeys::of(&changes, self.mirror.as_ref(), &self.repeated_key, &self.table)?;
        let rows = write_data_files(&self.table, &file_prefix, &changes.upserts).await?;
        let checkpoint = Some(StoredCheckpoint::store(&self.table, commit_id, to.checkpoint).await?);
        let complete_up_to_ms = to.complete_up_to_ms.or(standing.complete_up_to_ms);
        let stamp = Stamp { commit_id, checkpoint, complete_up_to_ms, ..standing.clone() };
        let mut batch = Batch {
            stamp,
            standing,
            keys,
            rows,
            mirror: self.mirror.as_mut(),
            repeated_key: &self.repeated_key,
            file_prefix,
            attempt_number: 0,
        };
        let landed = commit(&self.catalog, self.table.clone(), &mut batch).await?;

        let stamp = batch.stamp.clone();
        batch.update_index(&landed)?;
        debug!(snapshot_id = landed.snapshot_id, "committed");
        self.stand_on(landed.table)?;
        self.standing = Some(stamp);
        Ok(())
    }

    /// Whether others have put snapshots on top of our last one. When that one expires, and some of theirs with it, the
    /// checkpoint is no longer tied to the table: commit before, be it nothing.
    pub async fn is_overtaken(&self) -> Result<bool> {
        let head = self.catalog.load_table(self.table.identifier()).await?;
        Ok(!is_stamped(head.metadata()))
    }

    fn stand_on(&mut self, table: Table) -> Result<()> {
        if table.metadata().current_schema_id() != self.table.metadata().current_schema_id() {
            self.schema = arrow_schema(&table)?;
        }
        self.table = table;
        Ok(())
    }
}

fn check_columns(table: &Table, schema: &SchemaRef, columns: &[String]) -> Result<()> {
    match columns.iter().find(|column| schema.field_with_name(column).is_err()) {
        None => Ok(()),
        Some(column) => {
            let message = format!("find key column {column} in table {}", table.identifier());
            Err(Error::new(ErrorKind::Refused, message))
        }
    }
}

fn fenced(table: &Table) -> Error {
    let message = format!(
        "commit to table {}, which another writer has taken over. Try: start this one again, where the other one is done",
        table.identifier()
    );
    Error::new(ErrorKind::Fenced, message)
}
