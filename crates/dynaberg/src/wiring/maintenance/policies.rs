//! What maintenance is asked for.

use std::time::Duration;

use lake::maintain::compact::{CompactionPolicy, Strategy};
use lake::maintain::expire::SnapshotPolicy;
use lake::maintain::sweep::SweepPolicy;
use local_warehouse::{CompactionStrategy, MaintainedTable};

/// A job without a policy is off.
#[derive(Clone, Debug)]
pub struct Policies {
    pub compaction: Option<CompactionPolicy>,
    pub snapshots: Option<SnapshotPolicy>,
    pub unreferenced_files: Option<SweepPolicy>,
}

impl Policies {
    /// For a table in a catalog that maintains nothing. Each commit writes the list of all snapshots again, so that a
    /// pipeline that commits every second needs them to go soon; a table that is to be asked about its past for longer
    /// says so by its property `history.expire.max-snapshot-age-ms`.
    pub fn unmanaged() -> Self {
        Self {
            compaction: Some(CompactionPolicy::default()),
            snapshots: Some(SnapshotPolicy { snapshots_min: 100, age_max: Duration::from_secs(60 * 60) }),
            unreferenced_files: Some(SweepPolicy::default()),
        }
    }

    /// As the table's owner has set them over the API of S3 Tables.
    pub fn of(table: &MaintainedTable) -> Self {
        let (compaction, snapshots) = (&table.compaction, &table.snapshot_management);
        let files = &table.unreferenced_file_removal;
        Self {
            compaction: compaction.is_enabled.then(|| CompactionPolicy {
                target_file_bytes: u64::from(compaction.target_file_size_mb) << 20,
                strategy: match compaction.strategy {
                    CompactionStrategy::Auto => Strategy::Auto,
                    CompactionStrategy::Binpack => Strategy::BinPack,
                    CompactionStrategy::Sort => Strategy::Sort,
                    CompactionStrategy::ZOrder => Strategy::ZOrder,
                },
            }),
            snapshots: snapshots.is_enabled.then(|| SnapshotPolicy {
                snapshots_min: snapshots.min_snapshots_to_keep,
                age_max: Duration::from_secs(u64::from(snapshots.max_snapshot_age_hours) * 60 * 60),
            }),
            unreferenced_files: files.is_enabled.then_some(SweepPolicy {
                unreferenced_days: files.unreferenced_days,
                noncurrent_days: files.non_current_days,
            }),
        }
    }
}
