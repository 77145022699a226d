//! ReceiveRequestAttemptId: a receiver that did not get its answer asks again, and gets the same one.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};

use crate::sqs::error::{self, Result};
use crate::sqs::receipt::{Receipt, Standing};
use crate::sqs::receive::delivery::Delivery;

/// How long an attempt can be repeated.
const ATTEMPT_MS: i64 = 5 * 60 * 1_000;

/// The messages of an earlier attempt that are still in flight, under their handles, and hidden anew.
pub(super) fn repeat(connection: &Connection, delivery: &Delivery<'_>, attempt: &str) -> Result<Vec<Value>> {
    if !delivery.queue.address.is_fifo() {
        let reason = "The request include parameter that is not valid for this queue type.";
        return Err(error::invalid_value("ReceiveRequestAttemptId", attempt, reason));
    }
    let (queue, oldest) = (delivery.queue.number, delivery.now - ATTEMPT_MS);
    connection.execute("DELETE FROM receive_attempt WHERE queue = ? AND received_at <= ?", [queue, oldest])?;
    let sql = "SELECT handles FROM receive_attempt WHERE queue = ? AND id = ?";
    let handles: Option<String> = connection.query_row(sql, params![queue, attempt], |row| row.get(0)).optional()?;
    let handles: Vec<String> = handles.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default();
    let mut messages = Vec::new();
    for receipt in handles.iter().filter_map(|handle| Receipt::decode(handle)) {
        if let Standing::InFlight { .. } = receipt.standing(connection, delivery.now)? {
            messages.push(delivery.deliver_again(connection, &receipt)?);
        }
    }
    Ok(messages)
}

/// Notes what an attempt gave.
pub(super) fn remember(
    connection: &Connection,
    delivery: &Delivery<'_>,
    attempt: &str,
    messages: &[Value],
) -> Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let handles: Vec<&Value> = messages.iter().map(|message| &message["ReceiptHandle"]).collect();
    let sql = "INSERT OR REPLACE INTO receive_attempt (queue, id, received_at, handles) VALUES (?, ?, ?, ?)";
    connection.execute(sql, params![delivery.queue.number, attempt, delivery.now, json!(handles).to_string()])?;
    Ok(())
}
