//! The records of delivery streams, from their arrival until they are delivered, dropped or written to an error object.
//!
//! A record is kept once, however many ways it goes. Every step is one transaction: what it takes away and what it puts
//! down become durable together, so that a kill between two steps neither loses nor repeats a record.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::firehose::error::Result;
use crate::firehose::failure::Failure;

/// What a record does to the row of its key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    #[default]
    Insert,
    Update,
    Delete,
}

/// A record on its way to one place.
#[derive(Clone, Debug)]
pub struct Buffered {
    /// Higher than that of every record that arrived before it.
    pub number: i64,
    pub arrived_ms: i64,
    pub operation: Operation,
    /// As a function made it, where there is one.
    pub data: Bytes,
}

/// A record that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub number: i64,
    pub arrived_ms: i64,
    pub data: Bytes,
}

/// What becomes of a record that was looked at.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// `data` where a function has changed it.
    Routed {
        kind: &'static str,
        lane: String,
        operation: Operation,
        data: Option<Bytes>,
    },
    Dropped,
    Failed(Failure),
}

pub(crate) const TABLE: &str = "table";
pub(crate) const OBJECTS: &str = "objects";
/// The lane of records as they were put, where a delivery stream backs them up. What lies in it is not counted: each
/// record has another fate besides.
pub(crate) const BACKUP: &str = "backup";
/// It has no partition keys.
const BACKUP_LANE: &str = "{}";

/// Records that are given up in one transaction.
pub(crate) const GIVEN_UP_MAX: usize = 1_000;

/// Takes records over, and gives their numbers.
pub(crate) fn append(connection: &Connection, stream: i64, now_ms: i64, records: &[Bytes]) -> Result<Vec<i64>> {
    let mut numbers = Vec::with_capacity(records.len());
    let mut insert = connection.prepare_cached("INSERT INTO record (stream, arrived_at, data) VALUES (?, ?, ?)")?;
    for record in records {
        insert.execute(params![stream, now_ms, record.as_ref()])?;
        numbers.push(connection.last_insert_rowid());
    }
    let bytes: i64 = records.iter().map(|record| record.len() as i64).sum();
    let sql =
        "UPDATE delivery_stream SET received = received + ?, received_bytes = received_bytes + ? WHERE number = ?";
    connection.prepare_cached(sql)?.execute(params![records.len() as i64, bytes, stream])?;
    Ok(numbers)
}

/// The records that nothing was decided about yet, up to a size; always one at least, where there is one.
pub(crate) fn unsettled(connection: &Connection, stream: i64, max: usize, bytes_max: u64) -> Result<Vec<Arrived>> {
    let sql = "SELECT number, arrived_at, data FROM record
               WHERE stream = ?1 AND number > (SELECT settled FROM delivery_stream WHERE number = ?1)
               ORDER BY number LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![stream, max as i64])?;
    let (mut records, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let data: Vec<u8> = row.get(2)?;
        bytes += data.len() as u64;
        if bytes > bytes_max && !records.is_empty() {
            break;
        }
        records.push(Arrived { number: row.get(0)?, arrived_ms: row.get(1)?, data: data.into() });
    }
    Ok(records)
}

/// How many records wait for a decision, their bytes, and when the first of them arrived.
pub(crate) fn waiting(connection: &Connection, stream: i64) -> Result<(u64, u64, Option<i64>)> {
    let sql = "SELECT count(*), coalesce(sum(length(data)), 0), min(arrived_at) FROM record
               WHERE stream = ?1 AND number > (SELECT settled FROM delivery_stream WHERE number = ?1)";
    let found = connection
        .prepare_cached(sql)?
        .query_row([stream], |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64, row.get(2)?)))?;
    Ok(found)
}

/// Carries out what was decided about records, which are all up to the last of them that were undecided.
pub(crate) fn settle(
    connection: &Connection,
    stream: i64,
    now_ms: i64,
    fates: Vec<(Arrived, Fate)>,
    is_backed_up: bool,
) -> Result<()> {
    let Some(last) = fates.last().map(|(record, _)| record.number) else { return Ok(()) };
    let backup = is_backed_up.then(|| lane_number(connection, stream, BACKUP, BACKUP_LANE)).transpose()?;
    for (record, fate) in fates {
        if let Some(lane) = backup {
            let sql = "INSERT INTO routed (lane, record, operation) VALUES (?, ?, 'insert')";
            connection.prepare_cached(sql)?.execute([lane, record.number])?;
        }
        match fate {
            Fate::Routed { kind, lane, operation, data } => {
                let lane = lane_number(connection, stream, kind, &lane)?;
                let sql = "INSERT INTO routed (lane, record, operation, data) VALUES (?, ?, ?, ?)";
                let operation = serde_json::to_value(operation)?;
                let operation = operation.as_str().unwrap_or_default();
                connection.prepare_cached(sql)?.execute(params![lane, record.number, operation, data.as_deref()])?;
            }
            Fate::Dropped => {
                count(connection, stream, "dropped")?;
                forget(connection, record.number)?;
            }
            Fate::Failed(failure) => {
                failure.store(connection, stream, &record, now_ms)?;
                count(connection, stream, "failed")?;
                forget(connection, record.number)?;
            }
        }
    }
    let sql = "UPDATE delivery_stream SET settled = max(settled, ?) WHERE number = ?";
    connection.prepare_cached(sql)?.execute([last, stream])?;
    Ok(())
}

/// The lane of that name; a new one where there is none.
pub(crate) fn lane_number(connection: &Connection, stream: i64, kind: &str, name: &str) -> Result<i64> {
    let sql = "SELECT number FROM lane WHERE stream = ? AND kind = ? AND name = ?";
    let found = connection
        .prepare_cached(sql)?
        .query_row(params![stream, kind, name], |row| row.get::<_, i64>(0))
        .optional()?;
    if let Some(number) = found {
        return Ok(number);
    }
    connection.execute("INSERT INTO lane (stream, kind, name) VALUES (?, ?, ?)", params![stream, kind, name])?;
    Ok(connection.last_insert_rowid())
}

