//! Rows in the order of the table, in bounded memory: DataFusion sorts and spills, and each row carries its rank in the
//! input through it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use arrow::record_batch::RecordBatch;
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

/// Sorts `rows`, which have these `columns`. What comes has columns more: the keys, and last the rank of each row in the
/// input.
pub(crate) fn sorted(
    columns: &SchemaRef,
    session: &SessionState,
    keys: SortKeys,
    rows: Rows,
) -> Result<SendableRecordBatchStream> {
    let failed = |error: DataFusionError| Error::new(ErrorKind::Unexpected, "sort rows").with_source(error);
    let mut fields: Vec<Arc<Field>> = columns.fields().iter().cloned().collect();
    let ordering = keys.options().enumerate().map(|(key, options)| {
        let column = Column::new(&key_name(key), columns.fields().len() + key);
        PhysicalSortExpr { expr: Arc::new(column), options }
    });
    let ordering = LexOrdering::new(ordering.collect::<Vec<_>>());
    let ordering = ordering.ok_or_else(|| Error::new(ErrorKind::Unexpected, "sort rows by nothing"))?;
    fields.extend(
        keys.types(columns)?
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

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringViewArray};
    use arrow::datatypes::Int64Type;
    use datafusion::catalog::TableProvider;
    use futures::{TryStreamExt, stream};
    use iceberg::spec::{NullOrder, PrimitiveType, SortDirection, SortField, SortOrder, Transform, Type};

    use super::*;
    use crate::maintain::compact::read::session;
    use crate::scan::{LakeTable, ScanCache};
    use crate::test_table::{TestTable, column};

    fn by(source_id: i32, direction: SortDirection) -> SortOrder {
        let field = SortField { source_id, transform: Transform::Identity, direction, null_order: NullOrder::Last };
        SortOrder::builder().with_order_id(1).with_sort_field(field).build_unbound().unwrap()
    }

    #[tokio::test]
    async fn more_rows_than_fit_into_memory_are_sorted_and_none_is_lost() {
        // Some fifty megabytes.
        const ROWS: u32 = 800_000;
        let columns = [(1, "n", PrimitiveType::Long), (2, "text", PrimitiveType::String)];
        let columns = columns.map(|(id, name, data_type)| column(id, name, Type::Primitive(data_type)));
        let mut table = TestTable::new(columns.to_vec());
        table.update(|metadata| metadata.add_sort_order(by(1, SortDirection::Descending))?.set_default_sort_order(-1));
        let open_store = Arc::new(|_: &str| unreachable!("nothing is read"));
        let lake = LakeTable::new(table.table.clone(), open_store, Arc::new(ScanCache::new())).unwrap();

        // Every number once, in no order.
        let number = |row: u32| i64::from((u64::from(row) * 7_919 % u64::from(ROWS)) as u32);
        let schema = lake.schema();
        let batches = (0..ROWS).step_by(8_000).map(move |first| {
            let rows = first..first + 8_000;
            let numbers = Int64Array::from_iter_values(rows.clone().map(number));
            let texts = StringViewArray::from_iter_values(rows.map(|row| format!("the text of row number {row}")));
            Ok(RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers), Arc::new(texts)])?)
        });
        let session = session(32 << 20, 8_192).unwrap();
        let keys = SortKeys::of_table(&lake).unwrap();
        let rows = sorted(&lake.schema(), &session, keys, stream::iter(batches).boxed()).unwrap();
        let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();

        let mut next = i64::from(ROWS);
        for batch in &batches {
            let numbers = batch.column(0).as_primitive::<Int64Type>().values();
            let texts = batch.column(1).as_string_view();
            for (row, (sorted, rank)) in numbers.iter().zip(ranks(batch).values()).enumerate() {
                next -= 1;
                assert_eq!((*sorted, number(*rank)), (next, next));
                assert_eq!(texts.value(row), format!("the text of row number {rank}"));
            }
        }
        assert_eq!(next, 0);
        assert!(session.runtime_env().spilling_progress().current_bytes == 0, "temporary files are gone");
    }
}
