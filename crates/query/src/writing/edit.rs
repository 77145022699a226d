//! Carries out a change of rows: reads what it changes, and commits that on top of the very snapshot it was read from.

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int32Type, Int64Type, Schema};
use datafusion::sql::TableReference;
use datafusion::sql::parser::Statement;
use iceberg::{NamespaceIdent, TableIdent};
use lake::RowEdits;

use crate::catalogs::Context;
use crate::engine::Engine;
use crate::error::{DENIED, EXECUTION, Error, MULTIPLE_MATCHES, OVERTAKEN, Result};
use crate::named::Edited;
use crate::rows::Rows;
use crate::visible::Sight;
use crate::writing::assignment::Assignment;
use crate::writing::row_changes::{RowChange, RowChanges};
use crate::writing::{Done, Target, failed};

/// How often a statement is carried out anew because others changed the table meanwhile.
const ATTEMPTS_MAX: u32 = 5;

/// Columns of the query before the values: `$file`, `$pos`, `$case`.
const PLACES: usize = 3;

impl Engine {
    /// Changes rows of `target`, which the statement calls `reference`.
    pub(super) async fn change_rows(
        &self,
        context: &Context,
        sight: &Sight,
        (target, reference): (&Target, &TableReference),
        statement: Statement,
    ) -> Result<Done> {
        let changes = RowChanges::of(statement)?;
        for _ in 0..ATTEMPTS_MAX {
            let (found_in, table) = self.load(context, sight, reference).await?;
            if !found_in.visible(&table).is_whole() {
                let message = format!("not allowed to change rows of {reference}, of which not all can be seen");
                return Err(Error::new(DENIED, message).with_help("SELECT on the whole table"));
            }
            let mut edits = RowEdits::open(&target.catalog, &target.ident, &self.cache).await.map_err(failed)?;
            let ident = TableIdent::new(NamespaceIdent::new(target.wrote.database.clone()), target.wrote.table.clone());
            let query = changes.query(edits.schema())?;
            let rows = self.run_beside(context, sight, query, Some(Edited { edits: &edits, ident, found_in })).await?;
            let done = match apply(&changes, &mut edits, rows).await {
                Ok(done) => done,
                Err(error) => {
                    edits.abandon().await;
                    return Err(error);
                }
            };
            if edits.commit().await.map_err(failed)? == lake::Edited::Done {
                return Ok(done);
            }
        }
        let message = format!("{reference} was changed by others each of {ATTEMPTS_MAX} times that the statement ran");
        Err(Error::new(OVERTAKEN, message).with_help("the same statement again"))
    }
}

/// Puts what the query gives into `edits`, and counts the rows that it concerns.
async fn apply(changes: &RowChanges, edits: &mut RowEdits, mut rows: Rows) -> Result<Done> {
    let columns: Vec<usize> = (PLACES..rows.schema().fields().len()).collect();
    let values: Schema = rows.schema().project(&columns).map_err(unexpected)?;
    let assignment = match changes.writes_rows() {
        true => Some(Assignment::new(edits.schema(), &[], &values)?),
        false => None,
    };
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let cases = cast(batch.column(2), &DataType::Int32).map_err(unexpected)?;
        let files = batch.column(0).as_primitive::<Int32Type>();
        let positions = batch.column(1).as_primitive::<Int64Type>();
        let mut is_written = Vec::with_capacity(batch.num_rows());
        for (row, case) in cases.as_primitive::<Int32Type>().iter().enumerate() {
            let Some(case) = case.and_then(|case| changes.cases.get(case as usize)) else {
                is_written.push(false);
                continue;
            };
            count += 1;
            is_written.push(!matches!(case.change, RowChange::Delete));
            let is_first = !files.is_valid(row) || edits.delete(files.value(row), positions.value(row));
            if !is_first {
                let message = "One MERGE target table row matched more than one source row";
                return Err(Error::new(MULTIPLE_MATCHES, message).with_help("a source without duplicates"));
            }
        }
        if let Some(assignment) = &assignment {
            let written = filter_record_batch(&batch, &BooleanArray::from(is_written)).map_err(unexpected)?;
            let written: RecordBatch = written.project(&columns).map_err(unexpected)?;
            if written.num_rows() > 0 {
                edits.write(assignment.named(&written)).await.map_err(failed)?;
            }
        }
    }
    Ok(Done::of(Some(count), &rows))
}

fn unexpected(error: arrow::error::ArrowError) -> Error {
    Error::new(EXECUTION, error.to_string()).with_source(error)
}
