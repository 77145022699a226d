//! The settings of maintenance, with AWS's defaults: all of it is on from a table's creation.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-tables-maintenance.html>

/// `icebergCompaction`, of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    pub is_enabled: bool,
    /// 64 to 512.
    pub target_file_size_mb: u32,
    pub strategy: CompactionStrategy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompactionStrategy {
    /// Sort where the table has a sort order, else binpack.
    Auto,
    Binpack,
    /// Needs a sort order. S3 Tables takes the setting without one as well, so it is the job that fails.
    Sort,
    /// Needs a sort order, as `Sort` does.
    ZOrder,
}

/// `icebergSnapshotManagement`, of a table. A snapshot expires when it is older than that and more than so many are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotManagement {
    pub is_enabled: bool,
    pub min_snapshots_to_keep: u32,
    pub max_snapshot_age_hours: u32,
}

/// `icebergUnreferencedFileRemoval`, of a table bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreferencedFileRemoval {
    pub is_enabled: bool,
    /// How long a file that no snapshot names is left alone.
    pub unreferenced_days: u32,
    /// How long after that it is kept back, before it is deleted for good.
    pub non_current_days: u32,
}

impl CompactionStrategy {
    pub const ALL: [Self; 4] = [Self::Auto, Self::Binpack, Self::Sort, Self::ZOrder];

    /// As the API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Binpack => "binpack",
            Self::Sort => "sort",
            Self::ZOrder => "z-order",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }
}

impl Default for Compaction {
    fn default() -> Self {
        Self { is_enabled: true, target_file_size_mb: 512, strategy: CompactionStrategy::Auto }
    }
}

impl Default for SnapshotManagement {
    fn default() -> Self {
        Self { is_enabled: true, min_snapshots_to_keep: 1, max_snapshot_age_hours: 120 }
    }
}

impl Default for UnreferencedFileRemoval {
    fn default() -> Self {
        Self { is_enabled: true, unreferenced_days: 3, non_current_days: 10 }
    }
}
