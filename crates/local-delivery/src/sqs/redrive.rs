//! Dead letters: where a queue's go, and whose a queue has.

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::Value;

use crate::sqs::Call;
use crate::sqs::error::{self, Result};
use crate::sqs::queue::{Address, Queue};
use crate::sqs::queues::Page;
use crate::sqs::settings::Settings;

/// Refuses a redrive policy whose target is not there, is of another type, or does not take letters of `source`.
pub(super) fn check_target(connection: &Connection, source: &Address, settings: &Settings) -> Result<()> {
    let Some(policy) = settings.redrive_policy() else { return Ok(()) };
    let refused = |reason: &str| Err(error::invalid_value("RedrivePolicy", &policy.dead_letter_target_arn, reason));
    let Some(address) = Address::of_arn(&policy.dead_letter_target_arn) else {
        return refused("Invalid value for deadLetterTargetArn.");
    };
    if (&address.account, &address.region) != (&source.account, &source.region) {
        return refused("Dead letter target owner should be same as the source.");
    }
    if address == *source {
        return refused("A queue cannot be its own dead-letter queue.");
    }
    let Some(target) = Queue::find(connection, &address)? else {
        return refused("Dead letter target does not exist.");
    };
    if address.is_fifo() != source.is_fifo() {
        return refused("Dead-letter queue must be same type of queue as the source.");
    }
    if !target.settings.redrive_allow_policy().allows(&source.arn()) {
        return refused("Dead letter target does not allow the source queue, by its RedriveAllowPolicy.");
    }
    Ok(())
}

/// Where messages of `queue` go that were received too often: the queue's number, and after how many receives.
pub(super) fn target_of(connection: &Connection, queue: &Queue) -> Result<Option<(i64, i64)>> {
    let Some(policy) = queue.settings.redrive_policy() else { return Ok(None) };
    // A target that is gone keeps its letters where they are, as on AWS.
    let Some(address) = Address::of_arn(&policy.dead_letter_target_arn) else { return Ok(None) };
    let target = Queue::find(connection, &address)?;
    let takes_them = |target: &Queue| target.settings.redrive_allow_policy().allows(&queue.address.arn());
    Ok(target.filter(takes_them).map(|target| (target.number, policy.max_receive_count)))
}

/// Moves a message to the dead letters. It keeps its id, what it was sent with and how often it was received; its
/// retention goes on from when it was first sent, and begins anew in a FIFO queue.
pub(super) fn bury(connection: &Connection, queue: &Queue, message: i64, target: i64, now: i64) -> Result<()> {
    let sql = "UPDATE message SET queue = ?, visible_at = ?, receipt = NULL, is_received = 0, dead_letter_source = ?,
               kept_from = CASE WHEN ? THEN ? ELSE kept_from END WHERE number = ?";
    let (source, is_fifo) = (queue.address.arn(), queue.address.is_fifo());
    connection.prepare_cached(sql)?.execute(rusqlite::params![target, now, source, is_fifo, now, message])?;
    Ok(())
}

/// The queues whose dead letters go to `target`, in the order of their names, from after `after`.
pub(super) fn sources(connection: &Connection, target: &Address, after: &str) -> Result<Vec<Address>> {
    let arn = target.arn();
    let queues = Queue::list(connection, target, "", after, usize::MAX >> 1)?;
    let aims_here =
        |queue: &Queue| queue.settings.redrive_policy().is_some_and(|policy| policy.dead_letter_target_arn == arn);
    Ok(queues.into_iter().filter(aims_here).map(|queue| queue.address).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListDeadLetterSourceQueues {
    queue_url: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) async fn list_sources(call: &Call<'_>) -> Result<Value> {
    let request: ListDeadLetterSourceQueues = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let page = Page::new(request.max_results, request.next_token)?;
    let after = page.after.clone();
    let listed = call.sqs.store.run(move |connection| {
        Queue::get(connection, &address)?;
        sources(connection, &address, &after)
    });
    // In lower case in the service's model, and nowhere else.
    Ok(page.answer("queueUrls", listed.await?, call))
}
