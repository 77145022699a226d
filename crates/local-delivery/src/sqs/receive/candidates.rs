//! Which messages are next.

use std::collections::HashSet;

use rusqlite::Connection;

use crate::sqs::error::Result;
use crate::sqs::queue::Queue;

/// How far into a FIFO queue groups are looked for; AWS looks no further either.
const LOOKED_THROUGH_MAX: i64 = 120_000;

pub(super) struct Candidate {
    pub number: i64,
    pub receive_count: i64,
}

pub(super) fn find(connection: &Connection, queue: &Queue, now: i64, max: usize) -> Result<Vec<Candidate>> {
    let numbers = match queue.address.is_fifo() {
        true => in_order(connection, queue, now, max)?,
        false => visible(connection, queue, now, max)?,
    };
    let mut statement = connection.prepare_cached("SELECT receive_count FROM message WHERE number = ?")?;
    let mut candidates = Vec::with_capacity(numbers.len());
    for number in numbers {
        let receive_count = statement.query_row([number], |row| row.get(0))?;
        candidates.push(Candidate { number, receive_count });
    }
    Ok(candidates)
}

/// Those that have been visible for longest.
fn visible(connection: &Connection, queue: &Queue, now: i64, max: usize) -> Result<Vec<i64>> {
    let sql = "SELECT number FROM message WHERE queue = ? AND visible_at <= ? ORDER BY visible_at, number LIMIT ?";
    let mut statement = connection.prepare_cached(sql)?;
    let numbers = statement.query_map(rusqlite::params![queue.number, now, max], |row| row.get(0))?;
    Ok(numbers.collect::<rusqlite::Result<_>>()?)
}

/// The first ones, in the order of sending, of groups that have no message in flight.
fn in_order(connection: &Connection, queue: &Queue, now: i64, max: usize) -> Result<Vec<i64>> {
    let sql = "SELECT DISTINCT group_id FROM message WHERE queue = ? AND is_received AND visible_at > ?";
    let mut statement = connection.prepare_cached(sql)?;
    let groups = statement.query_map([queue.number, now], |row| row.get(0))?;
    let mut locked: HashSet<String> = groups.collect::<rusqlite::Result<_>>()?;

    let sql = "SELECT number, group_id, visible_at FROM message INDEXED BY message_in_order
               WHERE queue = ? AND deduplication_id IS NOT NULL ORDER BY number LIMIT ?";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([queue.number, LOOKED_THROUGH_MAX])?;
    let mut numbers = Vec::new();
    while let Some(row) = rows.next()? {
        let group = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        if locked.contains(group) {
            continue;
        }
        if row.get::<_, i64>(2)? > now {
            // It is delayed, and the rest of its group waits for it.
            locked.insert(group.to_owned());
            continue;
        }
        numbers.push(row.get(0)?);
        if numbers.len() == max {
            break;
        }
    }
    Ok(numbers)
}
