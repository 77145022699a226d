//! The queues' SQLite file.

use std::path::Path;

use crate::sqs::error::Error;

pub(crate) type Store = crate::store::Store<Error>;

pub(crate) fn open(path: &Path) -> rusqlite::Result<Store> {
    Store::open(path, "sqs-store", &[include_str!("schema.sql")])
}

#[cfg(test)]
mod tests;
