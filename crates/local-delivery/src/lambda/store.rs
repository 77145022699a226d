//! What Lambda remembers: functions and mappings as documents, events that wait, and how far each shard was handed on.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
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
CREATE TABLE event (
    id TEXT PRIMARY KEY,
    region TEXT NOT NULL,
    function TEXT NOT NULL,
    payload BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    due_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX event_by_time ON event (due_ms);
CREATE TABLE shard (
    mapping TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (mapping, id)
) STRICT, WITHOUT ROWID;
"];

/// A thing of one kind that is kept under a key.
pub(crate) trait Document: Serialize + DeserializeOwned {
    const KIND: &'static str;
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("read or write Lambda's store")]
    Sqlite(#[from] rusqlite::Error),
    #[error("a document of Lambda's store cannot be read")]
    Document(#[from] serde_json::Error),
}

pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

/// An asynchronous invocation that was accepted and is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The request id, which the function sees at every try.
    pub id: String,
    pub region: String,
    pub function: String,
    pub payload: Bytes,
    pub received_ms: i64,
    pub failures: u32,
    pub due_ms: i64,
}

/// A SQLite file. What a method has written is durable when it returns. Every method may block.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
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

    /// Changes a document in one step and gives what became of it. `change` may refuse; then nothing is written.
    pub(crate) fn update<T: Document, E: From<StoreError>>(
        &self,
        region: &str,
        key: &str,
        change: impl FnOnce(&mut T) -> Result<(), E>,
    ) -> Result<Option<T>, E> {
        let connection = self.lock();
        let read = "SELECT body FROM document WHERE kind = ? AND region = ? AND key = ?";
        let body: Option<String> = connection
            .query_row(read, [T::KIND, region, key], |row| row.get(0))
            .optional()
            .map_err(StoreError::from)?;
        let Some(body) = body else { return Ok(None) };
        let mut document: T = serde_json::from_str(&body).map_err(StoreError::from)?;
        change(&mut document)?;
        let body = serde_json::to_string(&document).map_err(StoreError::from)?;
        let write = "UPDATE document SET body = ? WHERE kind = ? AND region = ? AND key = ?";
        connection.execute(write, [&body, T::KIND, region, key]).map_err(StoreError::from)?;
        Ok(Some(document))
    }

    /// Tells whether there was such a document.
    pub(crate) fn delete<T: Document>(&self, region: &str, key: &str) -> Result<bool> {
        let sql = "DELETE FROM document WHERE kind = ? AND region = ? AND key = ?";
        Ok(self.lock().prepare_cached(sql)?.execute([T::KIND, region, key])? == 1)
    }

    /// All documents of a kind in a region, by key.
    pub(crate) fn list<T: Document>(&self, region: &str) -> Result<Vec<T>> {
        let connection = self.lock();
        let sql = "SELECT body FROM document WHERE kind = ? AND region = ? ORDER BY key";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([T::KIND, region], |row| row.get::<_, String>(0))?;
        rows.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
    }

    /// All documents of a kind, with their regions.
    pub(crate) fn list_everywhere<T: Document>(&self) -> Result<Vec<(String, T)>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("SELECT region, body FROM document WHERE kind = ? ORDER BY region, key")?;
        let rows = statement.query_map([T::KIND], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| {
            row.map_err(StoreError::from).and_then(|(region, body)| Ok((region, serde_json::from_str(&body)?)))
        })
        .collect()
    }

    /// Keeps an event, in place of an earlier state of it.
    pub(crate) fn put_event(&self, event: &Event) -> Result<()> {
        self.lock().prepare_cached("INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(params![
            event.id,
            event.region,
            event.function,
            &*event.payload,
            event.received_ms,
            event.failures,
            event.due_ms
        ])?;
        Ok(())
    }

    pub(crate) fn forget_event(&self, id: &str) -> Result<()> {
        self.lock().prepare_cached("DELETE FROM event WHERE id = ?")?.execute([id])?;
        Ok(())
    }

    /// Events whose time has come, the longest due first.
    pub(crate) fn due_events(&self, now_ms: i64, count_max: usize) -> Result<Vec<Event>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT id, region, function, payload, received_ms, failures, due_ms FROM event WHERE due_ms <= ?
             ORDER BY due_ms, id LIMIT ?",
        )?;
        let rows = statement.query_map(params![now_ms, count_max], |row| {
            Ok(Event {
                id: row.get(0)?,
                region: row.get(1)?,
                function: row.get(2)?,
                payload: row.get::<_, Vec<u8>>(3)?.into(),
                received_ms: row.get(4)?,
                failures: row.get(5)?,
                due_ms: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps how far a mapping is in a shard.
    pub(crate) fn put_shard<T: Serialize>(&self, mapping: &str, shard: &str, progress: &T) -> Result<()> {
        let body = serde_json::to_string(progress)?;
        self.lock()
            .prepare_cached("INSERT OR REPLACE INTO shard VALUES (?, ?, ?)")?
            .execute([mapping, shard, &body])?;
        Ok(())
    }

    /// How far a mapping is, by shard.
    pub(crate) fn shards<T: DeserializeOwned>(&self, mapping: &str) -> Result<Vec<(String, T)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT id, body FROM shard WHERE mapping = ?")?;
        let rows = statement.query_map([mapping], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(StoreError::from).and_then(|(id, body)| Ok((id, serde_json::from_str(&body)?))))
            .collect()
    }

    /// The mappings of which anything is kept.
    pub(crate) fn mappings_with_shards(&self) -> Result<Vec<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT DISTINCT mapping FROM shard")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub(crate) fn forget_shard(&self, mapping: &str, shard: &str) -> Result<()> {
        self.lock().prepare_cached("DELETE FROM shard WHERE mapping = ? AND id = ?")?.execute([mapping, shard])?;
        Ok(())
    }

    pub(crate) fn forget_shards(&self, mapping: &str) -> Result<()> {
        self.lock().prepare_cached("DELETE FROM shard WHERE mapping = ?")?.execute([mapping])?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
