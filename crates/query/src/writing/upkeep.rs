//! OPTIMIZE and VACUUM: the lake's own maintenance, when somebody asks for it.

use std::time::Duration;

use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::sql::sqlparser::ast::Expr;
use lake::LakeTable;
use lake::maintain::Inventory;
use lake::maintain::compact::{self, CompactionPolicy, Progress, Strategy, TableFiles};
use lake::maintain::expire::{self, SnapshotPolicy};

use crate::diagnosis;
use crate::engine::Engine;
use crate::error::Result;
use crate::writing::{Done, Target, failed};

/// Athena's defaults: five days, and one snapshot at least.
/// <https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-creating-tables.html>
const SNAPSHOT_AGE_DEFAULT: Duration = Duration::from_secs(432_000);
const SNAPSHOTS_KEPT_DEFAULT: u64 = 1;
/// Compaction may leave small files that it can merge with one another.
const ROUNDS_MAX: usize = 3;

impl Engine {
    /// Compacts the table, or those of its files that may hold rows for a condition.
    pub(super) async fn optimize(&self, target: &Target, selection: Option<&Expr>) -> Result<Done> {
        for _ in 0..ROUNDS_MAX {
            let mut files = TableFiles::load(&target.catalog, &target.ident).await.map_err(failed)?;
            if let Some(selection) = selection {
                files.retain(&self.matching_files(target, selection).await?);
            }
            let property = |name: &str| files.property(name).and_then(|text| text.parse::<u64>().ok());
            let target_file_bytes = property("write.target-file-size-bytes");
            let policy = CompactionPolicy {
                target_file_bytes: target_file_bytes.unwrap_or(CompactionPolicy::default().target_file_bytes),
                strategy: Strategy::BinPack,
            };
            let plan = compact::plan(&files, &policy).map_err(failed)?;
            if plan.tasks.is_empty() {
                break;
            }
            for task in &plan.tasks {
                compact::run(&target.catalog, &files, task, &Progress::default()).await.map_err(failed)?;
            }
        }
        Ok(Done::default())
    }

    /// The data files that may hold rows for a condition on the table's columns.
    async fn matching_files(&self, target: &Target, selection: &Expr) -> Result<Vec<String>> {
        let table = LakeTable::load(&target.catalog, &target.ident, self.cache.clone()).await.map_err(failed)?;
        let schema = DFSchema::try_from(table.schema()).map_err(|error| diagnosis::of(error, &[]))?;
        let filter = self.state.create_logical_expr(&selection.to_string(), &schema);
        let filter = filter.map_err(|error| diagnosis::of(error, &[]))?;
        table.files_matching(&self.state, &[filter]).await.map_err(|error| diagnosis::of(error, &[]))
    }

    /// Expires snapshots by the table's properties, and deletes what only they held.
    pub(super) async fn vacuum(&self, target: &Target) -> Result<Done> {
        let table = target.catalog.load_table(&target.ident).await.map_err(failed)?;
        let property = |name: &str| table.metadata().properties().get(name).and_then(|text| text.parse::<u64>().ok());
        let policy = SnapshotPolicy {
            age_max: property("vacuum_max_snapshot_age_seconds").map_or(SNAPSHOT_AGE_DEFAULT, Duration::from_secs),
            snapshots_min: property("vacuum_min_snapshots_to_keep").unwrap_or(SNAPSHOTS_KEPT_DEFAULT) as u32,
        };
        let mut inventory = Inventory::default();
        let expired = expire::run(&target.catalog, &target.ident, &policy, &mut inventory).await.map_err(failed)?;
        expire::remove(&target.catalog, &target.ident, &expired, &self.cache, &mut inventory).await.map_err(failed)?;
        Ok(Done::default())
    }
}
