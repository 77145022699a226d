//! A transform on the columns of one table: changes of items in, changes of rows out.

mod evaluate;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, filter_record_batch};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;

use crate::change::{Operation, RawRecord};
use crate::dead_letter::{DeadLetter, Step};
use crate::decode::{Changes, Decoded};
use crate::error::{Error, ErrorKind, Result};
use crate::item_key::is_key_type;
use crate::shape::TableShape;
use crate::sql::SqlTransform;
use crate::sql::bound::evaluate::{Fault, Rows, evaluate};

/// A transform that knows the columns its rows go to.
pub(crate) struct Bound {
    transform: Arc<SqlTransform>,
    /// Those of the table, each of which may be null.
    schema: SchemaRef,
    /// For each column of the table the output that fills it.
    sources: Vec<Option<usize>>,
    is_required: Vec<bool>,
}

impl Bound {
    /// Fails as `Misconfigured` where the table cannot hold the rows.
    pub fn new(transform: &Arc<SqlTransform>, shape: &TableShape) -> Result<Self> {
        transform.check_target(&shape.schema)?;
        if let Some(missing) = transform.missing_columns(&shape.schema).first() {
            let message = format!("find column `{}` of the transform in the table", missing.name);
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
        for field in shape.schema.fields() {
            if transform.key_columns.contains(field.name()) && !is_key_type(field.data_type()) {
                let message = format!("identify items by column `{}` of type {}", field.name(), field.data_type());
                return Err(Error::new(ErrorKind::Misconfigured, message));
            }
        }
        let source = |field: &FieldRef| transform.outputs.iter().position(|column| column.name == *field.name());
        Ok(Self {
            sources: shape.schema.fields().iter().map(source).collect(),
            is_required: shape.schema.fields().iter().map(|field| !field.is_nullable()).collect(),
            schema: shape.working_schema(),
            transform: transform.clone(),
        })
    }

    /// Evaluates the filter and the columns. A record for which one of them fails is rejected alone. A removed item, and
    /// one that the filter does not let pass, has the columns of its key and nothing else.
    pub fn apply(&self, decoded: Decoded, records: &[RawRecord]) -> Decoded {
        let Changes { operations, positions, rows, .. } = decoded.changes;
        let mut faults: Vec<Option<Fault>> = vec![None; operations.len()];
        let is_image: BooleanArray = operations.iter().map(|operation| Some(*operation != Operation::Remove)).collect();

        let passed = self.transform.filter.as_ref().map(|filter| {
            let images = Rows::of(&rows, &is_image);
            let passed = evaluate(&filter.planned.physical, &images, "the filter", &mut faults);
            let passed = passed.as_boolean();
            let passes = |row: usize| !is_image.value(row) || (passed.is_valid(row) && passed.value(row));
            (0..operations.len()).map(|row| Some(passes(row))).collect::<BooleanArray>()
        });
        let is_row = |row: usize| {
            is_image.value(row) && passed.as_ref().is_none_or(|passed| passed.value(row)) && faults[row].is_none()
        };
        let is_row: BooleanArray = (0..operations.len()).map(|row| Some(is_row(row))).collect();
        let every = vec![true; operations.len()].into();
        let (of_key, of_row) = (Rows::of(&rows, &every), Rows::of(&rows, &is_row));
        let columns: Vec<ArrayRef> = (0..self.sources.len())
            .map(|column| {
                let field = self.schema.field(column);
                let Some(output) = self.sources[column].map(|source| &self.transform.outputs[source]) else {
                    return new_null_array(field.data_type(), operations.len());
                };
                let subject = if output.is_of_key { &of_key } else { &of_row };
                let what = format!("column `{}`", output.name);
                let values = evaluate(&output.planned.physical, subject, &what, &mut faults);
                let exact = CastOptions { safe: false, ..CastOptions::default() };
                let values = cast_with_options(&values, field.data_type(), &exact).unwrap_or_else(|_| {
                    // The column holds the type, but for times that lie outside of it.
                    cast_with_options(&values, field.data_type(), &CastOptions::default())
                        .expect("it was checked that the column holds the type")
                });
                if self.is_required[column] {
                    require(&values, &is_row, field.name(), &mut faults);
                }
                values
            })
            .collect();

        let options = RecordBatchOptions::new().with_row_count(Some(operations.len()));
        let rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .expect("every column has the type of its field and one value a row");
        let changes = Changes { operations, positions, rows, passed };
        let mut rejected = decoded.rejected;
        let changes = reject(changes, faults, records, &mut rejected);
        Decoded { changes, rejected, new_columns: Vec::new() }
    }
}

fn require(values: &ArrayRef, is_row: &BooleanArray, column: &str, faults: &mut [Option<Fault>]) {
    if values.null_count() == 0 {
        return;
    }
    for row in (0..values.len()).filter(|&row| values.is_null(row) && is_row.value(row)) {
        faults[row].get_or_insert_with(|| Fault::required(column));
    }
}

/// Takes the changes with a fault out, and makes letters of their records.
fn reject(
    changes: Changes,
    faults: Vec<Option<Fault>>,
    records: &[RawRecord],
    rejected: &mut Vec<DeadLetter>,
) -> Changes {
    if faults.iter().all(Option::is_none) {
        return changes;
    }
    // Both are in the order of reading, and what decoding rejected is in `records` only.
    let mut records = records.iter();
    for (position, fault) in changes.positions.iter().zip(&faults) {
        let record = records.find(|record| record.position == *position).expect("a change comes from a record");
        if let Some(fault) = fault {
            let json = Bytes::copy_from_slice(&record.json);
            let record = RawRecord { position: position.clone(), json };
            rejected.push(DeadLetter { record, step: Step::Transform, code: fault.code, reason: fault.reason.clone() });
        }
    }
    let is_good: Vec<bool> = faults.iter().map(Option::is_none).collect();
    let good = |row: &usize| is_good[*row];
    let mask = BooleanArray::from(is_good.clone());
    Changes {
        operations: (0..is_good.len()).filter(good).map(|row| changes.operations[row]).collect(),
        positions: (0..is_good.len()).filter(good).map(|row| changes.positions[row].clone()).collect(),
        rows: filter_record_batch(&changes.rows, &mask).expect("the mask has one value a row"),
        passed: changes
            .passed
            .map(|passed| (0..is_good.len()).filter(good).map(|row| Some(passed.value(row))).collect()),
    }
}

#[cfg(test)]
mod tests;
