//! Whether a queue may have more messages in flight, without counting them at every receive.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::sqs::error::Result;
use crate::sqs::queue::Queue;

/// Messages of a queue that are received and not deleted yet.
const IN_FLIGHT_MAX: i64 = 120_000;

/// How many receives each queue has room for at the least: receives alone put messages in flight, so what was counted
/// once holds until that many were received.
#[derive(Default)]
pub(super) struct InFlight {
    room: Mutex<HashMap<i64, i64>>,
}

impl InFlight {
    /// How many messages may be received, up to `wanted`.
    pub fn room(&self, connection: &Connection, queue: &Queue, now: i64, wanted: usize) -> Result<usize> {
        let known = self.lock().get(&queue.number).copied().unwrap_or_default();
        let room = match known >= wanted as i64 {
            true => known,
            false => {
                let counted = IN_FLIGHT_MAX - count(connection, queue, now)?;
                self.lock().insert(queue.number, counted);
                counted
            }
        };
        Ok(wanted.min(room.max(0) as usize))
    }

    /// Notes that messages of a queue were received.
    pub fn note(&self, queue: &Queue, received: usize) {
        if let Some(room) = self.lock().get_mut(&queue.number) {
            *room -= received as i64;
        }
    }

    /// Forgets a queue that is gone.
    pub fn forget(&self, queue: i64) {
        self.lock().remove(&queue);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i64, i64>> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(connection: &Connection, queue: &Queue, now: i64) -> Result<i64> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM message WHERE queue = ? AND is_received AND visible_at > ? LIMIT ?)";
    let parameters = [queue.number, now, IN_FLIGHT_MAX];
    Ok(connection.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?)
}
