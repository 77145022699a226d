//! Which position-delete files of a partition are worth merging.

use std::collections::{HashMap, HashSet};

use crate::maintain::compact::facts::{DeleteFacts, PartitionFacts};
use crate::maintain::compact::plan::{Gain, Task, Work};

/// A reader fetches every delete file of a data file before its first row: up to so many it can fetch at once.
const DELETE_FILES_PER_DATA_FILE_MAX: usize = 8;
/// Delete files of which none of the rows are there any more: so many are worth a commit of their own.
const DANGLING_MIN: usize = 8;
/// What one task reads.
const TASK_FILES_MAX: usize = 2_000;
/// About two bytes of memory each.
const TASK_ROWS_MAX: u64 = 50_000_000;

/// Merges among the deletes from data files that are not `rewritten` anyway: deletes too few to write the data again,
/// in files too many to read.
pub(crate) fn merges(partition: &PartitionFacts, rewritten: &HashSet<&str>) -> Vec<Task> {
    let mut deletes_of: HashMap<&str, usize> = HashMap::new();
    for path in partition.deletes.iter().flat_map(|delete| &delete.data_paths) {
        if !rewritten.contains(path.as_str()) {
            *deletes_of.entry(path).or_default() += 1;
        }
    }
    let has_too_many =
        |path: &String| deletes_of.get(path.as_str()).is_some_and(|count| *count > DELETE_FILES_PER_DATA_FILE_MAX);
    let dangling = partition.deletes.iter().filter(|delete| delete.data_paths.is_empty());
    let dangling_is_due = dangling.count() >= DANGLING_MIN;
    let is_due = |delete: &&DeleteFacts| match delete.data_paths.as_slice() {
        [] => dangling_is_due,
        paths => paths.iter().any(has_too_many),
    };
    let due: Vec<&DeleteFacts> = partition.deletes.iter().filter(is_due).collect();

    let mut tasks: Vec<Vec<&DeleteFacts>> = Vec::new();
    let mut rows = 0;
    for delete in due {
        match tasks.last_mut() {
            Some(task) if task.len() < TASK_FILES_MAX && rows + delete.rows <= TASK_ROWS_MAX => task.push(delete),
            _ => {
                tasks.push(vec![delete]);
                rows = 0;
            }
        }
        rows += delete.rows;
    }
    let tasks = tasks.into_iter().map(|deletes| merge(partition, deletes));
    tasks.filter(|task| task.gain.files_after < task.gain.files_before).collect()
}

fn merge(partition: &PartitionFacts, deletes: Vec<&DeleteFacts>) -> Task {
    let data_paths: HashSet<&String> = deletes.iter().flat_map(|delete| &delete.data_paths).collect();
    let bytes: u64 = deletes.iter().map(|delete| delete.bytes).sum();
    let gain = Gain {
        files_before: deletes.len(),
        files_after: file_count_of(data_paths.len()),
        bytes_before: bytes,
        bytes_after: if data_paths.is_empty() { 0 } else { bytes },
        rows: 0,
        deleted_rows: 0,
    };
    let paths = deletes.iter().map(|delete| delete.path.clone()).collect();
    Task { partition: partition.name.clone(), work: Work::MergeDeletes, gain, paths }
}

/// One per data file, unless those are many: see [`crate::position_deletes`].
fn file_count_of(data_files: usize) -> usize {
    if data_files <= crate::position_deletes::FILES_WITH_THEIR_OWN_DELETES_MAX { data_files } else { 1 }
}
