//! Keeps a table as small and as quick to read as the rows in it allow. No row changes by it.
//!
//! `compact` puts many files, and files with many deleted rows, into fewer and fuller ones. `expire` takes old snapshots
//! out of the table and then the files that only they held, `sweep` finds files that nothing names at all,
//! `metadata_log` deletes metadata files that fell out of the table's log. `reachable` says which files a table names,
//! `inventory` remembers what its manifests hold, `file_key` compares locations, `store_clock` tells the time of the
//! store, `removal` deletes.

pub mod compact;
pub mod expire;
mod file_key;
mod inventory;
pub mod metadata_log;
mod reachable;
mod removal;
mod store_clock;
pub mod sweep;

pub use inventory::Inventory;
