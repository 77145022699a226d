//! Which partitions a filter can match.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::prelude::SessionContext;

use crate::error::{Error, MEANING};
use crate::external::{ExternalTable, Partition};

/// The partitions that may hold rows for all of `filters`.
pub(super) fn prune<'a>(state: &dyn Session, table: &'a ExternalTable, filters: &[Expr]) -> Result<Vec<&'a Partition>> {
    let mut left: Vec<&Partition> = table.partitions.iter().collect();
    let is_key = |name: &str| table.partition_columns.iter().any(|column| column.name() == name);
    for filter in filters {
        // What a filter says of other columns only rows tell.
        if left.is_empty() || !filter.column_refs().iter().all(|column| is_key(column.name())) {
            continue;
        }
        let values: Vec<&[Option<String>]> = left.iter().map(|partition| partition.values.as_slice()).collect();
        let rows = rows(&table.partition_columns, &values)?;
        let expr = state.create_physical_expr(filter.clone(), &DFSchema::try_from(rows.schema())?)?;
        let kept = expr.evaluate(&rows)?.into_array(rows.num_rows())?;
        let Some(kept) = kept.as_boolean_opt() else { continue };
        let mut kept = kept.iter();
        left.retain(|_| kept.next().flatten().unwrap_or(false));
    }
    Ok(left)
}

/// Which of the partitions with these values an expression in SQL is true for, as `GetPartitions` takes one.
pub fn matching(
    expression: &str,
    columns: &[FieldRef],
    partitions: &[Vec<Option<String>>],
) -> crate::error::Result<Vec<bool>> {
    let evaluate = || {
        let values: Vec<&[Option<String>]> = partitions.iter().map(Vec::as_slice).collect();
        let rows = rows(columns, &values)?;
        let state = SessionContext::new().state();
        let schema = DFSchema::try_from(rows.schema())?;
        let expr = state.create_logical_expr(expression, &schema)?;
        let expr = state.create_physical_expr(expr, &schema)?;
        let kept = expr.evaluate(&rows)?.into_array(rows.num_rows())?;
        Ok::<_, datafusion::error::DataFusionError>(kept)
    };
    let kept = evaluate().map_err(|error| Error::new(MEANING, error.strip_backtrace()))?;
    let kept = kept.as_boolean_opt().ok_or_else(|| Error::new(MEANING, format!("{expression} is no condition")))?;
    Ok(kept.iter().map(|kept| kept.unwrap_or(false)).collect())
}

/// A row for each partition.
fn rows(columns: &[FieldRef], partitions: &[&[Option<String>]]) -> Result<RecordBatch> {
    let column = |(index, column): (usize, &FieldRef)| -> Result<ArrayRef> {
        let text: StringArray = partitions.iter().map(|values| values.get(index).and_then(Option::as_deref)).collect();
        value_of_text(Arc::new(text), column.data_type())
    };
    let arrays = columns.iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(partitions.len()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(columns.to_vec())), arrays, &options)?)
}

/// Values of a type, read from text. What cannot be read is NULL, as in Hive.
pub(super) fn value_of_text(text: ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    Ok(cast_with_options(&text, to, &options)?)
}

/// The value of one partition column.
pub(super) fn scalar(value: Option<&str>, to: &DataType) -> Result<ScalarValue> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![value]));
    ScalarValue::try_from_array(&value_of_text(text, to)?, 0)
}
