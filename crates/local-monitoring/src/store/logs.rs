//! Log groups, streams and events.

use rusqlite::{OptionalExtension, params};

use super::{Result, Store};

#[derive(Clone, Debug)]
pub(crate) struct LogGroup {
    pub name: String,
    pub created_ms: i64,
    pub retention_days: Option<i64>,
    /// A JSON object of strings.
    pub tags: String,
    pub bytes: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct LogStream {
    pub number: i64,
    pub name: String,
    pub created_ms: i64,
    pub first_ms: Option<i64>,
    pub last_ms: Option<i64>,
    pub ingested_ms: Option<i64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub number: i64,
    pub stream: String,
    pub time_ms: i64,
    pub ingested_ms: i64,
    pub message: String,
}

/// Which events are wanted, in the order of their time; those of the same time as they came in.
pub(crate) struct EventQuery<'a> {
    pub region: &'a str,
    pub group: &'a str,
    /// One stream, or all of them.
    pub stream: Option<&'a str>,
    pub from_ms: i64,
    pub to_ms: i64,
}

impl Store {
    /// Tells whether the name was free.
    pub fn create_log_group(&self, region: &str, name: &str, tags: &str, now_ms: i64) -> Result<bool> {
        let sql = "INSERT OR IGNORE INTO log_group VALUES (?, ?, ?, NULL, ?)";
        Ok(self.lock().prepare_cached(sql)?.execute(params![region, name, now_ms, tags])? == 1)
    }

    pub fn log_groups(&self, region: &str) -> Result<Vec<LogGroup>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT name, created_ms, retention_days, tags,
               (SELECT coalesce(sum(length(CAST(message AS BLOB))), 0) FROM log_event
                  JOIN log_stream ON stream = log_stream.number
                WHERE log_stream.region = log_group.region AND log_stream.log_group = log_group.name)
             FROM log_group WHERE region = ? ORDER BY name",
        )?;
        let rows = statement.query_map([region], |row| {
            let (name, created_ms, retention_days) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(LogGroup { name, created_ms, retention_days, tags: row.get(3)?, bytes: row.get(4)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn has_log_group(&self, region: &str, name: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM log_group WHERE region = ? AND name = ?";
        Ok(self.lock().prepare_cached(sql)?.exists([region, name])?)
    }

    pub fn set_retention(&self, region: &str, name: &str, days: Option<i64>) -> Result<bool> {
        let sql = "UPDATE log_group SET retention_days = ?3 WHERE region = ?1 AND name = ?2";
        Ok(self.lock().prepare_cached(sql)?.execute(params![region, name, days])? == 1)
    }

    pub fn set_log_group_tags(&self, region: &str, name: &str, tags: &str) -> Result<()> {
        let sql = "UPDATE log_group SET tags = ?3 WHERE region = ?1 AND name = ?2";
        self.lock().prepare_cached(sql)?.execute([region, name, tags])?;
        Ok(())
    }

    /// Deletes a group with all that is in it; tells whether it was there.
    pub fn delete_log_group(&self, region: &str, name: &str) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM log_stream WHERE region = ? AND log_group = ?", [region, name])?;
        let deleted = transaction.execute("DELETE FROM log_group WHERE region = ? AND name = ?", [region, name])?;
        transaction.commit()?;
        Ok(deleted == 1)
    }

    /// Tells whether the name was free.
    pub fn create_log_stream(&self, region: &str, group: &str, name: &str, now_ms: i64) -> Result<bool> {
        let sql = "INSERT OR IGNORE INTO log_stream (region, log_group, name, created_ms) VALUES (?, ?, ?, ?)";
        Ok(self.lock().prepare_cached(sql)?.execute(params![region, group, name, now_ms])? == 1)
    }

    pub fn delete_log_stream(&self, region: &str, group: &str, name: &str) -> Result<bool> {
        let sql = "DELETE FROM log_stream WHERE region = ? AND log_group = ? AND name = ?";
        Ok(self.lock().prepare_cached(sql)?.execute([region, group, name])? == 1)
    }

    /// The streams of a group by name.
    pub fn log_streams(&self, region: &str, group: &str) -> Result<Vec<LogStream>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT number, name, created_ms,
               (SELECT min(time_ms) FROM log_event WHERE stream = log_stream.number),
               (SELECT max(time_ms) FROM log_event WHERE stream = log_stream.number),
               (SELECT max(ingested_ms) FROM log_event WHERE stream = log_stream.number)
             FROM log_stream WHERE region = ? AND log_group = ? ORDER BY name",
        )?;
        let rows = statement.query_map([region, group], |row| {
            let (number, name, created_ms) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (first_ms, last_ms, ingested_ms) = (row.get(3)?, row.get(4)?, row.get(5)?);
            Ok(LogStream { number, name, created_ms, first_ms, last_ms, ingested_ms })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn log_stream_number(&self, region: &str, group: &str, name: &str) -> Result<Option<i64>> {
        let sql = "SELECT number FROM log_stream WHERE region = ? AND log_group = ? AND name = ?";
        Ok(self.lock().prepare_cached(sql)?.query_row([region, group, name], |row| row.get(0)).optional()?)
    }

    /// Adds events, all or none: their times and messages.
    pub fn put_events(&self, stream: i64, events: &[(i64, &str)], now_ms: i64) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for (time_ms, message) in events {
            let sql = "INSERT INTO log_event (stream, time_ms, ingested_ms, message) VALUES (?, ?, ?, ?)";
            transaction.prepare_cached(sql)?.execute(params![stream, time_ms, now_ms, message])?;
        }
        Ok(transaction.commit()?)
    }

    pub fn events(&self, query: &EventQuery<'_>) -> Result<Vec<Event>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT log_event.number, name, time_ms, ingested_ms, message FROM log_event
               JOIN log_stream ON stream = log_stream.number
             WHERE region = ?1 AND log_group = ?2 AND (?3 IS NULL OR name = ?3) AND time_ms >= ?4 AND time_ms < ?5
             ORDER BY time_ms, log_event.number",
        )?;
        let EventQuery { region, group, stream, from_ms, to_ms } = query;
        let rows = statement.query_map(params![region, group, stream, from_ms, to_ms], |row| {
            let (number, stream, time_ms) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Event { number, stream, time_ms, ingested_ms: row.get(3)?, message: row.get(4)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
