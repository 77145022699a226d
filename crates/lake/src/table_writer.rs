//! The one committer of a table.

use std::path::PathBuf;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use iceberg::TableIdent;

use crate::catalog::Catalog;
use crate::error::{Error, ErrorKind, Result};

/// Rows to put into the table and items to take out of it. No key is in it twice.
#[derive(Clone, Debug, Default)]
pub struct RowChanges {
    /// Rows of the table's full schema. Where the writer has key columns, they replace what the table holds under
    /// their key; else they are appended.
    pub upserts: Vec<RecordBatch>,
    /// The key columns of the items to delete, named as in the table.
    pub deletes: Vec<RecordBatch>,
}

pub struct WriterOptions {
    /// Names the checkpoint's owner; from the configuration, never from a process or a run.
    pub pipeline: String,
    /// Columns that identify a row. Empty: the table only grows.
    pub key_columns: Vec<String>,
    /// The folder of the key index. It is a cache: deleting it costs a rebuild.
    pub index_dir: PathBuf,
}

/// A column to add at the end of the table, optional.
pub struct ColumnAddition {
    pub name: String,
    pub data_type: DataType,
    pub doc: Option<String>,
}

/// Writes one table: rows, deletes and the checkpoint in one snapshot.
pub struct TableWriter {
    _catalog: Catalog,
    _table: TableIdent,
}

impl TableWriter {
    /// Loads the table. Nothing is written before [`TableWriter::take_over`].
    pub async fn open(_catalog: Catalog, _table: TableIdent, _options: WriterOptions) -> Result<Self> {
        Err(Error::new(ErrorKind::Unexpected, "open table"))
    }

    /// Commits an empty snapshot under the next epoch, after which no older writer can commit, and gives the
    /// checkpoint text stored in the table; `None` where it has none yet.
    pub async fn take_over(&mut self) -> Result<Option<String>> {
        Err(Error::new(ErrorKind::Unexpected, "take over table"))
    }

    /// The table's current schema as Arrow, with `PARQUET:field_id` in each field's metadata and the column's doc
    /// under the metadata key `doc`.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::new(arrow::datatypes::Schema::empty())
    }

    pub async fn add_columns(&mut self, _columns: &[ColumnAddition]) -> Result<()> {
        Err(Error::new(ErrorKind::Unexpected, "add columns"))
    }

    /// Makes `changes` and the checkpoint text `to` visible in one snapshot, or neither. `Fenced` if the table's
    /// checkpoint is not `from`, or its epoch is not ours. Resolves unknown outcomes before it returns.
    pub async fn commit(&mut self, _changes: RowChanges, _from: Option<&str>, _to: &str) -> Result<()> {
        Err(Error::new(ErrorKind::Unexpected, "commit"))
    }
}
