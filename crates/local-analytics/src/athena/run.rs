//! Carries queries out, and stops them.

use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use aws_wire::Identity;
use bytes::Bytes;
use object_store::{ObjectStoreExt, path::Path};
use query::Answer as Rows;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::athena::column::ColumnInfo;
use crate::athena::execution::{Execution, State};
use crate::athena::failure::Failure;
use crate::athena::statement::{self, StatementType};
use crate::athena::{Answer, Athena, Call, csv, executions, start, value};
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

/// Where a query's names are looked up first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub table_bucket: Option<String>,
    pub namespace: Option<String>,
}

/// Starts a query that is written down as queued.
pub(super) fn spawn(athena: &Athena, region: Region, identity: Identity, execution: Execution, place: Place) {
    let stop = CancellationToken::new();
    lock(athena).insert(execution.id.clone(), Running { stop: stop.clone(), started_ms: None });
    let athena = athena.clone();
    tokio::spawn(async move {
        // Dropping the work ends it: DataFusion's tasks go with their streams.
        let id = execution.id.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            ended = carry_out(&athena, &region, &identity, execution, place) => finish(&athena, &id, ended).await,
        }
    });
}

async fn carry_out(
    athena: &Athena,
    region: &Region,
    identity: &Identity,
    mut execution: Execution,
    place: Place,
) -> Execution {
    let _place = athena.places.acquire().await.expect("the semaphore is never closed");
    let started_ms = athena.ambient.now_ms();
    if let Some(running) = lock(athena).get_mut(&execution.id) {
        running.started_ms = Some(started_ms);
    }
    execution.started_ms = Some(started_ms);
    let work = answer(athena, region, identity, &mut execution, &place);
    let answered = tokio::time::timeout(QUERY_TIME_MAX, work).await.unwrap_or_else(|_| Err(Failure::timed_out()));
    match answered {
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
    place: &Place,
) -> Result<(), Failure> {
    let asked = &execution.asked;
    let sql = statement::fill(&asked.query, &asked.parameters).map_err(Failure::of_user)?;
    let engine = athena.lakehouse.engine(region, place.table_bucket.as_deref(), place.namespace.as_deref()).await;
    let engine = engine.map_err(|error| Failure::of_engine(with_causes(&error)))?;
    let rows = athena.ask(&engine, &sql, region, identity, place).await?;

    execution.bytes_scanned = rows.bytes_read;
    if let Some(limit) = execution.bytes_scanned_max.filter(|limit| rows.bytes_read > *limit) {
        return Err(Failure::of_user(format!("Bytes scanned limit was exceeded: the work group allows {limit} bytes")));
    }
    execution.row_count = rows.row_count() as u64;
    let (columns, file) = encode(execution.statement_type, &execution.substatement, rows).await?;
    execution.columns = columns;
    execution.output_bytes = file.len() as u64;
    write_result(athena, execution, file).await
}

/// The columns and the file of a result. Encoding takes a thread of its own.
async fn encode(of: StatementType, substatement: &str, rows: Rows) -> Result<(Vec<ColumnInfo>, Vec<u8>), Failure> {
    let substatement = substatement.to_owned();
    let encoded = tokio::task::spawn_blocking(move || {
        let (columns, batches) = shaped(of, &substatement, rows);
        let mut file = Vec::new();
        if of == StatementType::Dml {
            csv::write_row(&mut file, columns.iter().map(|column| Some(column.name.as_str())));
        }
        for batch in &batches {
            for row in 0..batch.num_rows() {
                let values = batch.columns().iter().map(|column| value::text(column, row));
                let values = values.collect::<Result<Vec<Option<String>>, _>>()?;
                let values = values.iter().map(Option::as_deref);
                match of {
                    StatementType::Dml => csv::write_row(&mut file, values),
                    _ => csv::write_line(&mut file, values),
                }
            }
        }
        Ok::<_, arrow::error::ArrowError>((columns, file))
    });
    let encoded = encoded.await.map_err(|error| Failure::of_engine(error.to_string()))?;
    encoded.map_err(|error| Failure::of_engine(error.to_string()))
}

/// Listings have one column on Athena, and names of their own.
fn shaped(of: StatementType, substatement: &str, rows: Rows) -> (Vec<ColumnInfo>, Vec<RecordBatch>) {
    let names: Vec<&str> = rows.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let listing: Option<(&[usize], &[&str])> = match (of, substatement, names.as_slice()) {
        (StatementType::Utility, _, ["namespace", "table"]) => Some((&[1], &["tab_name"])),
        (StatementType::Utility, _, ["namespace"]) => Some((&[0], &["database_name"])),
        (StatementType::Utility, _, ["column", "type", "comment"]) => {
            Some((&[0, 1, 2], &["col_name", "data_type", "comment"]))
        }
        (StatementType::Utility, "EXPLAIN", [_, "plan"]) => Some((&[1], &["Query Plan"])),
        _ => None,
    };
    let Some((kept, names)) = listing else {
        return (rows.schema.fields().iter().map(|field| ColumnInfo::of(field)).collect(), rows.batches);
    };
    let batches = rows.batches.iter().filter_map(|batch| batch.project(kept).ok()).collect();
    (names.iter().map(|name| ColumnInfo::text(name)).collect(), batches)
}

/// Puts the rows, and beside them what their columns are. Whose they are is known before they are there.
async fn write_result(athena: &Athena, execution: &Execution, file: Vec<u8>) -> Result<(), Failure> {
    let failed = |reason: String| Failure::results_not_written(format!("Unable to write the results: {reason}"));
    let (bucket, key) = start::parse_location(&execution.output_location).map_err(|error| failed(error.message))?;
    let Some(objects) = athena.lakehouse.objects(&bucket) else {
        return Err(failed(format!("the bucket {bucket} does not exist")));
    };
    let metadata: Vec<serde_json::Value> = execution.columns.iter().map(ColumnInfo::shown).collect();
    let metadata = serde_json::json!({ "ColumnInfo": metadata }).to_string().into_bytes();
    for (key, bytes) in [(format!("{key}.metadata"), metadata), (key, file)] {
        let (store, object, owner) = (athena.store.clone(), format!("{bucket}/{key}"), execution.owner.clone());
        let owned = tokio::task::spawn_blocking(move || store.own_result(&object, &owner)).await;
        owned.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
        let put = objects.put(&Path::from(key), Bytes::from(bytes).into()).await;
        put.map_err(|error| failed(error.to_string()))?;
    }
    Ok(())
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

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
