//! DeleteMessage and DeleteMessageBatch.

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;

use crate::sqs::batch::{self, BatchAnswer};
use crate::sqs::error::{self, Result};
use crate::sqs::queue::{Address, Queue};
use crate::sqs::receipt::{Receipt, Standing};
use crate::sqs::{Call, done};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteMessage {
    queue_url: Option<String>,
    receipt_handle: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteMessageBatch {
    queue_url: Option<String>,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default)]
    id: String,
    receipt_handle: Option<String>,
}

pub(super) async fn delete(call: &Call<'_>) -> Result<Value> {
    let request: DeleteMessage = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let now = call.now_ms();
    let deleted = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        forget(connection, &queue, request.receipt_handle.as_deref(), now)?;
        Ok(queue.number)
    });
    // The next message of its group can be received.
    call.sqs.arrivals.announce(deleted.await?);
    Ok(done())
}

pub(super) async fn delete_batch(call: &Call<'_>) -> Result<Value> {
    let request: DeleteMessageBatch = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    batch::check_ids(request.entries.iter().map(|entry| entry.id.as_str()))?;
    let now = call.now_ms();
    let deleted = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        let mut answer = BatchAnswer::default();
        for entry in &request.entries {
            answer.add(&entry.id, forget(connection, &queue, entry.receipt_handle.as_deref(), now))?;
        }
        Ok((queue.number, answer.into_value()))
    });
    let (queue, answer) = deleted.await?;
    call.sqs.arrivals.announce(queue);
    Ok(answer)
}

/// Deletes the message of a handle. What is gone already stays so; a handle that is not the last one deletes nothing,
/// and says so where the queue is FIFO.
fn forget(connection: &Connection, queue: &Queue, handle: Option<&str>, now: i64) -> Result<Value> {
    let receipt = Receipt::parse(handle, queue)?;
    let may_delete = match receipt.standing(connection, now)? {
        Standing::Gone => false,
        Standing::InFlight { .. } => true,
        Standing::Visible if !queue.address.is_fifo() => true,
        Standing::Outdated if !queue.address.is_fifo() => false,
        Standing::Visible | Standing::Outdated => {
            let handle = handle.unwrap_or_default();
            return Err(error::invalid_value("ReceiptHandle", handle, "The receipt handle has expired."));
        }
    };
    if may_delete {
        connection.prepare_cached("DELETE FROM message WHERE number = ?")?.execute([receipt.message])?;
    }
    Ok(done())
}
