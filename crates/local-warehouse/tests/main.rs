//! The warehouse as its clients see it: over HTTP, and in process.

mod support;

mod commits;
mod create_table;
mod hostile_keys;
mod in_process;
mod restart;
mod s3;
mod s3_listing;
mod s3_tables;
mod schema_changes;
mod signatures;
