//! Runs one expression over many rows, and finds the rows for which it fails.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt32Array, new_null_array};
use arrow::compute::{concat, filter_record_batch, take};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;

/// Why a record cannot become a row. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub code: &'static str,
    pub reason: String,
}

impl Fault {
    pub fn required(column: &str) -> Self {
        Self { code: "DYN409", reason: format!("column `{column}` must have a value") }
    }

    /// The error's own words would show the value.
    fn of(error: &DataFusionError, what: &str) -> Self {
        let (code, why) = match error.find_root() {
            DataFusionError::ArrowError(error, _) => match error.as_ref() {
                ArrowError::CastError(_) | ArrowError::ParseError(_) => ("DYN412", "a value cannot be cast"),
                ArrowError::InvalidArgumentError(_) => ("DYN412", "a value does not fit"),
                ArrowError::DivideByZero => ("DYN413", "a division by zero"),
                ArrowError::ArithmeticOverflow(_) => ("DYN413", "a number becomes too large"),
                _ => ("DYN414", "it cannot be worked out"),
            },
            _ => ("DYN414", "it cannot be worked out"),
        };
        Self { code, reason: format!("{what}: {why}") }
    }
}

/// Some rows of a batch, and where in it they stand.
pub(crate) struct Rows {
    batch: RecordBatch,
    /// For each row of the whole batch its place here; `None` where all are here.
    places: Option<UInt32Array>,
}

impl Rows {
    pub fn of(batch: &RecordBatch, mask: &BooleanArray) -> Self {
        if mask.true_count() == mask.len() {
            return Self { batch: batch.clone(), places: None };
        }
        let mut next = 0;
        let place = |is_here: Option<bool>| {
            is_here.unwrap_or_default().then(|| {
                next += 1;
                next - 1
            })
        };
        let places = mask.iter().map(place).collect();
        let batch = filter_record_batch(batch, mask).expect("the mask has one value a row");
        Self { batch, places: Some(places) }
    }

    /// Values of these rows as values of the whole batch, null in the others.
    fn spread(&self, values: ArrayRef) -> ArrayRef {
        match &self.places {
            None => values,
            Some(places) => take(&values, places, None).expect("every place is a row"),
        }
    }

    /// The row of the whole batch that stands here at `place`.
    fn row(&self, place: usize) -> usize {
        match &self.places {
            None => place,
            Some(places) => places.iter().position(|here| here == Some(place as u32)).expect("every place is a row"),
        }
    }
}

/// The values of the expression, one a row of the whole batch; null in rows that are not in `rows` or have a fault.
pub(crate) fn evaluate(
    expr: &Arc<dyn PhysicalExpr>,
    rows: &Rows,
    what: &str,
    faults: &mut [Option<Fault>],
) -> ArrayRef {
    let mut failed = Vec::new();
    let values = bisect(expr, &rows.batch, 0, &mut failed);
    for (place, error) in failed {
        faults[rows.row(place)].get_or_insert_with(|| Fault::of(&error, what));
    }
    rows.spread(values)
}

/// One bad value fails the whole batch: it is cut in halves until the guilty rows stand alone.
fn bisect(
    expr: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
    first: usize,
    failed: &mut Vec<(usize, DataFusionError)>,
) -> ArrayRef {
    let rows = batch.num_rows();
    let evaluated = match rows {
        0 => Ok(new_null_array(&data_type(expr, batch), 0)),
        _ => expr.evaluate(batch).and_then(|values| values.into_array(rows)),
    };
    match evaluated {
        Ok(values) => values,
        Err(error) if rows == 1 => {
            failed.push((first, error));
            new_null_array(&data_type(expr, batch), 1)
        }
        Err(_) => {
            let half = rows / 2;
            let left = bisect(expr, &batch.slice(0, half), first, failed);
            let right = bisect(expr, &batch.slice(half, rows - half), first + half, failed);
            concat(&[&left, &right]).expect("both have the expression's type")
        }
    }
}

fn data_type(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> arrow::datatypes::DataType {
    expr.data_type(batch.schema_ref()).expect("the expression was typed when it was planned")
}
