//! ReceiveMessage: at once, or as soon as there is a message to receive.

mod attempt;
mod candidates;
mod delivery;

use std::time::Duration;

use ambient::Ambient;
use rusqlite::{Connection, OptionalExtension as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::sqs::error::{self, Result};
use crate::sqs::queue::{Address, Queue};
use crate::sqs::{Call, Sqs, done, redrive, visibility};
use delivery::{Delivery, Wishes};

const MESSAGES_MAX: i64 = 10;
const WAIT_SECONDS_MAX: i64 = 20;

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    queue_url: Option<String>,
    #[serde(flatten)]
    wishes: Wishes,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    receive_request_attempt_id: Option<String>,
}

/// What one look at the queue came to.
struct Look {
    queue: i64,
    messages: Vec<Value>,
    /// The queue that got dead letters.
    buried_in: Option<i64>,
    /// How long the caller waits, where nothing comes.
    wait: Duration,
    /// When the next hidden message becomes visible, in milliseconds since the Unix epoch.
    next_visible_at: Option<i64>,
}

pub(super) async fn receive(call: &Call<'_>) -> Result<Value> {
    let request: ReceiveMessage = call.parse()?;
    request.check()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let called = Instant::now();
    let mut found = look(call, &address, &request).await?;
    loop {
        let time_left = found.wait.saturating_sub(called.elapsed());
        if !found.messages.is_empty() || time_left.is_zero() || call.sqs.shutdown.is_cancelled() {
            return Ok(answer(found.messages));
        }
        // Listening begins before looking again, so that no message comes unheard between the two.
        let bell = call.sqs.arrivals.bell(found.queue);
        let mut rung = std::pin::pin!(bell.notified());
        rung.as_mut().enable();
        found = look(call, &address, &request).await?;
        if found.messages.is_empty() {
            let until_visible =
                found.next_visible_at.map(|at| Duration::from_millis((at - call.now_ms()).max(1) as u64));
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(until_visible.map_or(time_left, |until| until.min(time_left))) => {}
                () = call.sqs.shutdown.cancelled() => {}
            }
        }
    }
}

fn answer(messages: Vec<Value>) -> Value {
    if messages.is_empty() { done() } else { json!({ "Messages": messages }) }
}

impl ReceiveMessage {
    fn check(&self) -> Result<()> {
        if let Some(count) = self.max_number_of_messages.filter(|count| !(1..=MESSAGES_MAX).contains(count)) {
            let reason = "Must be between 1 and 10, if provided.";
            return Err(error::invalid_value("MaxNumberOfMessages", count, reason));
        }
        if let Some(seconds) = self.wait_time_seconds.filter(|seconds| !(0..=WAIT_SECONDS_MAX).contains(seconds)) {
            let reason = "Must be >= 0 and <= 20, if provided.";
            return Err(error::invalid_value("WaitTimeSeconds", seconds, reason));
        }
        self.visibility_timeout.map_or(Ok(()), visibility::check_timeout)?;
        self.wishes.check()
    }
}

async fn look(call: &Call<'_>, address: &Address, request: &ReceiveMessage) -> Result<Look> {
    let (address, request, sqs) = (address.clone(), request.clone(), call.sqs.clone());
    let looked = call.sqs.store.run(move |connection| take(connection, &address, &request, &sqs)).await?;
    if let Some(target) = looked.buried_in {
        call.sqs.arrivals.announce(target);
    }
    Ok(looked)
}

/// Takes what can be received now. What was received too often goes to the dead letters instead.
fn take(connection: &Connection, address: &Address, request: &ReceiveMessage, sqs: &Sqs) -> Result<Look> {
    let now = sqs.ambient.now_ms();
    let queue = Queue::get(connection, address)?;
    queue.expire_messages(connection, now)?;
    let timeout_s = request.visibility_timeout.unwrap_or(queue.settings.visibility_timeout_s());
    let delivery = Delivery { queue: &queue, now, visible_at: now + timeout_s * 1_000, wishes: &request.wishes };
    let wait_s = request.wait_time_seconds.unwrap_or(queue.settings.wait_s());
    let mut look = Look {
        queue: queue.number,
        messages: Vec::new(),
        buried_in: None,
        wait: Duration::from_secs(wait_s as u64),
        next_visible_at: None,
    };
    if let Some(attempt) = &request.receive_request_attempt_id {
        look.messages = attempt::repeat(connection, &delivery, attempt)?;
        if !look.messages.is_empty() {
            return Ok(look);
        }
    }
    let wanted = request.max_number_of_messages.unwrap_or(1) as usize;
    let wanted = sqs.in_flight.room(connection, &queue, now, wanted)?;
    if wanted == 0 {
        // A FIFO queue answers with nothing instead.
        return if address.is_fifo() { Ok(look) } else { Err(error::over_limit()) };
    }
    let target = redrive::target_of(connection, &queue)?;
    while look.messages.len() < wanted {
        let candidates = candidates::find(connection, &queue, now, wanted - look.messages.len())?;
        if candidates.is_empty() {
            break;
        }
        for candidate in candidates {
            match target.filter(|(_, receives_max)| candidate.receive_count >= *receives_max) {
                Some((target, _)) => {
                    redrive::bury(connection, &queue, candidate.number, target, now)?;
                    look.buried_in = Some(target);
                }
                None => look.messages.push(delivery.deliver(connection, candidate.number, &token(&sqs.ambient))?),
            }
        }
    }
    sqs.in_flight.note(&queue, look.messages.len());
    if let Some(attempt) = &request.receive_request_attempt_id {
        attempt::remember(connection, &delivery, attempt, &look.messages)?;
    }
    look.next_visible_at = next_visible_at(connection, &queue, now)?;
    Ok(look)
}

fn token(ambient: &Ambient) -> String {
    format!("{:032x}", ambient.random())
}

fn next_visible_at(connection: &Connection, queue: &Queue, now: i64) -> Result<Option<i64>> {
    let sql = "SELECT visible_at FROM message WHERE queue = ? AND visible_at > ? ORDER BY visible_at LIMIT 1";
    Ok(connection.prepare_cached(sql)?.query_row([queue.number, now], |row| row.get(0)).optional()?)
}
