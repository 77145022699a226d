//! Decides what is worth writing again. Values in, values out.
//!
//! What a rewrite costs is the bytes it writes again; the thresholds below bound how often a byte is written in its life.

mod delete_files;
mod small_files;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::error::{Error, ErrorKind, Result};
use crate::maintain::compact::facts::{DataFacts, PartitionFacts, TableFacts};
use crate::maintain::compact::plan::delete_files::merges;
use crate::maintain::compact::plan::small_files::worth_merging;
use crate::maintain::compact::{CompactionPolicy, Strategy, TableFiles};

/// A file below this share of the target is small. Even files come out of a rewrite at 75 % of the target or more, so
/// that they are not small again.
const SMALL_SHARE: f64 = 0.75;
/// A file with this share of deleted rows is written again. Readers read at most a quarter more rows than there are;
/// a deleted row costs four live ones written again, where 10 % would cost nine.
const WORN_SHARE: f64 = 0.2;
/// What one task reads: bounds the time that a failure costs, and what commits meanwhile have to be followed.
const TASK_BYTES_MAX: u64 = 2 << 30;
/// A sorted task keeps four bytes for each of its rows in memory.
const TASK_ROWS_MAX: u64 = 32_000_000;
/// Each file is at least one request, and a line in a manifest that is written again.
const TASK_FILES_MAX: usize = 1_000;

/// What there is to do, and what cannot be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub tasks: Vec<Task>,
    pub skipped: Vec<Skipped>,
}

/// A partition in which nothing is rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub partition: String,
    pub reason: String,
}

/// One commit's worth of work. Tasks of a plan run one after the other, in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// `day=2024-01-01`, empty where the table is not partitioned.
    pub partition: String,
    pub work: Work,
    pub gain: Gain,
    /// The data files to rewrite, or the delete files to merge.
    pub(crate) paths: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    Rewrite { order: RowOrder, target_file_bytes: u64 },
    MergeDeletes,
}

/// The order in which a rewrite leaves the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    AsWritten,
    Sorted,
    ZOrdered,
}

/// What a task takes out of the table and about what it puts there instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gain {
    /// Data files, or delete files where those are merged.
    pub files_before: usize,
    pub files_after: usize,
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// What a rewrite reads and writes; none where delete files are merged.
    pub rows: u64,
    /// Rows that are deleted and then gone.
    pub deleted_rows: u64,
}

/// What is worth doing for a table. `Refused` where the policy asks for an order that the table does not have.
pub fn plan(files: &TableFiles, policy: &CompactionPolicy) -> Result<Plan> {
    plan_facts(&files.facts, policy)
}

pub(crate) fn plan_facts(table: &TableFacts, policy: &CompactionPolicy) -> Result<Plan> {
    let order = row_order(table, policy.strategy)?;
    let mut plan = Plan::default();
    for partition in &table.partitions {
        if let Some(reason) = &partition.obstacle {
            plan.skipped.push(Skipped { partition: partition.name.clone(), reason: reason.clone() });
            continue;
        }
        let rewrites = rewrites(partition, policy.target_file_bytes, order, table.sort_order_id);
        let rewritten: HashSet<&str> = rewrites.iter().flat_map(|task| &task.paths).map(String::as_str).collect();
        let merges = merges(partition, &rewritten);
        plan.tasks.extend(rewrites.iter().cloned().chain(merges));
    }
    Ok(plan)
}

fn row_order(table: &TableFacts, strategy: Strategy) -> Result<RowOrder> {
    Ok(match (strategy, table.sort_order_id) {
        (Strategy::BinPack, _) | (Strategy::Auto, None) => RowOrder::AsWritten,
        (Strategy::Sort | Strategy::Auto, Some(_)) => RowOrder::Sorted,
        (Strategy::ZOrder, Some(_)) => RowOrder::ZOrdered,
        (Strategy::Sort | Strategy::ZOrder, None) => {
            let message = "compact in the order of the table, which has no sort order";
            return Err(Error::new(ErrorKind::Refused, message));
        }
    })
}

fn rewrites(partition: &PartitionFacts, target: u64, order: RowOrder, sort_order_id: Option<i32>) -> Vec<Task> {
    let small_below = (target as f64 * SMALL_SHARE) as u64;
    let is_worn = |file: &DataFacts| file.deleted_rows > 0 && file.deleted_rows as f64 >= file.rows as f64 * WORN_SHARE;
    // A sorted file says so in its manifest. Of small ones, merging takes care.
    let is_unsorted = |file: &DataFacts| {
        order == RowOrder::Sorted && file.sort_order_id != sort_order_id && file.bytes >= small_below
    };
    let (due, rest): (Vec<&DataFacts>, Vec<&DataFacts>) =
        partition.data.iter().partition(|file| is_worn(file) || is_unsorted(file));
    let mut small: Vec<&DataFacts> = rest.into_iter().filter(|file| file.live_bytes() < small_below).collect();
    small.sort_by_key(|file| (file.live_bytes(), &file.path));
    let merged = worth_merging(&small, &due, target, small_below);

    let mut chosen: Vec<&DataFacts> = due.iter().copied().chain(small.into_iter().take(merged)).collect();
    // Rows that were written together stay together.
    chosen.sort_by_key(|file| (file.sequence_number, &file.path));
    let due: HashSet<&str> = due.iter().map(|file| file.path.as_str()).collect();
    let tasks = cut_into_tasks(chosen, target).into_iter().map(|files| {
        let is_due = files.iter().any(|file| due.contains(file.path.as_str()));
        (is_due, rewrite(partition, files, target, order))
    });
    let is_worth_it = |(is_due, task): &(bool, Task)| *is_due || task.gain.files_after * 2 <= task.gain.files_before;
    tasks.filter(is_worth_it).map(|(_, task)| task).collect()
}

fn cut_into_tasks(files: Vec<&DataFacts>, target: u64) -> Vec<Vec<&DataFacts>> {
    let bytes_max = TASK_BYTES_MAX.max(target.saturating_mul(2));
    let mut tasks: Vec<Vec<&DataFacts>> = Vec::new();
    let (mut bytes, mut rows) = (0, 0);
    for file in files {
        let is_full = bytes + file.live_bytes() > bytes_max || rows + file.live_rows() > TASK_ROWS_MAX;
        match tasks.last_mut() {
            Some(task) if !is_full && task.len() < TASK_FILES_MAX => task.push(file),
            _ => {
                tasks.push(vec![file]);
                (bytes, rows) = (0, 0);
            }
        }
        bytes += file.live_bytes();
        rows += file.live_rows();
    }
    tasks
}

fn rewrite(partition: &PartitionFacts, files: Vec<&DataFacts>, target: u64, order: RowOrder) -> Task {
    let bytes_after = files.iter().map(|file| file.live_bytes()).sum();
    let rows = files.iter().map(|file| file.live_rows()).sum();
    let gain = Gain {
        files_before: files.len(),
        files_after: if rows == 0 { 0 } else { file_count(bytes_after, target) as usize },
        bytes_before: files.iter().map(|file| file.bytes).sum(),
        bytes_after,
        rows,
        deleted_rows: files.iter().map(|file| file.deleted_rows).sum(),
    };
    Task {
        partition: partition.name.clone(),
        work: Work::Rewrite { order, target_file_bytes: target },
        gain,
        paths: files.into_iter().map(|file| file.path.clone()).collect(),
    }
}

/// Into how many even files `bytes` go, so that each is as near the target as can be.
pub(crate) fn file_count(bytes: u64, target: u64) -> u64 {
    ((bytes as f64 / target.max(1) as f64).round() as u64).max(1)
}
