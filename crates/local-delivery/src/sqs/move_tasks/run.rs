//! Moves messages, a few at a time. Each step is durable by itself: a task goes on after a restart.

use std::time::Duration;

use rusqlite::{Connection, params};
use tracing::{error, info};
use uuid::Uuid;

use crate::sqs::Sqs;
use crate::sqs::error::Result;
use crate::sqs::move_tasks::Task;
use crate::sqs::queue::{Address, Queue};

/// How many messages a second go where nobody asks for fewer: as many as AWS takes.
const MESSAGES_PER_SECOND: i64 = 500;

/// How many steps a second are made, where there are as many messages.
const STEPS_PER_SECOND: i64 = 10;

/// How long to wait where the store fails.
const PAUSE: Duration = Duration::from_secs(1);

/// What one step came to.
enum Step {
    Moved { queues: Vec<i64>, pause: Duration },
    Ended,
}

/// Goes on with the tasks that were running when the process ended.
pub(crate) async fn resume(sqs: Sqs) {
    let running = sqs.store.run(|connection| {
        let mut statement = connection.prepare("SELECT id FROM move_task WHERE status = 'RUNNING'")?;
        let ids = statement.query_map([], |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<Vec<String>>>()?)
    });
    match running.await {
        Ok(ids) => ids.into_iter().for_each(|id| drop(tokio::spawn(run(sqs.clone(), id)))),
        Err(error) => error!(%error, "move tasks were not found"),
    }
}

/// Runs a task to its end, or to that of the process.
pub(super) async fn run(sqs: Sqs, id: String) {
    while !sqs.shutdown.is_cancelled() {
        let (task, now, ids) = (id.clone(), sqs.ambient.now_ms(), new_ids(&sqs));
        let pause = match sqs.store.run(move |connection| step(connection, &task, now, ids)).await {
            Ok(Step::Ended) => return info!(task = id, "move task ended"),
            Ok(Step::Moved { queues, pause }) => {
                queues.into_iter().for_each(|queue| sqs.arrivals.announce(queue));
                pause
            }
            Err(error) => {
                error!(task = id, %error, "move task is held up");
                PAUSE
            }
        };
        sqs.shutdown.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}

fn new_ids(sqs: &Sqs) -> Vec<Uuid> {
    (0..MESSAGES_PER_SECOND / STEPS_PER_SECOND).map(|_| sqs.ambient.uuid()).collect()
}

/// Moves the next messages. They are new ones where they go: with other ids, sent now and never received.
fn step(connection: &Connection, id: &str, now: i64, ids: Vec<Uuid>) -> Result<Step> {
    let Some(task) = Task::find(connection, id)?.filter(|task| task.status == "RUNNING") else {
        return Ok(Step::Ended);
    };
    let rate = task.messages_per_second.unwrap_or(MESSAGES_PER_SECOND);
    let count = (rate / STEPS_PER_SECOND).clamp(1, ids.len() as i64);
    let sql = "SELECT number, dead_letter_source FROM message WHERE queue = ? AND visible_at <= ? AND number <= ?
               ORDER BY number LIMIT ?";
    let mut statement = connection.prepare_cached(sql)?;
    let parameters = [task.source, now, task.last_message, count];
    let found = statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let messages: Vec<(i64, Option<String>)> = found.collect::<rusqlite::Result<_>>()?;
    if messages.is_empty() {
        return end(connection, &task, "COMPLETED", None);
    }
    let mut queues = Vec::new();
    let mut failure = None;
    for ((message, source), id) in messages.iter().zip(ids) {
        let arn = task.destination_arn.as_ref().or(source.as_ref());
        match destination(connection, arn)? {
            Ok(destination) => {
                renew(connection, *message, &destination, id, now)?;
                queues.push(destination.number);
            }
            Err(reason) => {
                failure = Some(reason);
                break;
            }
        }
    }
    let moved = queues.len() as i64;
    connection.execute("UPDATE move_task SET moved = moved + ? WHERE number = ?", [moved, task.number])?;
    if let Some(reason) = failure {
        return end(connection, &task, "FAILED", Some(reason));
    }
    queues.dedup();
    Ok(Step::Moved { queues, pause: Duration::from_secs_f64(moved as f64 / rate as f64) })
}

/// Where a message goes, or why it goes nowhere.
fn destination(connection: &Connection, arn: Option<&String>) -> Result<Result<Queue, &'static str>> {
    let Some(arn) = arn else { return Ok(Err("CouldNotDetermineMessageSource")) };
    let queue = match Address::of_arn(arn) {
        Some(address) => Queue::find(connection, &address)?,
        None => None,
    };
    Ok(queue.ok_or("AWS.SimpleQueueService.NonExistentQueue"))
}

fn renew(connection: &Connection, message: i64, destination: &Queue, id: Uuid, now: i64) -> Result<()> {
    let visible_at = now + destination.settings.delay_s() * 1_000;
    let sql = "INSERT INTO message (queue, id, body, attributes, trace_header, sender, sent_at, kept_from, visible_at,
               group_id, deduplication_id) SELECT ?1, ?2, body, attributes, trace_header, sender, ?3, ?3, ?4, group_id,
               deduplication_id FROM message WHERE number = ?5";
    let parameters = params![destination.number, id.to_string(), now, visible_at, message];
    connection.prepare_cached(sql)?.execute(parameters)?;
    connection.prepare_cached("DELETE FROM message WHERE number = ?")?.execute([message])?;
    Ok(())
}

fn end(connection: &Connection, task: &Task, status: &str, reason: Option<&str>) -> Result<Step> {
    let sql = "UPDATE move_task SET status = ?, failure_reason = ? WHERE number = ?";
    connection.execute(sql, params![status, reason, task.number])?;
    Ok(Step::Ended)
}
