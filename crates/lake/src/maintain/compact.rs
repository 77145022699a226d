//! Compaction: fewer files, fuller files, fewer deletes to apply at every read.
//!
//! `table_files` says what the table holds, `plan` decides by the numbers alone what is worth writing again, as `policy`
//! asks. A task is either a rewrite of data files (`rewrite`: `read` and `sort` give the rows, `row_map` remembers where
//! each went, `replacement` commits it) or a merge of delete files (`merge_deletes`). Both commit in a race with the
//! writers of the table and leave the table to them where they cannot win it.

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
mod z_order;

use crate::catalog::Catalog;
use crate::error::Result;
pub use crate::maintain::compact::outcome::{Done, GaveUp, Outcome, Progress};
pub use crate::maintain::compact::plan::{Gain, Plan, RowOrder, Skipped, Task, Work, plan};
pub use crate::maintain::compact::policy::{CompactionPolicy, Strategy};
pub use crate::maintain::compact::table_files::TableFiles;

/// Runs one task of a plan for `files`. It looks at the table anew, so that any number of tasks can be run by one plan,
/// however old. No row changes; readers of older snapshots find their files as they were.
pub async fn run(catalog: &Catalog, files: &TableFiles, task: &Task, progress: &Progress) -> Result<Outcome> {
    match task.work {
        Work::Rewrite { order, target_file_bytes } => {
            rewrite::rewrite(catalog, files, task, order, target_file_bytes, progress).await
        }
        Work::MergeDeletes => merge_deletes::merge_deletes(catalog, files, task).await,
    }
}
