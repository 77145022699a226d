//! Metrics, their data, alarms and what became of them.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Result, Store};
use crate::metric::{Datum, Measured};

/// How long data is kept. CloudWatch keeps minutes for 15 days.
const KEPT_MS: i64 = 15 * 24 * 60 * 60 * 1_000;
/// How long an alarm's history is kept, by its items: AWS keeps 30 days.
const HISTORY_MAX: i64 = 10_000;

/// Which data are of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series {
    pub namespace: String,
    pub name: String,
    pub dimensions: BTreeMap<String, String>,
}

/// Something that happened to an alarm.
#[derive(Clone, Debug)]
pub(crate) struct HistoryItem {
    pub alarm: String,
    pub time_ms: i64,
    pub kind: String,
    pub summary: String,
    pub data: String,
}

impl Store {
    /// Adds data of one kind each, all or none.
    pub fn add(&self, region: &str, data: &[(Series, Datum, String)]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for (series, datum, unit) in data {
            insert(&transaction, region, series, datum, unit)?;
        }
        Ok(transaction.commit()?)
    }

    /// Adds what was measured at one moment.
    pub fn put_data(&self, region: &str, namespace: &str, measured: &[Measured], now_ms: i64) -> Result<()> {
        let series = |one: &Measured| Series {
            namespace: namespace.to_owned(),
            name: one.name.clone(),
            dimensions: one.dimensions.clone(),
        };
        let one = |it: &Measured| (series(it), Datum::of_value(now_ms, it.value, 1.0), it.unit.clone());
        let data: Vec<_> = measured.iter().map(one).collect();
        self.add(region, &data)
    }

    /// All series of a region by namespace, name and dimensions.
    pub fn series(&self, region: &str) -> Result<Vec<Series>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT namespace, name, dimensions FROM metric WHERE region = ? ORDER BY namespace, name, dimensions",
        )?;
        let rows = statement.query_map([region], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)))?;
        rows.map(|row| {
            let (namespace, name, dimensions) = row?;
            Ok(Series { namespace, name, dimensions: serde_json::from_str(&dimensions)? })
        })
        .collect()
    }

    /// The data of a series from `from_ms` to before `to_ms`, of one unit or of all.
    pub fn data(
        &self,
        region: &str,
        series: &Series,
        unit: Option<&str>,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<Vec<Datum>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT time_ms, count, sum, minimum, maximum FROM datum JOIN metric ON metric = number
             WHERE region = ?1 AND namespace = ?2 AND name = ?3 AND dimensions = ?4
               AND time_ms >= ?5 AND time_ms < ?6 AND (?7 IS NULL OR unit = ?7) ORDER BY time_ms",
        )?;
        let dimensions = serde_json::to_string(&series.dimensions)?;
        let values = params![region, series.namespace, series.name, dimensions, from_ms, to_ms, unit];
        let rows = statement.query_map(values, |row| {
            let (count, sum) = (row.get(1)?, row.get(2)?);
            Ok(Datum { time_ms: row.get(0)?, count, sum, minimum: row.get(3)?, maximum: row.get(4)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn put_alarm(&self, region: &str, name: &str, alarm: &impl Serialize) -> Result<()> {
        let body = serde_json::to_string(alarm)?;
        self.lock().prepare_cached("INSERT OR REPLACE INTO alarm VALUES (?, ?, ?)")?.execute([region, name, &body])?;
        Ok(())
    }

    /// Writes an alarm that is still the one it was, and tells whether it was.
    pub fn replace_alarm<T: Serialize>(&self, region: &str, name: &str, before: &T, after: &T) -> Result<bool> {
        let (before, after) = (serde_json::to_string(before)?, serde_json::to_string(after)?);
        let changed = self
            .lock()
            .prepare_cached("UPDATE alarm SET body = ?4 WHERE region = ?1 AND name = ?2 AND body = ?3")?
            .execute([region, name, &before, &after])?;
        Ok(changed == 1)
    }

    pub fn alarm<T: DeserializeOwned>(&self, region: &str, name: &str) -> Result<Option<T>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT body FROM alarm WHERE region = ? AND name = ?")?;
        let body: Option<String> = statement.query_row([region, name], |row| row.get(0)).optional()?;
        Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    /// Every alarm with its region, by region and name.
    pub fn alarms<T: DeserializeOwned>(&self) -> Result<Vec<(String, T)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("SELECT region, body FROM alarm ORDER BY region, name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| {
            let (region, body) = row?;
            Ok((region, serde_json::from_str(&body)?))
        })
        .collect()
    }

    pub fn delete_alarms(&self, region: &str, names: &[String]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        for name in names {
            transaction.execute("DELETE FROM alarm WHERE region = ? AND name = ?", [region, name])?;
        }
        Ok(transaction.commit()?)
    }

    pub fn remember(&self, region: &str, item: &HistoryItem) -> Result<()> {
        self.lock()
            .prepare_cached(
                "INSERT INTO alarm_history (region, alarm, time_ms, kind, summary, data) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![region, item.alarm, item.time_ms, item.kind, item.summary, item.data])?;
        Ok(())
    }

    /// What happened to alarms, the newest first.
    pub fn history(&self, region: &str, alarm: Option<&str>) -> Result<Vec<HistoryItem>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "SELECT alarm, time_ms, kind, summary, data FROM alarm_history
             WHERE region = ?1 AND (?2 IS NULL OR alarm = ?2) ORDER BY number DESC",
        )?;
        let rows = statement.query_map(params![region, alarm], |row| {
            let (alarm, time_ms, kind) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(HistoryItem { alarm, time_ms, kind, summary: row.get(3)?, data: row.get(4)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Lets go what is older than what CloudWatch keeps, and log events that are older than their group keeps them.
    pub fn prune(&self, now_ms: i64) -> Result<()> {
        let connection = self.lock();
        connection.execute("DELETE FROM datum WHERE time_ms < ?", [now_ms - KEPT_MS])?;
        connection.execute(
            "DELETE FROM alarm_history WHERE number <= (SELECT max(number) FROM alarm_history) - ?",
            [HISTORY_MAX],
        )?;
        connection.execute(
            "DELETE FROM log_event WHERE number IN (SELECT log_event.number FROM log_event
               JOIN log_stream ON stream = log_stream.number
               JOIN log_group ON log_group.region = log_stream.region AND log_group.name = log_stream.log_group
             WHERE retention_days IS NOT NULL AND time_ms < ? - retention_days * 86400000)",
            [now_ms],
        )?;
        Ok(())
    }
}

fn insert(transaction: &Transaction<'_>, region: &str, series: &Series, datum: &Datum, unit: &str) -> Result<()> {
    let dimensions = serde_json::to_string(&series.dimensions)?;
    let values = params![region, series.namespace, series.name, dimensions];
    transaction
        .prepare_cached("INSERT OR IGNORE INTO metric (region, namespace, name, dimensions) VALUES (?, ?, ?, ?)")?
        .execute(values)?;
    let number: i64 = transaction
        .prepare_cached("SELECT number FROM metric WHERE region = ? AND namespace = ? AND name = ? AND dimensions = ?")?
        .query_row(values, |row| row.get(0))?;
    transaction.prepare_cached("INSERT INTO datum VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(params![
        number,
        datum.time_ms,
        datum.count,
        datum.sum,
        datum.minimum,
        datum.maximum,
        unit
    ])?;
    Ok(())
}
