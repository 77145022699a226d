//! What a query gives back.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lake::LakeTable;

use crate::visible::{SeenTables, Visible, Write};

/// The summary property in which our writer says how far the table follows its source, in milliseconds since 1970.
const COMPLETE_UP_TO: &str = "dynaberg.complete-up-to";

/// The rows, and how they came about.
#[derive(Clone, Debug)]
pub struct Answer {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    /// Bytes of data files that were read; what only metadata answers reads none.
    pub bytes_read: u64,
    /// Each table the query named, in the order of their names.
    pub tables: Vec<TableRead>,
    /// What it changed; `None` for a query that reads.
    pub wrote: Option<Wrote>,
}

/// What a statement changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrote {
    /// The rights that it took.
    pub rights: Vec<Write>,
    /// `None` where that is the engine's own.
    pub catalog: Option<String>,
    pub database: String,
    pub table: String,
    /// Rows that were written; `None` where only the table's description changed.
    pub rows: Option<u64>,
    /// Where they lie, in an external table: `s3://bucket/prefix/file.parquet`.
    pub files: Option<Vec<String>>,
}

/// The state of a table that a query has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRead {
    /// The catalog that it was found in; `None` where that is the engine's own.
    pub catalog: Option<String>,
    /// `analytics.transactions`
    pub name: String,
    /// `None` where the table has no snapshot yet.
    pub snapshot: Option<SnapshotRead>,
    /// What of it could be seen.
    pub visible: Visible,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRead {
    pub snapshot_id: i64,
    pub sequence_number: i64,
    pub timestamp_ms: i64,
    /// Everything written to the source until then is in the table; `None` where no writer of ours said so.
    pub complete_up_to_ms: Option<i64>,
}

impl Answer {
    pub fn row_count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

impl TableRead {
    pub(crate) fn of(table: &LakeTable, found_in: &SeenTables) -> Self {
        let snapshot = table.snapshot().map(|snapshot| SnapshotRead {
            snapshot_id: snapshot.snapshot_id(),
            sequence_number: snapshot.sequence_number(),
            timestamp_ms: snapshot.timestamp_ms(),
            complete_up_to_ms: (snapshot.summary().additional_properties.get(COMPLETE_UP_TO))
                .and_then(|value| value.parse().ok()),
        });
        let (catalog, name) = (found_in.catalog().map(str::to_owned), table.table().identifier().to_string());
        Self { catalog, name, snapshot, visible: found_in.visible(table) }
    }
}
