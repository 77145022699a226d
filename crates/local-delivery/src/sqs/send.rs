//! SendMessage and SendMessageBatch.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::sqs::Call;
use crate::sqs::batch::{self, BatchAnswer};
use crate::sqs::error::{self, Result};
use crate::sqs::message::{self, MESSAGE_BYTES_MAX, NewMessage};
use crate::sqs::message_attribute;
use crate::sqs::queue::{Address, Queue};

/// How long a FIFO queue knows a message again.
const DEDUPLICATION_MS: i64 = 5 * 60 * 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    queue_url: Option<String>,
    #[serde(flatten)]
    message: NewMessage,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessageBatch {
    queue_url: Option<String>,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default)]
    id: String,
    #[serde(flatten)]
    message: NewMessage,
}

/// Who sends, and when.
struct Sending {
    sender: String,
    now: i64,
}

/// What sending a message, or the same message again, comes to.
struct Sent {
    id: String,
    /// Of the queues on this endpoint, in the order of sending.
    number: i64,
}

pub(super) async fn send(call: &Call<'_>) -> Result<Value> {
    let request: SendMessage = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let (sending, id) = (Sending::of(call), call.sqs.ambient.uuid());
    let sent = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        let answer = sending.send(connection, &queue, &request.message, id)?;
        Ok((queue.number, answer))
    });
    let (queue, answer) = sent.await?;
    call.sqs.arrivals.announce(queue);
    Ok(answer)
}

pub(super) async fn send_batch(call: &Call<'_>) -> Result<Value> {
    let request: SendMessageBatch = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    batch::check_ids(request.entries.iter().map(|entry| entry.id.as_str()))?;
    let entry_bytes = |entry: &Entry| entry.message.message_body.len();
    let bytes: usize = request.entries.iter().map(|entry| entry.message.size().unwrap_or(entry_bytes(entry))).sum();
    if bytes > MESSAGE_BYTES_MAX {
        return Err(error::batch_too_long(bytes, MESSAGE_BYTES_MAX));
    }
    let sending = Sending::of(call);
    let ids: Vec<Uuid> = request.entries.iter().map(|_| call.sqs.ambient.uuid()).collect();
    let sent = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        let mut answer = BatchAnswer::default();
        for (entry, id) in request.entries.iter().zip(ids) {
            answer.add(&entry.id, sending.send(connection, &queue, &entry.message, id))?;
        }
        Ok((queue.number, answer.into_value()))
    });
    let (queue, answer) = sent.await?;
    call.sqs.arrivals.announce(queue);
    Ok(answer)
}

impl Sending {
    fn of(call: &Call<'_>) -> Self {
        Self { sender: call.caller.identity.user_id(), now: call.now_ms() }
    }

    fn send(&self, connection: &Connection, queue: &Queue, message: &NewMessage, id: Uuid) -> Result<Value> {
        message.check(queue)?;
        let sent = match queue.address.is_fifo() {
            true => self.send_once(connection, queue, message, id)?,
            false => self.insert(connection, queue, message, None, id)?,
        };
        let mut answer = Map::new();
        answer.insert("MessageId".into(), sent.id.into());
        answer.insert("MD5OfMessageBody".into(), message::md5(&message.message_body).into());
        let digests = [
            ("MD5OfMessageAttributes", &message.message_attributes),
            ("MD5OfMessageSystemAttributes", &message.message_system_attributes),
        ];
        for (name, attributes) in digests {
            if let Some(digest) = message_attribute::md5(attributes) {
                answer.insert(name.into(), digest.into());
            }
        }
        if queue.address.is_fifo() {
            answer.insert("SequenceNumber".into(), sequence_number(sent.number).into());
        }
        Ok(Value::Object(answer))
    }

    /// Sends to a FIFO queue, unless the message was sent before: then that is the answer.
    fn send_once(&self, connection: &Connection, queue: &Queue, message: &NewMessage, id: Uuid) -> Result<Sent> {
        let deduplication_id = message.deduplication_id();
        let group = message.message_group_id.as_deref().filter(|_| queue.settings.deduplicates_by_group());
        let scope = group.unwrap_or_default();
        let oldest = self.now - DEDUPLICATION_MS;
        connection
            .prepare_cached("DELETE FROM deduplication WHERE queue = ? AND sent_at <= ?")?
            .execute([queue.number, oldest])?;
        let sql = "SELECT message_id, message_number FROM deduplication
                   WHERE queue = ? AND scope = ? AND deduplication_id = ?";
        let read = |row: &rusqlite::Row<'_>| Ok(Sent { id: row.get(0)?, number: row.get(1)? });
        let before = connection
            .prepare_cached(sql)?
            .query_row(params![queue.number, scope, deduplication_id], read)
            .optional()?;
        if let Some(before) = before {
            return Ok(before);
        }
        let sent = self.insert(connection, queue, message, Some(&deduplication_id), id)?;
        let sql = "INSERT INTO deduplication (queue, scope, deduplication_id, sent_at, message_number, message_id)
                   VALUES (?, ?, ?, ?, ?, ?)";
        connection.prepare_cached(sql)?.execute(params![
            queue.number,
            scope,
            deduplication_id,
            self.now,
            sent.number,
            sent.id
        ])?;
        Ok(sent)
    }

    fn insert(
        &self,
        connection: &Connection,
        queue: &Queue,
        message: &NewMessage,
        deduplication_id: Option<&str>,
        id: Uuid,
    ) -> Result<Sent> {
        let own_delay = message.delay_seconds.filter(|_| !queue.address.is_fifo());
        let visible_at = self.now + own_delay.unwrap_or(queue.settings.delay_s()) * 1_000;
        let id = id.to_string();
        let sql =
            "INSERT INTO message (queue, id, body, attributes, trace_header, sender, sent_at, kept_from, visible_at,
                   group_id, deduplication_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10)";
        connection.prepare_cached(sql)?.execute(params![
            queue.number,
            id,
            message.message_body,
            json!(message.message_attributes).to_string(),
            message.trace_header(),
            self.sender,
            self.now,
            visible_at,
            message.message_group_id,
            deduplication_id,
        ])?;
        Ok(Sent { id, number: connection.last_insert_rowid() })
    }
}

/// Twenty digits, as AWS's are.
pub(super) fn sequence_number(number: i64) -> String {
    const FIRST: u64 = 10_000_000_000_000_000_000;
    (FIRST + number as u64).to_string()
}
