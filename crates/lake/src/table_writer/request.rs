//! What a writer is asked for.

use std::path::PathBuf;

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use uuid::Uuid;

/// Rows to put into the table and items to take out of it. No key is in it twice.
#[derive(Clone, Debug, Default)]
pub struct RowChanges {
    /// Rows of the table's full schema. Where the writer has key columns, they replace what the table holds under
    /// their key; else they are appended.
    pub upserts: Vec<RecordBatch>,
    /// The key columns of the items to delete, named as in the table.
    pub deletes: Vec<RecordBatch>,
}

/// How far the source is applied with a commit.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The checkpoint's text, which the next commit must start from.
    pub checkpoint: &'a str,
    /// Everything written to the source before this moment is in the table then, in milliseconds since the Unix epoch.
    pub complete_up_to_ms: Option<i64>,
    /// The commit's id, the same over all its attempts; a new one where there is none.
    pub commit_id: Option<Uuid>,
}

impl<'a> From<&'a str> for Progress<'a> {
    fn from(checkpoint: &'a str) -> Self {
        Self { checkpoint, complete_up_to_ms: None, commit_id: None }
    }
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
