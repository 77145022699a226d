//! Rows in the order of the table, in bounded memory: DataFusion sorts and spills, and each row carries its rank in the
//! input through it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use futures::StreamExt;

use crate::error::{Error, ErrorKind, Result};
use crate::maintain::compact::read::Rows;
use crate::maintain::compact::sort_keys::SortKeys;
use crate::scan::LakeTable;

/// Sorts `rows`, which have the columns of `lake`. What comes has columns more: the keys, and last the rank of each row
/// in the input.
pub(crate) fn sorted(
    lake: &LakeTable,
    session: &SessionState,
    keys: SortKeys,
    rows: Rows,
) -> Result<SendableRecordBatchStream> {
    let failed = |error: DataFusionError| Error::new(ErrorKind::Unexpected, "sort rows").with_source(error);
    let columns = TableProvider::schema(lake);
    let mut fields: Vec<Arc<Field>> = columns.fields().iter().cloned().collect();
    let ordering = keys.options().enumerate().map(|(key, options)| {
        let column = Column::new(&key_name(key), columns.fields().len() + key);
        PhysicalSortExpr { expr: Arc::new(column), options }
    });
    let ordering = LexOrdering::new(ordering.collect::<Vec<_>>());
    let ordering = ordering.ok_or_else(|| Error::new(ErrorKind::Unexpected, "sort rows by nothing"))?;
    fields.extend(
        keys.types(&columns)?
            .into_iter()
            .enumerate()
            .map(|(key, data_type)| Arc::new(Field::new(key_name(key), data_type, true))),
    );
    fields.push(Arc::new(Field::new("rank", DataType::UInt32, false)));
    let schema = Arc::new(Schema::new(fields));

    let with_keys = schema.clone();
    let mut next_rank = 0;
    let rows = rows.map(move |batch| {
        let batch = batch?;
        let ranks = UInt32Array::from_iter_values(next_rank..next_rank + batch.num_rows() as u32);
        next_rank += batch.num_rows() as u32;
        let keys = keys.of(&batch).map_err(|error| DataFusionError::External(error.into()))?;
        let mut columns = batch.columns().to_vec();
        columns.extend(keys);
        columns.push(Arc::new(ranks) as ArrayRef);
        Ok(RecordBatch::try_new(with_keys.clone(), columns)?)
    });
    let input = Arc::new(Input { schema: schema.clone(), rows: Mutex::new(Some(rows.boxed())) });
    let input = StreamingTableExec::try_new(schema, vec![input], None, Vec::new(), false, None).map_err(failed)?;
    SortExec::new(ordering, Arc::new(input)).execute(0, session.task_ctx()).map_err(failed)
}

/// The ranks in a sorted batch.
pub(crate) fn ranks(batch: &RecordBatch) -> &UInt32Array {
    batch.columns().last().expect("the rank is a column").as_primitive::<UInt32Type>()
}

fn key_name(key: usize) -> String {
    format!("key {key}")
}

/// The unsorted rows, which are read once.
struct Input {
    schema: SchemaRef,
    rows: Mutex<Option<Rows>>,
}

impl PartitionStream for Input {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner).take();
        let rows = rows.expect("the plan of a sort is executed once");
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows to compact")
    }
}
