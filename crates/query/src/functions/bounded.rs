//! Functions that make arrays out of nothing, within a bound: a literal is computed as the query is planned, before
//! anybody counts its memory.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// As in Trino: <https://trino.io/docs/current/functions/array.html>
const ENTRIES_MAX: i128 = 10_000;
const NANOS_PER_DAY: i128 = 24 * 3600 * 1_000_000_000;
/// Of the longest month: a bound may be missed by a few entries, and never refuses what fits.
const DAYS_PER_MONTH: i128 = 31;

/// Takes the functions of DataFusion that have no bound out of `state`, and gives them back with one.
pub(super) fn bounded(state: &mut SessionState) -> Result<Vec<ScalarUDF>> {
    let known = [("generate_series", series as Entries), ("range", series), ("array_repeat", repeats)];
    let bounded = known.map(|(name, entries)| Ok(ScalarUDF::from(Bounded { inner: state.udf(name)?, entries })));
    bounded.into_iter().collect()
}

/// How many entries the array of one row would have, at most.
type Entries = fn(&[ArrayRef], usize) -> Result<i128>;

#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    entries: Entries,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Bounded {}

impl std::hash::Hash for Bounded {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<arrow::datatypes::FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        for row in 0..arrays.first().map_or(0, |first| first.len()) {
            if arrays.iter().all(|array| array.is_valid(row)) && (self.entries)(&arrays, row)? > ENTRIES_MAX {
                return exec_err!("the result of {} must not have more than {ENTRIES_MAX} entries", self.name());
            }
        }
        self.inner.invoke_with_args(args)
    }
}

/// From a start (0 if not given) to a stop, by a step.
fn series(arrays: &[ArrayRef], row: usize) -> Result<i128> {
    let number = |array: &ArrayRef| -> Result<i128> {
        Ok(match array.data_type() {
            DataType::Interval(_) => {
                let step = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                let days = i128::from(step.months) * DAYS_PER_MONTH + i128::from(step.days);
                days * NANOS_PER_DAY + i128::from(step.nanoseconds)
            }
            DataType::Date32 | DataType::Date64 => {
                let date = cast(&cast(&array.slice(row, 1), &DataType::Date32)?, &DataType::Int32)?;
                i128::from(cast(&date, &DataType::Int64)?.as_primitive::<Int64Type>().value(0)) * NANOS_PER_DAY
            }
            DataType::Timestamp(..) => {
                let nanos = cast(&array.slice(row, 1), &DataType::Timestamp(TimeUnit::Nanosecond, None))?;
                i128::from(cast(&nanos, &DataType::Int64)?.as_primitive::<Int64Type>().value(0))
            }
            _ => i128::from(cast(&array.slice(row, 1), &DataType::Int64)?.as_primitive::<Int64Type>().value(0)),
        })
    };
    let (start, stop, step) = match arrays {
        [stop] => (0, number(stop)?, 1),
        [start, stop] => (number(start)?, number(stop)?, 1),
        [start, stop, step] => (number(start)?, number(stop)?, number(step)?),
        _ => return Ok(0),
    };
    // A step of nothing is refused by the function itself.
    Ok(if step == 0 { 0 } else { ((stop - start) / step + 1).max(0) })
}

/// An element, as often as a count says.
fn repeats(arrays: &[ArrayRef], row: usize) -> Result<i128> {
    let Some(count) = arrays.get(1) else { return Ok(0) };
    Ok(i128::from(cast(&count.slice(row, 1), &DataType::Int64)?.as_primitive::<Int64Type>().value(0)))
}
