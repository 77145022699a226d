//! The catalog's rows: table buckets, namespaces, tables, and which metadata file is each table's current one.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use crate::catalog::error::Result;

/// Layout 1. A change of layout adds a step that begins at `PRAGMA user_version`.
const SCHEMA: &str = "
CREATE TABLE table_bucket (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    tags TEXT NOT NULL,
    UNIQUE (account, region, name)
) STRICT;
CREATE TABLE namespace (
    id TEXT PRIMARY KEY,
    bucket_id TEXT NOT NULL REFERENCES table_bucket (id),
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    owner TEXT NOT NULL,
    UNIQUE (bucket_id, name)
) STRICT;
CREATE TABLE iceberg_table (
    id TEXT PRIMARY KEY,
    bucket_id TEXT NOT NULL REFERENCES table_bucket (id),
    namespace_id TEXT NOT NULL REFERENCES namespace (id),
    name TEXT NOT NULL,
    warehouse TEXT NOT NULL UNIQUE,
    metadata_location TEXT,
    version_token TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    modified_by TEXT NOT NULL,
    tags TEXT NOT NULL,
    UNIQUE (namespace_id, name)
) STRICT;
PRAGMA user_version = 1;
";

/// Two connections to one database: readers do not wait for a writer's sync.
#[derive(Debug)]
pub(crate) struct CatalogStore {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl CatalogStore {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let writer = Connection::open(path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        // A commit that was answered survives a power cut.
        writer.pragma_update(None, "synchronous", "FULL")?;
        writer.pragma_update(None, "foreign_keys", "ON")?;
        let version: i64 = writer.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version == 0 {
            writer.execute_batch(&format!("BEGIN; {SCHEMA} COMMIT;"))?;
        }
        let reader = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }

    /// Runs `work` in one transaction: all of it is durable once this returns, or nothing of it happened.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut writer = lock(&self.writer);
        let transaction = writer.transaction()?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        work(&lock(&self.reader))
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
