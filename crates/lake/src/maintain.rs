//! Keeps a table as small and as quick to read as the rows in it allow. No row changes by it.
//!
//! `compact` puts many files, and files with many deleted rows, into fewer and fuller ones.

pub mod compact;
