//! StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask: dead letters go back, or elsewhere.

mod run;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::sqs::Call;
use crate::sqs::error::{self, Result};
use crate::sqs::queue::{Address, Queue};
use crate::sqs::redrive;

pub(super) use run::resume;

const MESSAGES_PER_SECOND_MAX: i64 = 500;
const LISTED_MAX: i64 = 10;

/// A task as the store has it.
pub(super) struct Task {
    pub number: i64,
    id: String,
    /// The queue that messages leave.
    pub source: i64,
    source_arn: String,
    /// Without one each message goes back to the queue that it was a dead letter of.
    pub destination_arn: Option<String>,
    pub messages_per_second: Option<i64>,
    pub status: String,
    started_at: i64,
    to_move: i64,
    moved: i64,
    pub last_message: i64,
    failure_reason: Option<String>,
}

impl Task {
    pub fn find(connection: &Connection, id: &str) -> Result<Option<Self>> {
        let sql = "SELECT * FROM move_task WHERE id = ?";
        Ok(connection.prepare_cached(sql)?.query_row([id], Self::read).optional()?)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get("number")?,
            id: row.get("id")?,
            source: row.get("source")?,
            source_arn: row.get("source_arn")?,
            destination_arn: row.get("destination_arn")?,
            messages_per_second: row.get("messages_per_second")?,
            status: row.get("status")?,
            started_at: row.get("started_at")?,
            to_move: row.get("to_move")?,
            moved: row.get("moved")?,
            last_message: row.get("last_message")?,
            failure_reason: row.get("failure_reason")?,
        })
    }

    fn shown(&self) -> Value {
        let mut shown = Map::new();
        if self.status == "RUNNING" {
            shown.insert("TaskHandle".into(), handle(&self.id, &self.source_arn).into());
        }
        shown.insert("Status".into(), self.status.clone().into());
        shown.insert("SourceArn".into(), self.source_arn.clone().into());
        let optional = [
            ("DestinationArn", self.destination_arn.clone().map(Value::from)),
            ("MaxNumberOfMessagesPerSecond", self.messages_per_second.map(Value::from)),
            ("FailureReason", self.failure_reason.clone().map(Value::from)),
        ];
        shown.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        shown.insert("ApproximateNumberOfMessagesMoved".into(), self.moved.into());
        shown.insert("ApproximateNumberOfMessagesToMove".into(), self.to_move.into());
        shown.insert("StartedTimestamp".into(), self.started_at.into());
        Value::Object(shown)
    }
}

