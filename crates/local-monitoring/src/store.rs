//! What is kept: metrics and their data, alarms and their history, logs. A SQLite file.
//!
//! `metrics.rs` has what CloudWatch asks of it, `logs.rs` what its Logs do.

mod logs;
mod metrics;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

pub(crate) use logs::{Event, EventQuery, LogGroup, LogStream};
pub(crate) use metrics::{HistoryItem, Series};

/// What leads from each layout to the next; `PRAGMA user_version` counts the steps that a file has taken.
const STEPS: [&str; 1] = [include_str!("schema.sql")];

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("read or write the store of metrics, alarms and logs")]
    Sqlite(#[from] rusqlite::Error),
    #[error("a document of the store cannot be read")]
    Document(#[from] serde_json::Error),
}

pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Every method may block.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
}

impl Store {
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // What was answered survives a kill. A loss of power may take the last moments: these are measurements.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        let taken: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        for (number, step) in STEPS.iter().enumerate().skip(taken) {
            connection.execute_batch(&format!("BEGIN; {step} PRAGMA user_version = {}; COMMIT;", number + 1))?;
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic between two statements leaves a transaction that SQLite has rolled back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
