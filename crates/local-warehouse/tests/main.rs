//! The warehouse as its clients see it: over HTTP, and in process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod support;

mod commits;
mod create_table;
mod hostile_keys;
mod in_process;
mod maintenance;
mod restart;
mod s3;
mod s3_listing;
mod s3_tables;
mod schema_changes;
mod signatures;
