//! Changes that say themselves what they do to the table, in the order in which they came.

use std::collections::HashMap;

use arrow::array::{Array as _, BooleanArray};

use crate::change::Operation;
use crate::decode::Changes;
use crate::item_key::hash_keys;
use crate::shape::TableShape;
use crate::transform::{Transformed, column_of, filter, keys_of, with_schema};

/// Where a change is: which of the batch's [`Changes`], and which row of it.
type Place = (usize, usize);

/// What is left of a batch, once later changes have made earlier ones void.
#[derive(Default)]
struct Left {
    /// For each change whether its row is to be in the table.
    is_row: Vec<Vec<bool>>,
    /// For each change whether the table's rows of its key go. Once a key is enough.
    is_delete: Vec<Vec<bool>>,
    /// The rows of the batch so far, by their key.
    rows_of_key: HashMap<u128, Vec<Place>>,
    deleted_keys: HashMap<u128, Place>,
    superseded: usize,
}

/// INSERT adds a row. MODIFY and REMOVE take away all rows of their key, those of the batch among them; MODIFY adds one.
pub(super) fn apply(shape: &TableShape, batch: Vec<Changes>) -> Transformed {
    let mut left = Left::default();
    let mut transformed = Transformed::default();
    for (index, changes) in batch.iter().enumerate() {
        left.is_row.push(vec![false; changes.operations.len()]);
        left.is_delete.push(vec![false; changes.operations.len()]);
        let keys = keys(shape, changes);
        for (row, (operation, key)) in changes.operations.iter().zip(keys).enumerate() {
            transformed.deleted += usize::from(*operation == Operation::Remove);
            left.take(*operation, key, (index, row));
        }
    }
    transformed.superseded = left.superseded;
    for ((changes, is_row), is_delete) in batch.iter().zip(&left.is_row).zip(&left.is_delete) {
        let (is_row, is_delete) = (BooleanArray::from(is_row.clone()), BooleanArray::from(is_delete.clone()));
        if is_row.true_count() > 0 {
            transformed.upserted += is_row.true_count();
            transformed.changes.upserts.push(with_schema(&filter(&changes.rows, &is_row), &shape.schema));
        }
        if is_delete.true_count() > 0 {
            transformed.changes.deletes.push(keys_of(shape, &filter(&changes.rows, &is_delete)));
        }
    }
    transformed
}

impl Left {
    fn take(&mut self, operation: Operation, key: Option<u128>, place: Place) {
        if let (Operation::Modify | Operation::Remove, Some(key)) = (operation, key) {
            for (index, row) in self.rows_of_key.remove(&key).unwrap_or_default() {
                self.is_row[index][row] = false;
                self.superseded += 1;
            }
            let (index, row) = *self.deleted_keys.entry(key).or_insert(place);
            self.is_delete[index][row] = true;
        }
        if operation != Operation::Remove {
            self.is_row[place.0][place.1] = true;
            if let Some(key) = key {
                self.rows_of_key.entry(key).or_default().push(place);
            }
        }
    }
}

/// The hash of each change's key; `None` where it has none, as an INSERT may.
fn keys(shape: &TableShape, changes: &Changes) -> Vec<Option<u128>> {
    let columns = shape.key_columns().expect("the decoder was made for a table with key columns");
    let columns: Vec<_> = columns
        .iter()
        .map(|&column| {
            column_of(&changes.rows, shape.schema.field(column)).expect("a key column is never dropped").clone()
        })
        .collect();
    if columns.is_empty() {
        return vec![None; changes.operations.len()];
    }
    let is_whole = |row: usize| columns.iter().all(|column| column.is_valid(row));
    hash_keys(&columns).into_iter().enumerate().map(|(row, hash)| is_whole(row).then_some(hash)).collect()
}

#[cfg(test)]
mod tests;
