//! GetQueryResults: pages through the file that a query has left.

use aws_wire::{AwsError, Caller};
use object_store::{ObjectStoreExt, path::Path};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::athena::column::ColumnInfo;
use crate::athena::execution::{Execution, State};
use crate::athena::failure::invalid;
use crate::athena::statement::StatementType;
use crate::athena::{Answer, Athena, csv, executions, start};
use crate::json;

const ROWS_MAX: usize = 1_000;
/// What is read of the file at first; more where rows are long.
const PIECE_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    query_execution_id: String,
    next_token: Option<String>,
    max_results: Option<usize>,
}

pub(super) async fn get(athena: &Athena, caller: &Caller, body: &[u8]) -> Answer {
    let request: Request = json::parse(body)?;
    let count_max = request.max_results.unwrap_or(ROWS_MAX);
    if !(1..=ROWS_MAX).contains(&count_max) {
        return Err(invalid(format!("MaxResults is more than maximum allowed length {ROWS_MAX}.")));
    }
    let (of, by, id) = (athena.clone(), caller.clone(), request.query_execution_id.clone());
    let found = tokio::task::spawn_blocking(move || executions::find(&of, &by, &id)).await;
    let execution = found.map_err(|panic| json::internal("InternalServerException", &panic))??;
    check_succeeded(&execution)?;
    let offset = match &request.next_token {
        Some(token) => offset_of(token, &execution.id).ok_or_else(|| invalid("NextToken is not one of this query"))?,
        None => 0,
    };
    let page = read(athena, &execution, offset, count_max).await?;
    Ok(shown(&execution, page))
}

/// Rows, and where the next ones begin.
#[derive(Default)]
struct Page {
    rows: Vec<csv::Row>,
    next: Option<u64>,
}

fn check_succeeded(execution: &Execution) -> Result<(), AwsError> {
    match execution.state {
        State::Succeeded => Ok(()),
        State::Queued => Err(invalid("Query has not yet finished. Current state: QUEUED")),
        State::Running => Err(invalid("Query has not yet finished. Current state: RUNNING")),
        State::Failed => Err(invalid("Query did not finish successfully. Final query state: FAILED")),
        State::Cancelled => Err(invalid("Query did not finish successfully. Final query state: CANCELLED")),
    }
}

async fn read(athena: &Athena, execution: &Execution, offset: u64, count_max: usize) -> Result<Page, AwsError> {
    let (bucket, key) = start::parse_location(&execution.output_location)?;
    let gone = || invalid(format!("Could not find results at {}", execution.output_location));
    let objects = athena.lakehouse.objects(&bucket).ok_or_else(gone)?;
    let read_row = match execution.statement_type {
        StatementType::Dml => csv::read_row,
        StatementType::Ddl | StatementType::Utility => csv::read_line,
    };
    let size = execution.output_bytes;
    if offset >= size {
        return Ok(Page::default());
    }
    let mut piece_bytes = PIECE_BYTES;
    loop {
        let end = size.min(offset + piece_bytes);
        let bytes = objects.get_range(&Path::from(key.as_str()), offset..end).await.map_err(|_| gone())?;
        let (mut rows, mut at) = (Vec::new(), 0);
        while rows.len() < count_max
            && let Some((row, length)) = read_row(&bytes[at..])
        {
            rows.push(row);
            at += length;
        }
        let next = offset + at as u64;
        if rows.len() == count_max || end == size {
            return Ok(Page { rows, next: (next < size).then_some(next) });
        }
        piece_bytes *= 4;
    }
}

fn shown(execution: &Execution, page: Page) -> Value {
    let cell = |value: Option<String>| value.map_or_else(|| json!({}), |value| json!({ "VarCharValue": value }));
    let row = |row: csv::Row| json!({ "Data": row.into_iter().map(cell).collect::<Vec<Value>>() });
    let rows: Vec<Value> = page.rows.into_iter().map(row).collect();
    let columns: Vec<Value> = execution.columns.iter().map(ColumnInfo::shown).collect();
    let mut answer = json!({
        "UpdateCount": execution.update_count.unwrap_or(0),
        "ResultSet": { "Rows": rows, "ResultSetMetadata": { "ColumnInfo": columns } },
    });
    if let Some(next) = page.next {
        answer["NextToken"] = format!("{}:{next}", execution.id).into();
    }
    answer
}

fn offset_of(token: &str, id: &str) -> Option<u64> {
    token.strip_prefix(id)?.strip_prefix(':')?.parse().ok()
}
