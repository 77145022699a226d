//! What the services remember: small documents by kind and key, and query executions in their order.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What leads from each layout to the next; `PRAGMA user_version` counts the steps that a file has taken.
const STEPS: [&str; 1] = ["
CREATE TABLE document (
    kind TEXT NOT NULL,
    region TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (kind, region, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE query_execution (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL,
    work_group TEXT NOT NULL,
    token TEXT,
    is_done INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX query_token ON query_execution (region, token) WHERE token IS NOT NULL;
CREATE INDEX query_of_work_group ON query_execution (region, work_group, number);
CREATE TABLE query_result (
    object TEXT PRIMARY KEY,
    owner TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"];

/// How many executions are remembered. AWS keeps them for 45 days.
const EXECUTIONS_MAX: i64 = 100_000;

/// A thing of one kind that is kept under a key.
pub(crate) trait Document: Serialize + DeserializeOwned {
    const KIND: &'static str;
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("read or write the store of the analysts' services")]
    Sqlite(#[from] rusqlite::Error),
    #[error("a document of the store cannot be read")]
    Document(#[from] serde_json::Error),
}

pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A SQLite file. What a method has written is durable when it returns. Every method may block.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
}

/// A query execution as it is kept.
pub(crate) struct ExecutionRow<'a> {
    pub id: &'a str,
    pub region: &'a str,
    pub work_group: &'a str,
    pub token: Option<&'a str>,
    pub is_done: bool,
    pub body: String,
}

impl Store {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let taken: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        for (number, step) in STEPS.iter().enumerate().skip(taken) {
            connection.execute_batch(&format!("BEGIN; {step} PRAGMA user_version = {}; COMMIT;", number + 1))?;
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    pub(crate) fn get<T: Document>(&self, region: &str, key: &str) -> Result<Option<T>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT body FROM document WHERE kind = ? AND region = ? AND key = ?")?;
        let body: Option<String> = statement.query_row([T::KIND, region, key], |row| row.get(0)).optional()?;
        Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    /// Writes a document, in place of an earlier one.
    pub(crate) fn put<T: Document>(&self, region: &str, key: &str, document: &T) -> Result<()> {
        let body = serde_json::to_string(document)?;
        let sql = "INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?)";
        self.lock().prepare_cached(sql)?.execute([T::KIND, region, key, &body])?;
        Ok(())
    }

    /// Writes a document; tells whether the key was free.
    pub(crate) fn insert<T: Document>(&self, region: &str, key: &str, document: &T) -> Result<bool> {
        let body = serde_json::to_string(document)?;
        let sql = "INSERT OR IGNORE INTO document VALUES (?, ?, ?, ?)";
        Ok(self.lock().prepare_cached(sql)?.execute([T::KIND, region, key, &body])? == 1)
    }

    /// Tells whether there was such a document.
    pub(crate) fn delete<T: Document>(&self, region: &str, key: &str) -> Result<bool> {
        let sql = "DELETE FROM document WHERE kind = ? AND region = ? AND key = ?";
        Ok(self.lock().prepare_cached(sql)?.execute([T::KIND, region, key])? == 1)
    }

    /// All documents of a kind whose key begins with `prefix`, by key.
    pub(crate) fn list<T: Document>(&self, region: &str, prefix: &str) -> Result<Vec<(String, T)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT key, body FROM document WHERE kind = ?1 AND region = ?2 AND substr(key, 1, length(?3)) = ?3
             ORDER BY key",
        )?;
        let rows = statement.query_map([T::KIND, region, prefix], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(StoreError::from).and_then(|(key, body)| Ok((key, serde_json::from_str(&body)?))))
            .collect()
    }

    /// Adds an execution; where its token was used before, gives the execution of that time instead.
    pub(crate) fn start_execution(&self, row: &ExecutionRow<'_>) -> Result<Option<String>> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        if let Some(token) = row.token {
            let sql = "SELECT body FROM query_execution WHERE region = ? AND token = ?";
            let earlier = transaction.query_row(sql, [row.region, token], |row| row.get(0)).optional()?;
            if earlier.is_some() {
                return Ok(earlier);
            }
        }
        transaction.execute(
            "INSERT INTO query_execution (id, region, work_group, token, is_done, body) VALUES (?, ?, ?, ?, ?, ?)",
            params![row.id, row.region, row.work_group, row.token, row.is_done, row.body],
        )?;
        let oldest = transaction.last_insert_rowid() - EXECUTIONS_MAX;
        transaction.execute("DELETE FROM query_execution WHERE number <= ? AND is_done", [oldest])?;
        transaction.commit()?;
        Ok(None)
    }

    /// Writes how an execution went on. `object` is the result that it left, and its owner.
    pub(crate) fn update_execution(&self, id: &str, is_done: bool, body: &str) -> Result<()> {
        let sql = "UPDATE query_execution SET body = ?, is_done = ? WHERE id = ?";
        self.lock().prepare_cached(sql)?.execute(params![body, is_done, id])?;
        Ok(())
    }

    pub(crate) fn execution(&self, region: &str, id: &str) -> Result<Option<String>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT body FROM query_execution WHERE region = ? AND id = ?")?;
        Ok(statement.query_row([region, id], |row| row.get(0)).optional()?)
    }

    /// Executions of a work group with their numbers, the latest first, from before `number`.
    pub(crate) fn executions(
        &self,
        region: &str,
        work_group: &str,
        before: i64,
        count_max: usize,
    ) -> Result<Vec<(i64, String)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT number, body FROM query_execution WHERE region = ? AND work_group = ? AND number < ?
             ORDER BY number DESC LIMIT ?",
        )?;
        let rows = statement
            .query_map(params![region, work_group, before, count_max], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Executions of all regions that were not done when the process ended.
    pub(crate) fn undone_executions(&self) -> Result<Vec<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare("SELECT body FROM query_execution WHERE NOT is_done")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Remembers whose result an object is: `bucket/key`. It outlives the execution, as the object does.
    pub(crate) fn own_result(&self, object: &str, owner: &str) -> Result<()> {
        self.lock().prepare_cached("INSERT OR REPLACE INTO query_result VALUES (?, ?)")?.execute([object, owner])?;
        Ok(())
    }

    pub(crate) fn result_owner(&self, object: &str) -> Result<Option<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT owner FROM query_result WHERE object = ?")?;
        Ok(statement.query_row([object], |row| row.get(0)).optional()?)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
