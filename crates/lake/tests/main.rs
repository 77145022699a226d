//! The behaviour of `lake` against a catalog double that plays scripted faults.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod append;
mod checkpoint;
mod commit;
mod compaction;
mod compaction_at_random;
mod copying;
mod damage;
mod expire;
mod fencing;
mod lifetimes;
mod maintenance_at_random;
mod repeated_keys;
mod row_edits;
mod schema;
mod simulation;
mod storage;
mod support;
mod sweep;
