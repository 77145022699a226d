//! Compaction: fewer files, fuller files, fewer deletes to apply at every read.
//!
//! `table_files` says what the table holds, from the manifests that `listing` reads: by the `facts` alone `plan` decides
//! what is worth writing again, as `policy` asks. A task is either a `rewrite` of data files or one that merges their
//! delete files (`merge_deletes`). To rewrite is to `write` the rows that `read` gives, or to `copy` them undecoded, by
//! `sort` in an order that `sort_keys` and `z_order` know, and to commit the `replacement`: rows that were deleted meanwhile are found by the
//! `row_map` where they are now. A task ends in an `outcome`. In a race the writers of the table go first: what cannot
//! win it leaves the table as it is.

mod copy;
mod facts;
mod listing;
mod merge_deletes;
mod outcome;
mod plan;
mod policy;
mod read;
mod replacement;
mod rewrite;
mod row_map;
mod sort;
mod sort_keys;
mod table_files;
mod write;
mod z_order;

use crate::catalog::Catalog;
use crate::error::{Error, Result};
pub use crate::maintain::compact::outcome::{Done, GaveUp, Outcome, Progress};
pub use crate::maintain::compact::plan::{Gain, Plan, RowOrder, Skipped, Task, Work, plan};
pub use crate::maintain::compact::policy::{CompactionPolicy, Strategy};
pub use crate::maintain::compact::table_files::TableFiles;

/// Runs one task of a plan for `files`. It looks at the table anew, so that any number of tasks can be run by one plan,
/// however old. No row changes; readers of older snapshots find their files as they were. Where a file cannot be read, the
/// error names it, and the table stays as it is.
pub async fn run(catalog: &Catalog, files: &TableFiles, task: &Task, progress: &Progress) -> Result<Outcome> {
    let ran = match task.work {
        Work::Rewrite { order, target_file_bytes } => {
            rewrite::rewrite(catalog, files, task, order, target_file_bytes, progress).await
        }
        Work::MergeDeletes => merge_deletes::merge_deletes(catalog, files, task).await,
    };
    ran.map_err(|error| {
        let snapshot_id = files.listing.lake.snapshot().map(|snapshot| snapshot.snapshot_id());
        let message = format!("compact {} as planned for snapshot {}", files.table(), snapshot_id.unwrap_or_default());
        Error::new(error.kind(), message).with_source(error)
    })
}
