//! The catalog's rows: table buckets, namespaces, tables, and which metadata file is each table's current one.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use crate::catalog::error::Result;

/// What leads from each layout to the next; `PRAGMA user_version` counts the steps that a folder has taken.
const STEPS: [&str; 2] = [TABLES, MAINTENANCE];

const TABLES: &str = "
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
";

const MAINTENANCE: &str = "
CREATE TABLE compaction (
    table_id TEXT PRIMARY KEY REFERENCES iceberg_table (id) ON DELETE CASCADE,
    is_enabled INTEGER NOT NULL,
    target_file_size_mb INTEGER NOT NULL,
    strategy TEXT NOT NULL
) STRICT;
CREATE TABLE snapshot_management (
    table_id TEXT PRIMARY KEY REFERENCES iceberg_table (id) ON DELETE CASCADE,
    is_enabled INTEGER NOT NULL,
    min_snapshots_to_keep INTEGER NOT NULL,
    max_snapshot_age_hours INTEGER NOT NULL
) STRICT;
CREATE TABLE unreferenced_file_removal (
    bucket_id TEXT PRIMARY KEY REFERENCES table_bucket (id) ON DELETE CASCADE,
    is_enabled INTEGER NOT NULL,
    unreferenced_days INTEGER NOT NULL,
    non_current_days INTEGER NOT NULL
) STRICT;
CREATE TABLE maintenance_run (
    table_id TEXT NOT NULL REFERENCES iceberg_table (id) ON DELETE CASCADE,
    job TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    failure TEXT,
    PRIMARY KEY (table_id, job)
) STRICT;
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
        let taken: usize = writer.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        for (number, step) in STEPS.iter().enumerate().skip(taken) {
            writer.execute_batch(&format!("BEGIN; {step} PRAGMA user_version = {}; COMMIT;", number + 1))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_an_older_layout_takes_the_steps_it_lacks_and_keeps_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(&format!("{TABLES} PRAGMA user_version = 1;")).unwrap();
        old.execute("INSERT INTO table_bucket VALUES ('id', 'account', 'region', 'lake', 1, '{}')", []).unwrap();
        drop(old);
        for _ in 0..2 {
            let store = CatalogStore::open(&path).unwrap();
            let one = "SELECT count(*) FROM table_bucket LEFT JOIN unreferenced_file_removal ON bucket_id = id";
            assert_eq!(store.read(|db| Ok(db.query_row(one, [], |row| row.get::<_, i64>(0))?)).unwrap(), 1);
        }
    }
}
