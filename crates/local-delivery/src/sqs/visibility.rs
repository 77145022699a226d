//! ChangeMessageVisibility and ChangeMessageVisibilityBatch.

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;

use crate::sqs::batch::{self, BatchAnswer};
use crate::sqs::error::{self, Result};
use crate::sqs::queue::{Address, Queue};
use crate::sqs::receipt::{Receipt, Standing};
use crate::sqs::{Call, done};

/// Twelve hours, counted from when a message was received.
pub(super) const TIMEOUT_SECONDS_MAX: i64 = 43_200;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeMessageVisibility {
    queue_url: Option<String>,
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeMessageVisibilityBatch {
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
    visibility_timeout: Option<i64>,
}

pub(super) async fn change(call: &Call<'_>) -> Result<Value> {
    let request: ChangeMessageVisibility = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let now = call.now_ms();
    let changed = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        hide(connection, &queue, request.receipt_handle.as_deref(), request.visibility_timeout, now)?;
        Ok(queue.number)
    });
    call.sqs.arrivals.announce(changed.await?);
    Ok(done())
}

pub(super) async fn change_batch(call: &Call<'_>) -> Result<Value> {
    let request: ChangeMessageVisibilityBatch = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    batch::check_ids(request.entries.iter().map(|entry| entry.id.as_str()))?;
    let now = call.now_ms();
    let changed = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        let mut answer = BatchAnswer::default();
        for entry in &request.entries {
            let (handle, timeout) = (entry.receipt_handle.as_deref(), entry.visibility_timeout);
            answer.add(&entry.id, hide(connection, &queue, handle, timeout, now))?;
        }
        Ok((queue.number, answer.into_value()))
    });
    let (queue, answer) = changed.await?;
    call.sqs.arrivals.announce(queue);
    Ok(answer)
}

/// Hides a message for `timeout` seconds from now on. It is forgotten at the next receive.
fn hide(connection: &Connection, queue: &Queue, handle: Option<&str>, timeout: Option<i64>, now: i64) -> Result<Value> {
    let receipt = Receipt::parse(handle, queue)?;
    let seconds = timeout.ok_or_else(|| error::missing_parameter("VisibilityTimeout"))?;
    check_timeout(seconds)?;
    let Standing::InFlight { received_at } = receipt.standing(connection, now)? else {
        return Err(error::message_not_inflight(handle.unwrap_or_default()));
    };
    let visible_at = now + seconds * 1_000;
    if visible_at - received_at > TIMEOUT_SECONDS_MAX * 1_000 {
        let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].";
        return Err(error::invalid_value("VisibilityTimeout", seconds, reason));
    }
    let sql = "UPDATE message SET visible_at = ? WHERE number = ?";
    connection.prepare_cached(sql)?.execute([visible_at, receipt.message])?;
    Ok(done())
}

pub(super) fn check_timeout(seconds: i64) -> Result<()> {
    if (0..=TIMEOUT_SECONDS_MAX).contains(&seconds) {
        return Ok(());
    }
    let reason = "Must be between 0 and 43200, if provided.";
    Err(error::invalid_value("VisibilityTimeout", seconds, reason))
}
