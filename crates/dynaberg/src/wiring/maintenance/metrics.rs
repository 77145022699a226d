//! The numbers of maintenance that an operator watches.

use iceberg::TableIdent;
use lake::maintain::compact::Done;

const RUNS_TOTAL: &str = "dynaberg_maintenance_runs_total";
/// 1 while a job of a table failed the last time that it was tried.
const FAILING: &str = "dynaberg_maintenance_failing";
const COMPACTED_FILES_TOTAL: &str = "dynaberg_compacted_files_total";
const COMPACTED_BYTES_TOTAL: &str = "dynaberg_compacted_bytes_total";
const EXPIRED_SNAPSHOTS_TOTAL: &str = "dynaberg_expired_snapshots_total";
const REMOVED_FILES_TOTAL: &str = "dynaberg_removed_files_total";
const REMOVED_BYTES_TOTAL: &str = "dynaberg_removed_bytes_total";

/// A job that was run, by its name in S3 Tables, and whether it succeeded.
pub fn ran(table: &TableIdent, job: &'static str, succeeded: bool) {
    let outcome = if succeeded { "successful" } else { "failed" };
    metrics::counter!(RUNS_TOTAL, "table" => table.to_string(), "job" => job, "outcome" => outcome).increment(1);
}

/// What became of a job the last time, told of or not.
pub fn is_failing(table: &TableIdent, job: &'static str, is_failing: bool) {
    metrics::gauge!(FAILING, "table" => table.to_string(), "job" => job).set(f64::from(u8::from(is_failing)));
}

/// Files that were put into fewer.
pub fn compacted(table: &TableIdent, done: &Done) {
    add(COMPACTED_FILES_TOTAL, table, done.files_before as u64);
    add(COMPACTED_BYTES_TOTAL, table, done.bytes_before);
}

pub fn expired(table: &TableIdent, snapshots: usize) {
    add(EXPIRED_SNAPSHOTS_TOTAL, table, snapshots as u64);
}

/// Files of expired snapshots that were deleted.
pub fn removed(table: &TableIdent, files: usize, bytes: u64) {
    count_files(table, "expired", files as u64, bytes);
}

/// Files that nothing named.
pub fn swept(table: &TableIdent, files: u64, bytes: u64) {
    count_files(table, "unreferenced", files, bytes);
}

fn count_files(table: &TableIdent, reason: &'static str, files: u64, bytes: u64) {
    metrics::counter!(REMOVED_FILES_TOTAL, "table" => table.to_string(), "reason" => reason).increment(files);
    metrics::counter!(REMOVED_BYTES_TOTAL, "table" => table.to_string(), "reason" => reason).increment(bytes);
}

fn add(name: &'static str, table: &TableIdent, count: u64) {
    metrics::counter!(name, "table" => table.to_string()).increment(count);
}
