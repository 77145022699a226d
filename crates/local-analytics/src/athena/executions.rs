//! What became of queries: one, several, and the list of them.

use aws_wire::{AwsError, Caller};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::athena::execution::{Execution, State};
use crate::athena::failure::invalid;
use crate::athena::{Answer, Athena, Call, run, work_groups};
use crate::json;

const BATCH_MAX: usize = 50;
const PAGE_MAX: usize = 50;
/// Rows of the list that are looked through for those that the caller may see.
const LOOKED_AT_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ById {
    query_execution_id: String,
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let ById { query_execution_id } = call.parse()?;
    let execution = find(call.athena, call.caller, &query_execution_id)?;
    Ok(json!({ "QueryExecution": execution.shown(call.athena.ambient.now_ms()) }))
}

pub(super) fn batch_get(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        query_execution_ids: Vec<String>,
    }
    let Request { query_execution_ids } = call.parse()?;
    if !(1..=BATCH_MAX).contains(&query_execution_ids.len()) {
        return Err(invalid(format!("QueryExecutionIds must have 1 to {BATCH_MAX} members")));
    }
    let now = call.athena.ambient.now_ms();
    let (mut found, mut unprocessed) = (Vec::new(), Vec::new());
    for id in query_execution_ids {
        match find(call.athena, call.caller, &id) {
            Ok(execution) => found.push(execution.shown(now)),
            Err(error) if error.status.is_server_error() => return Err(error),
            Err(error) => unprocessed.push(json!({
                "QueryExecutionId": id,
                "ErrorCode": "INVALID_QUERY_EXECUTION_ID",
                "ErrorMessage": error.message,
            })),
        }
    }
    Ok(json!({ "QueryExecutions": found, "UnprocessedQueryExecutionIds": unprocessed }))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        work_group: Option<String>,
        next_token: Option<String>,
        max_results: Option<usize>,
    }
    let request: Request = call.parse()?;
    let work_group = request.work_group.as_deref().unwrap_or(work_groups::PRIMARY);
    work_groups::find(call, work_group)?;
    let count_max = request.max_results.filter(|count| *count > 0).unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let before = match &request.next_token {
        Some(token) => token.parse().map_err(|_| invalid("NextToken is not one of this list"))?,
        None => i64::MAX,
    };
    let rows = call.store().executions(&call.region.key(), work_group, before, LOOKED_AT_MAX)?;
    let (mut ids, mut next) = (Vec::new(), None);
    let looked_at_all = rows.len() < LOOKED_AT_MAX;
    for (number, body) in rows {
        if ids.len() == count_max {
            break;
        }
        let execution = from_json(&body)?;
        next = Some(number.to_string());
        if may_see(call.caller, &execution) {
            ids.push(execution.id);
        }
    }
    let is_last = looked_at_all && ids.len() < count_max;
    let mut answer = json!({ "QueryExecutionIds": ids });
    if let Some(next) = next.filter(|_| !is_last) {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}

pub(super) fn runtime_statistics(call: &Call<'_>) -> Answer {
    let ById { query_execution_id } = call.parse()?;
    let execution = find(call.athena, call.caller, &query_execution_id)?;
    let timeline = execution.timeline(call.athena.ambient.now_ms());
    let mut statistics = json!({ "Timeline": timeline });
    if execution.state == State::Succeeded {
        statistics["Rows"] = json!({
            "InputBytes": execution.bytes_scanned,
            "OutputBytes": execution.output_bytes,
            "OutputRows": execution.row_count,
        });
    }
    Ok(json!({ "QueryRuntimeStatistics": statistics }))
}

/// An execution of the caller's; an administrator sees those of all. To others it does not exist.
pub(super) fn find(athena: &Athena, caller: &Caller, id: &str) -> Result<Execution, AwsError> {
    let region = json::region(caller).key();
    let found = athena.store.execution(&region, id)?.map(|body| from_json(&body)).transpose()?;
    let Some(mut execution) = found.filter(|execution| may_see(caller, execution)) else {
        return Err(not_found(athena, caller, &region, id)?);
    };
    if let Some(started_ms) = run::started(athena, id) {
        (execution.state, execution.started_ms) = (State::Running, Some(started_ms));
    }
    Ok(execution)
}

/// A cut or mistyped id names the execution that it is most likely of.
fn not_found(athena: &Athena, caller: &Caller, region: &str, id: &str) -> Result<AwsError, AwsError> {
    const PREFIX_MIN: usize = 6;
    let mut message = format!("QueryExecution {id} was not found");
    if id.len() >= PREFIX_MIN {
        for (_, body) in athena.store.executions(region, work_groups::PRIMARY, i64::MAX, LOOKED_AT_MAX)? {
            let execution = from_json(&body)?;
            let is_near = id.get(..PREFIX_MIN).is_some_and(|prefix| execution.id.starts_with(prefix));
            if is_near && may_see(caller, &execution) {
                message.push_str(&format!(". Try: {}", execution.id));
                break;
            }
        }
    }
    Ok(invalid(message))
}

fn may_see(caller: &Caller, execution: &Execution) -> bool {
    caller.identity.is_administrator || caller.identity.arn == execution.owner
}

pub(super) fn to_json(execution: &Execution) -> Result<String, AwsError> {
    serde_json::to_string(execution).map_err(|error| json::internal("InternalServerException", &error))
}

pub(super) fn from_json(body: &str) -> Result<Execution, AwsError> {
    serde_json::from_str(body).map_err(|error| json::internal("InternalServerException", &error))
}

/// The body of an answer that has nothing to say.
pub(super) fn done() -> Value {
    json!({})
}