fn handle(id: &str, source_arn: &str) -> String {
    BASE64_STANDARD.encode(json!({ "taskId": id, "sourceArn": source_arn }).to_string())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartMessageMoveTask {
    source_arn: Option<String>,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

pub(super) async fn start(call: &Call<'_>) -> Result<Value> {
    let request: StartMessageMoveTask = call.parse()?;
    let rate = request.max_number_of_messages_per_second;
    if let Some(rate) = rate.filter(|rate| !(1..=MESSAGES_PER_SECOND_MAX).contains(rate)) {
        let reason = "Must be between 1 and 500, if provided.";
        return Err(error::invalid_value("MaxNumberOfMessagesPerSecond", rate, reason));
    }
    let source = own_queue(call, request.source_arn.as_deref(), "SourceArn")?;
    let destination = match &request.destination_arn {
        Some(arn) => Some(own_queue(call, Some(arn), "DestinationArn")?),
        None => None,
    };
    let (id, now) = (call.sqs.ambient.uuid().to_string(), call.now_ms());
    let task = id.clone();
    let started = call.sqs.store.run(move |connection| {
        let queue = find(connection, &source, "SourceArn")?;
        if let Some(destination) = &destination {
            find(connection, destination, "DestinationArn")?;
            if destination == &source {
                return Err(error::invalid_parameter(
                    "Source queue arn and destination queue arn must not be the same.",
                ));
            }
            if destination.is_fifo() != source.is_fifo() {
                return Err(error::invalid_parameter("Source and destination queue must be of the same type."));
            }
        }
        if redrive::sources(connection, &source, "")?.is_empty() {
            return Err(error::invalid_parameter("Source queue must be configured as a Dead Letter Queue."));
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM move_task WHERE source = ? AND status IN ('RUNNING', 'CANCELLING'))";
        if connection.query_row(sql, [queue.number], |row| row.get(0))? {
            let message = "There is already a task running. Only one active task is allowed for a source queue arn \
                           at a given time.";
            return Err(error::unsupported(message));
        }
        let sql =
            "INSERT INTO move_task (id, source, source_arn, destination_arn, messages_per_second, status, started_at,
                   to_move, last_message) SELECT ?1, ?2, ?3, ?4, ?5, 'RUNNING', ?6, count(*), coalesce(max(number), 0)
                   FROM message WHERE queue = ?2";
        let destination = destination.map(|destination| destination.arn());
        connection.execute(sql, params![id, queue.number, source.arn(), destination, rate, now])?;
        Ok(handle(&id, &source.arn()))
    });
    let handle = started.await?;
    tokio::spawn(run::run(call.sqs.clone(), task));
    Ok(json!({ "TaskHandle": handle }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListMessageMoveTasks {
    source_arn: Option<String>,
    max_results: Option<i64>,
}

pub(super) async fn list(call: &Call<'_>) -> Result<Value> {
    let request: ListMessageMoveTasks = call.parse()?;
    let max = request.max_results.unwrap_or(1);
    if !(1..=LISTED_MAX).contains(&max) {
        return Err(error::invalid_value("MaxResults", max, "Must be between 1 and 10, if provided."));
    }
    let source = own_queue(call, request.source_arn.as_deref(), "SourceArn")?;
    let listed = call.sqs.store.run(move |connection| {
        let queue = find(connection, &source, "SourceArn")?;
        let sql = "SELECT * FROM move_task WHERE source = ? ORDER BY number DESC LIMIT ?";
        let mut statement = connection.prepare_cached(sql)?;
        let tasks = statement.query_map([queue.number, max], Task::read)?;
        Ok(tasks.map(|task| task.map(|task| task.shown())).collect::<rusqlite::Result<Vec<_>>>()?)
    });
    Ok(json!({ "Results": listed.await? }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CancelMessageMoveTask {
    task_handle: Option<String>,
}

/// What was moved stays where it is.
pub(super) async fn cancel(call: &Call<'_>) -> Result<Value> {
    let request: CancelMessageMoveTask = call.parse()?;
    let given = request.task_handle.ok_or_else(|| error::missing_parameter("TaskHandle"))?;
    let decoded = BASE64_STANDARD.decode(&given).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let text = |member: &str| decoded.as_ref().and_then(|handle| handle[member].as_str()).map(str::to_owned);
    let (Some(id), Some(source_arn)) = (text("taskId"), text("sourceArn")) else {
        return Err(error::invalid_parameter("Value for parameter TaskHandle is invalid."));
    };
    let source = own_queue(call, Some(&source_arn), "SourceArn")?;
    let cancelled = call.sqs.store.run(move |connection| {
        find(connection, &source, "SourceArn")?;
        let task = Task::find(connection, &id)?.ok_or_else(|| error::resource_not_found("Task does not exist."))?;
        if task.status != "RUNNING" {
            return Err(error::unsupported("Only an active task can be cancelled."));
        }
        connection.execute("UPDATE move_task SET status = 'CANCELLED' WHERE number = ?", [task.number])?;
        Ok(task.moved)
    });
    Ok(json!({ "ApproximateNumberOfMessagesMoved": cancelled.await? }))
}

/// The queue of an ARN in the caller's account and region.
fn own_queue(call: &Call<'_>, arn: Option<&str>, parameter: &str) -> Result<Address> {
    let arn = arn.ok_or_else(|| error::missing_parameter(parameter))?;
    let invalid = || {
        error::invalid_parameter(format!(
            "You must use this format to specify the {parameter}: arn:aws:sqs:<region>:<account>:<queue name>"
        ))
    };
    let address = Address::of_arn(arn).ok_or_else(invalid)?;
    let is_own = address.account == call.caller.identity.account_id && address.region == call.caller.region;
    if is_own { Ok(address) } else { Err(absent(parameter)) }
}

fn find(connection: &Connection, address: &Address, parameter: &str) -> Result<Queue> {
    Queue::find(connection, address)?.ok_or_else(|| absent(parameter))
}

fn absent(parameter: &str) -> error::Error {
    error::resource_not_found(format!("The resource that you specified for the {parameter} parameter doesn't exist."))
}
