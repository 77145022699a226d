//! What a table's owner asks of compaction.

/// How large files should be, and in which order their rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionPolicy {
    pub target_file_bytes: u64,
    pub strategy: Strategy,
}

/// The strategies of S3 Tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `Sort` where the table has a sort order, else `BinPack`.
    #[default]
    Auto,
    /// Rows stay in the order they were written in.
    BinPack,
    /// Rows are sorted by the table's sort order, within what is rewritten together.
    Sort,
    /// Rows that are near each other in all columns of the sort order come near each other.
    ZOrder,
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self { target_file_bytes: 512 << 20, strategy: Strategy::Auto }
    }
}
