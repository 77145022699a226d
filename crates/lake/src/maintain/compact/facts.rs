//! What planning knows of a table: plain numbers, so that a test can write a table down.

/// A table's files by partition. A partition of another partition spec is another partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableFacts {
    pub partitions: Vec<PartitionFacts>,
    /// The id of the table's sort order; `None` where it has none.
    pub sort_order_id: Option<i32>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionFacts {
    /// `day=2024-01-01`, empty where the table is not partitioned.
    pub name: String,
    pub data: Vec<DataFacts>,
    pub deletes: Vec<DeleteFacts>,
    /// Why nothing in it can be rewritten.
    pub obstacle: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct DataFacts {
    pub path: String,
    pub sequence_number: i64,
    pub bytes: u64,
    pub rows: u64,
    pub deleted_rows: u64,
    pub sort_order_id: Option<i32>,
}

/// A file of position deletes.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteFacts {
    pub path: String,
    pub bytes: u64,
    pub rows: u64,
    /// The live data files that it deletes from.
    pub data_paths: Vec<String>,
}

impl DataFacts {
    pub fn live_rows(&self) -> u64 {
        self.rows.saturating_sub(self.deleted_rows)
    }

    /// About how large the file is without its deleted rows.
    pub fn live_bytes(&self) -> u64 {
        (u128::from(self.bytes) * u128::from(self.live_rows()) / u128::from(self.rows.max(1))) as u64
    }
}
