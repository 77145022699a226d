//! Carries queries out, and stops them.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use aws_wire::Identity;
use query::Context;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::athena::execution::{Execution, State};
use crate::athena::failure::Failure;
use crate::athena::prepared::{self, Prepared};
use crate::athena::{Answer, Athena, Call, executions, result_file, unload};
use crate::audit::{Entry, Subject, Touched};
use crate::lakehouse::Region;
use crate::store::StoreError;

/// Athena's default for DML.
const QUERY_TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// A query that has not ended.
pub(super) struct Running {
    /// Ends its work; nothing of it goes on after that.
    stop: CancellationToken,
    /// `None` while it waits in the queue.
    started_ms: Option<i64>,
}

/// Starts a query that is written down as queued.
pub(super) fn spawn(athena: &Athena, region: Region, identity: Identity, execution: Execution, context: Context) {
    let stop = CancellationToken::new();
    lock(athena).insert(execution.id.clone(), Running { stop: stop.clone(), started_ms: None });
    let athena = athena.clone();
    tokio::spawn(async move {
        // Dropping the work ends it: DataFusion's tasks go with their streams.
        let id = execution.id.clone();
        let (region_name, owner) = (region.name.clone(), execution.owner.clone());
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                let refusal = Some("cancelled");
                let subject = Subject::Query { id: &id, touched: &Touched::default(), rows: 0, bytes_read: 0, refusal };
                athena.grants.audit.record(&Entry { principal: &owner, region: &region_name, subject });
            }
            ended = carry_out(&athena, &region, &identity, execution, context) => finish(&athena, &id, ended).await,
        }
    });
}

async fn carry_out(
    athena: &Athena,
    region: &Region,
    identity: &Identity,
    mut execution: Execution,
    context: Context,
) -> Execution {
    let _place = athena.places.acquire().await.expect("the semaphore is never closed");
    let started_ms = athena.ambient.now_ms();
    if let Some(running) = lock(athena).get_mut(&execution.id) {
        running.started_ms = Some(started_ms);
    }
    execution.started_ms = Some(started_ms);
    let mut touched = Touched::default();
    let work = answer(athena, region, identity, &mut execution, &context, &mut touched);
    let answered = tokio::time::timeout(QUERY_TIME_MAX, work).await.unwrap_or_else(|_| Err(Failure::timed_out()));
    match audit(athena, region, &execution, &touched, answered).await {
        Ok(()) => execution.state = State::Succeeded,
        Err(failure) => {
            execution.state = State::Failed;
            execution.reason = Some(failure.reason);
            execution.error = Some(failure.error);
        }
    }
    execution
}

/// Runs the query and writes its result.
async fn answer(
    athena: &Athena,
    region: &Region,
    identity: &Identity,
    execution: &mut Execution,
    context: &Context,
    touched: &mut Touched,
) -> Result<(), Failure> {
    let sql = match prepared::resolve(athena, execution).await? {
        Prepared::Run(sql) => sql,
        Prepared::Done => return result_file::write_nothing(athena, execution).await,
    };
    let query = query::parse_one(&sql).map_err(|error| Failure::of_query(&error))?;
    let export = query.export().cloned();
    let rows = athena.ask(query, region, identity, context, touched).await?;
    if let Some(export) = export {
        return unload::write(athena, execution, rows, &export).await;
    }
    execution.update_count = rows.wrote().and_then(|wrote| wrote.rows);
    if let Some(files) = rows.wrote().and_then(|wrote| wrote.files.clone()) {
        execution.manifest_location = Some(unload::write_manifest(athena, execution, &files).await?);
    }
    let written = result_file::write(athena, execution, rows).await?;
    execution.columns = written.columns;
    execution.row_count = written.row_count;
    execution.output_bytes = written.bytes;
    execution.bytes_scanned = written.bytes_scanned;
    Ok(())
}

/// Writes down what a query has read. One of which that cannot be kept gives nothing.
async fn audit(
    athena: &Athena,
    region: &Region,
    execution: &Execution,
    touched: &Touched,
    answered: Result<(), Failure>,
) -> Result<(), Failure> {
    let refusal = answered.as_ref().err().map(|failure| failure.reason.as_str());
    let (rows, bytes_read) = (execution.row_count, execution.bytes_scanned);
    let subject = Subject::Query { id: &execution.id, touched, rows, bytes_read, refusal };
    let entry = Entry { principal: &execution.owner, region: &region.name, subject };
    let written = athena.grants.audit.record_durably(&entry).await;
    answered.and(written.map_err(|error| Failure::of_engine(format!("write the audit log: {error}"))))
}

/// Writes how a query ended, unless somebody has stopped it meanwhile.
async fn finish(athena: &Athena, id: &str, mut execution: Execution) {
    execution.completed_ms = Some(athena.ambient.now_ms());
    let (athena, id) = (athena.clone(), id.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        // Held while it is written: the query is running, or its end is there to be read.
        let mut running = lock(&athena);
        if running.contains_key(&id) {
            let body = serde_json::to_string(&execution)?;
            athena.store.update_execution(&id, true, &body)?;
            running.remove(&id);
        }
        Ok::<_, StoreError>(())
    });
    if let Ok(Err(error)) = written.await {
        tracing::error!(%error, "the end of a query was not written");
    }
}

pub(super) fn stop(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        query_execution_id: String,
    }
    let Request { query_execution_id: id } = call.parse()?;
    let mut execution = executions::find(call.athena, call.caller, &id)?;
    let mut active = lock(call.athena);
    if let Some(running) = active.get(&id) {
        execution.state = State::Cancelled;
        execution.started_ms = running.started_ms;
        execution.completed_ms = Some(call.athena.ambient.now_ms());
        execution.reason = Some("Query cancelled by user".to_owned());
        call.store().update_execution(&id, true, &executions::to_json(&execution)?)?;
        running.stop.cancel();
        active.remove(&id);
    }
    Ok(executions::done())
}

/// When a query has left the queue, if it has and has not ended.
pub(super) fn started(athena: &Athena, id: &str) -> Option<i64> {
    lock(athena).get(id)?.started_ms
}

pub(super) fn active_count(athena: &Athena) -> usize {
    lock(athena).len()
}

impl Athena {
    /// Queries that ran when the process ended have failed.
    pub(crate) fn fail_interrupted(&self) -> Result<(), StoreError> {
        for body in self.store.undone_executions()? {
            let mut execution: Execution = serde_json::from_str(&body)?;
            let failure =
                Failure::of_engine("The query was interrupted by the end of the service. Try: start it again");
            execution.state = State::Failed;
            (execution.reason, execution.error) = (Some(failure.reason), Some(failure.error));
            execution.completed_ms = Some(self.ambient.now_ms());
            self.store.update_execution(&execution.id, true, &serde_json::to_string(&execution)?)?;
        }
        Ok(())
    }
}

fn lock(athena: &Athena) -> MutexGuard<'_, HashMap<String, Running>> {
    athena.running.lock().unwrap_or_else(PoisonError::into_inner)
}
