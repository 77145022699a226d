//! One table's maintenance, and what is remembered of it from one time to the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use iceberg::TableIdent;
use lake::maintain::compact::{self, CompactionPolicy, Done, Outcome, Plan, Progress, TableFiles, Task};
use lake::maintain::expire::{self, Expired, SnapshotPolicy};
use lake::maintain::sweep::{self, SweepPolicy, Swept};
use lake::maintain::{Inventory, metadata_log};
use lake::{Catalog, ScanCache};
use tokio::time::Instant;
use tracing::{info, warn};

use super::metrics;

type Result<T> = std::result::Result<T, lake::Error>;

/// How often compaction plans anew for one table before it lets other tables have their turn.
const PLANS_MAX: usize = 4;

pub struct Upkeep {
    pub catalog: Catalog,
    pub table: TableIdent,
    readers: Arc<ScanCache>,
    inventory: Inventory,
    /// The head on which compaction found nothing more to do, and what it was asked for.
    compacted: Option<(i64, CompactionPolicy)>,
    /// What expired snapshots held, and from when on it may be deleted. Where the process ends before, the files are left
    /// to the sweep.
    waiting: VecDeque<(Instant, Expired)>,
}

impl Upkeep {
    /// `readers` are the queries of this process, whose files are left alone.
    pub fn new(catalog: Catalog, table: TableIdent, readers: Arc<ScanCache>) -> Self {
        let (inventory, waiting) = (Inventory::default(), VecDeque::new());
        Self { catalog, table, readers, inventory, compacted: None, waiting }
    }

    /// What compaction would do now.
    pub async fn plan(&self, policy: &CompactionPolicy) -> Result<(TableFiles, Plan)> {
        let files = TableFiles::load(&self.catalog, &self.table).await?;
        let plan = compact::plan(&files, policy)?;
        Ok((files, plan))
    }

    /// Compacts until there is nothing more to do, or until writers got in the way too often. Gives what was done.
    pub async fn compact(&mut self, policy: &CompactionPolicy) -> Result<Vec<Done>> {
        let mut all = Vec::new();
        for _ in 0..PLANS_MAX {
            let head = self.catalog.load_table(&self.table).await?.metadata().current_snapshot_id();
            let is_done = |(done, asked): &(i64, CompactionPolicy)| head == Some(*done) && asked == policy;
            if self.compacted.as_ref().is_some_and(is_done) {
                break;
            }
            let (files, plan) = self.plan(policy).await?;
            if plan.tasks.is_empty() {
                self.compacted = files.snapshot_id().map(|id| (id, policy.clone()));
                break;
            }
            for task in &plan.tasks {
                all.extend(self.run(&files, task, &Progress::default()).await?);
            }
        }
        Ok(all)
    }

    /// Runs one task of a plan; `None` where it left the table to others.
    pub async fn run(&self, files: &TableFiles, task: &Task, progress: &Progress) -> Result<Option<Done>> {
        match compact::run(&self.catalog, files, task, progress).await? {
            Outcome::Done(done) => {
                metrics::compacted(&self.table, &done);
                Ok(Some(done))
            }
            Outcome::GaveUp(reason) => {
                info!(table = %self.table, %reason, "compaction left the table to others");
                Ok(None)
            }
        }
    }

    /// Takes old snapshots out of the table and gives how many. Their files wait for `grace`.
    pub async fn expire(&mut self, policy: &SnapshotPolicy, grace: Duration) -> Result<usize> {
        let expired = expire::run(&self.catalog, &self.table, policy, &mut self.inventory).await?;
        let count = expired.snapshot_ids.len();
        metrics::expired(&self.table, count);
        if !expired.freed.is_empty() {
            self.waiting.push_back((Instant::now() + grace, expired));
        }
        Ok(count)
    }

    /// Deletes what has waited long enough, and gives how many files and bytes that were.
    pub async fn remove_freed(&mut self) -> Result<(usize, u64)> {
        let (mut files, mut bytes) = (0, 0);
        while let Some((due, expired)) = self.waiting.front() {
            if *due > Instant::now() {
                break;
            }
            let removed =
                expire::remove(&self.catalog, &self.table, expired, &self.readers, &mut self.inventory).await?;
            if !removed.kept.is_empty() {
                warn!(table = %self.table, files = removed.kept.len(), "files are still read: left to the sweep");
            }
            metrics::removed(&self.table, removed.files, removed.bytes);
            files += removed.files;
            bytes += removed.bytes;
            self.waiting.pop_front();
        }
        Ok((files, bytes))
    }

    /// Deletes files that nothing names.
    pub async fn sweep(&mut self, policy: &SweepPolicy) -> Result<Swept> {
        let swept = sweep::run(&self.catalog, &self.table, policy, &self.readers, &mut self.inventory).await?;
        let trimmed = metadata_log::trim(&self.catalog, &self.table).await?;
        metrics::swept(&self.table, swept.files + trimmed as u64, swept.bytes);
        Ok(swept)
    }

    /// What a sweep would delete.
    pub async fn preview_sweep(&mut self, policy: &SweepPolicy) -> Result<Swept> {
        sweep::preview(&self.catalog, &self.table, policy, &self.readers, &mut self.inventory).await
    }
}
