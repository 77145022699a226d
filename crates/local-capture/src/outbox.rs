//! The engine's own stream table, read as an outbox: a change is in it from the commit that made it until we trim it.
//!
//! A second connection to the engine's file reads and trims. Row ids are given in commit order, never twice, over all
//! tables, so one number says how far the outbox is drained and reading needs neither the engine's mutex nor an index.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

/// Rows and bytes read at once: bounds memory when items are large.
const BATCH_ROWS_MAX: usize = 1_000;
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Rows deleted per transaction, so that the engine's writers never wait long.
const TRIM_ROWS_MAX: i64 = 2_000;

/// One committed change, images as the engine's JSON text.
#[derive(Debug)]
pub(crate) struct OutboxRow {
    pub id: i64,
    pub table_name: String,
    pub event_name: String,
    pub keys: String,
    pub new_image: Option<String>,
    pub old_image: Option<String>,
    /// The engine's number: grows with each change of a table.
    pub sequence: i64,
    /// Seconds since the epoch.
    pub created_at: i64,
    pub user_identity: Option<String>,
    pub event_id: Option<String>,
}

pub(crate) struct Outbox {
    connection: Connection,
    /// The newest drained row of each table. It stays: the engine takes its next number from it.
    newest: BTreeMap<String, i64>,
    untrimmed: usize,
}

impl Outbox {
    /// Opens the engine's file a second time and removes what was drained before.
    pub(crate) fn open(file: &Path, drained: i64) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        // A trim lost at power loss is repeated at the next start, so it need not be synced by itself.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        // Without it each write of the engine looks for the table's largest number by scanning.
        connection.execute_batch(
            "CREATE INDEX IF NOT EXISTS dynaberg_stream_records_by_sequence
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
        )?;
        connection.execute(
            "DELETE FROM _stream_records WHERE id <= ?1
             AND id NOT IN (SELECT MAX(id) FROM _stream_records GROUP BY table_name)",
            params![drained],
        )?;
        Ok(Self { connection, newest: BTreeMap::new(), untrimmed: 0 })
    }

    /// The changes committed after row `drained`, in commit order, at most one batch.
    pub(crate) fn read_after(&self, drained: i64) -> rusqlite::Result<Vec<OutboxRow>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, table_name, event_name, keys_json, new_image, old_image,
                    CAST(sequence_number AS INTEGER), created_at, user_identity, event_id
             FROM _stream_records WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let mut rows = statement.query(params![drained, BATCH_ROWS_MAX as i64])?;
        let mut batch = Vec::new();
        let mut batch_bytes = 0;
        while let Some(row) = rows.next()? {
            let row = OutboxRow {
                id: row.get(0)?,
                table_name: row.get(1)?,
                event_name: row.get(2)?,
                keys: row.get(3)?,
                new_image: row.get(4)?,
                old_image: row.get(5)?,
                sequence: row.get(6)?,
                created_at: row.get(7)?,
                user_identity: row.get(8)?,
                event_id: row.get(9)?,
            };
            batch_bytes += row.new_image.as_ref().map_or(0, String::len);
            batch_bytes += row.old_image.as_ref().map_or(0, String::len);
            batch.push(row);
            if batch_bytes >= BATCH_BYTES_MAX {
                break;
            }
        }
        Ok(batch)
    }

    /// Notes rows that are durable in the shard log, so that they may be trimmed.
    pub(crate) fn note_drained(&mut self, rows: &[OutboxRow]) {
        for row in rows {
            match self.newest.get_mut(&row.table_name) {
                Some(newest) => *newest = row.id,
                None => drop(self.newest.insert(row.table_name.clone(), row.id)),
            }
        }
        self.untrimmed += rows.len();
    }

    /// How many drained rows wait for [`Outbox::trim`].
    pub(crate) fn untrimmed(&self) -> usize {
        self.untrimmed
    }

    /// Deletes the drained rows but the newest of each table.
    pub(crate) fn trim(&mut self) -> rusqlite::Result<()> {
        if self.untrimmed == 0 {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM _stream_records WHERE id IN
             (SELECT id FROM _stream_records WHERE table_name = ?1 AND id < ?2 LIMIT ?3)",
        )?;
        for (table_name, newest) in &self.newest {
            while statement.execute(params![table_name, newest, TRIM_ROWS_MAX])? == TRIM_ROWS_MAX as usize {}
        }
        drop(statement);
        self.newest.clear();
        self.untrimmed = 0;
        Ok(())
    }
}