/// The records of a lane that come after `after`, in order.
pub(crate) fn routed(
    connection: &Connection,
    lane: i64,
    after: i64,
    max: usize,
    bytes_max: u64,
) -> Result<Vec<Buffered>> {
    let sql = "SELECT routed.record, record.arrived_at, routed.operation, coalesce(routed.data, record.data)
               FROM routed JOIN record ON record.number = routed.record
               WHERE routed.lane = ? AND routed.record > ? ORDER BY routed.record LIMIT ?";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![lane, after, max as i64])?;
    let (mut records, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let data: Vec<u8> = row.get(3)?;
        bytes += data.len() as u64;
        if bytes > bytes_max && !records.is_empty() {
            break;
        }
        let operation = serde_json::from_value(row.get::<_, String>(2)?.into())?;
        records.push(Buffered { number: row.get(0)?, arrived_ms: row.get(1)?, operation, data: data.into() });
    }
    Ok(records)
}

/// Lets the records of a lane up to `up_to` go: they are where they were to be.
pub(crate) fn delivered(connection: &Connection, stream: i64, lane: i64, up_to: i64) -> Result<()> {
    let sql = "SELECT routed.record, length(coalesce(routed.data, record.data))
               FROM routed JOIN record ON record.number = routed.record WHERE routed.lane = ? AND routed.record <= ?";
    let records: Vec<(i64, i64)> = connection
        .prepare_cached(sql)?
        .query_map([lane, up_to], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let (mut count, mut bytes) = (0, 0);
    for (record, length) in records {
        let sql = "DELETE FROM routed WHERE lane = ? AND record = ?";
        connection.prepare_cached(sql)?.execute([lane, record])?;
        forget(connection, record)?;
        // One that was refused is counted already.
        let sql = "SELECT 1 FROM refused WHERE stream = ? AND record = ?";
        let is_refused = connection.prepare_cached(sql)?.exists([stream, record])?;
        if is_refused {
            connection
                .prepare_cached("DELETE FROM refused WHERE stream = ? AND record = ?")?
                .execute([stream, record])?;
        } else {
            count += 1;
            bytes += length;
        }
    }
    let sql = "UPDATE lane SET delivered = delivered + ?, delivered_bytes = delivered_bytes + ? WHERE number = ?";
    connection.prepare_cached(sql)?.execute([count, bytes, lane])?;
    Ok(())
}

/// Lets the records of the backup's lane up to `up_to` go: they are in an object.
pub(crate) fn backed_up(connection: &Connection, lane: i64, up_to: i64) -> Result<()> {
    let mut routed = connection.prepare_cached("SELECT record FROM routed WHERE lane = ? AND record <= ?")?;
    let records: Vec<i64> = routed.query_map([lane, up_to], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for record in records {
        let sql = "DELETE FROM routed WHERE lane = ? AND record = ?";
        connection.prepare_cached(sql)?.execute([lane, record])?;
        forget(connection, record)?;
    }
    Ok(())
}

/// Notes that the records of a lane that arrived up to `arrived_ms` cannot be delivered, and takes them out of it. Gives
/// how many there were.
pub(crate) fn give_up(
    connection: &Connection,
    stream: i64,
    lane: i64,
    arrived_ms: i64,
    failure: &Failure,
    now_ms: i64,
) -> Result<usize> {
    let sql = "SELECT routed.record FROM routed JOIN record ON record.number = routed.record
               WHERE routed.lane = ? AND record.arrived_at <= ? ORDER BY routed.record LIMIT ?";
    let mut overdue = connection.prepare_cached(sql)?;
    let records: Vec<i64> = overdue
        .query_map(params![lane, arrived_ms, GIVEN_UP_MAX as i64], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for record in &records {
        refuse(connection, stream, *record, failure, now_ms)?;
    }
    // Later records arrive later, so nothing between them stays.
    if let Some(last) = records.last() {
        delivered(connection, stream, lane, *last)?;
    }
    Ok(records.len())
}

/// Notes that a record of a lane cannot be delivered. It stays in the lane, whose next delivery passes over it; noting it
/// again changes nothing.
pub(crate) fn refuse(connection: &Connection, stream: i64, number: i64, failure: &Failure, now_ms: i64) -> Result<()> {
    let sql = "SELECT arrived_at, data FROM record WHERE number = ? AND stream = ?";
    let found: Option<(i64, Vec<u8>)> =
        connection.prepare_cached(sql)?.query_row([number, stream], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((arrived_ms, data)) = found else { return Ok(()) };
    let sql = "INSERT INTO refused (stream, record) VALUES (?, ?) ON CONFLICT DO NOTHING";
    if connection.prepare_cached(sql)?.execute([stream, number])? == 1 {
        failure.store(connection, stream, &Arrived { number, arrived_ms, data: data.into() }, now_ms)?;
        count(connection, stream, "failed")?;
    }
    Ok(())
}

fn count(connection: &Connection, stream: i64, column: &str) -> Result<()> {
    let sql = format!("UPDATE delivery_stream SET {column} = {column} + 1 WHERE number = ?");
    connection.prepare_cached(&sql)?.execute([stream])?;
    Ok(())
}

/// Deletes a record that goes nowhere any more.
fn forget(connection: &Connection, record: i64) -> Result<()> {
    let sql = "DELETE FROM record WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM routed WHERE record = ?1)";
    connection.prepare_cached(sql)?.execute([record])?;
    Ok(())
}
