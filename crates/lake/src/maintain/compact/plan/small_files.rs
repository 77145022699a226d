//! How many of a partition's small files are worth merging.

use crate::maintain::compact::facts::DataFacts;
use crate::maintain::compact::plan::file_count;

/// Fewer files than this are left as they are, unless a full one comes of them.
const FILES_MIN: usize = 4;

/// How many of the `small` files, smallest first, to write again together with those that are `due` anyway.
///
/// Merging everything small at every run would write a file that grows towards the target again for each little one
/// that comes. So a file joins only where the smaller ones weigh as much together, or where the result is full: each
/// time a byte is written again its file is twice as large, and from 1 MB to 512 MB that is nine times at most.
pub(crate) fn worth_merging(small: &[&DataFacts], due: &[&DataFacts], target: u64, small_below: u64) -> usize {
    let mut total: u64 = due.iter().map(|file| file.live_bytes()).sum();
    let mut count = due.len();
    let mut merged = 0;
    for (index, file) in small.iter().enumerate() {
        let doubles = file.live_bytes() <= total;
        total += file.live_bytes();
        count += 1;
        let is_full = total >= small_below;
        let halves = file_count(total, target) * 2 <= count as u64;
        let is_worth_a_task = count >= FILES_MIN || !due.is_empty();
        if halves && (is_full || (doubles && is_worth_a_task)) {
            merged = index + 1;
        }
    }
    merged
}
