//! What a batch of changes does to the table.

mod operations;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use lake::RowChanges;

use crate::change::Operation;
use crate::decode::Changes;
use crate::item_key::hash_keys;
use crate::shape::{Mode, TableShape};

/// Where Arrow keeps the id of an Iceberg column.
const PARQUET_FIELD_ID: &str = "PARQUET:field_id";

/// Changes of one batch, and how many of them a later change of the same item made void.
#[derive(Clone, Debug, Default)]
pub struct Transformed {
    pub changes: RowChanges,
    pub upserted: usize,
    pub deleted: usize,
    pub superseded: usize,
    /// Where the last change of each item is: which of the batch's [`Changes`], and which row of it. Empty in a
    /// changelog.
    pub(crate) last_of_item: LastOfItem,
    /// What a transform's filter held back. In a mirror the item's row is deleted, where it has one.
    pub filtered: usize,
}

/// By the hash of the item's key in the table.
pub(crate) type LastOfItem = HashMap<u128, (u32, u32), BuildHasherDefault<TakeHash>>;

/// In a mirror the last change of an item decides; in a changelog every change is a row; else each says what it does.
pub fn transform(shape: &TableShape, batch: Vec<Changes>) -> Transformed {
    match shape.mode {
        Mode::Changelog => append(shape, batch),
        Mode::Mirror => merge(shape, batch),
        Mode::Operations => operations::apply(shape, batch),
    }
}

fn append(shape: &TableShape, batch: Vec<Changes>) -> Transformed {
    let mut transformed = Transformed::default();
    for changes in batch {
        let received = changes.operations.len();
        let rows = match &changes.passed {
            Some(passed) => filter(&changes.rows, passed),
            None => changes.rows,
        };
        transformed.upserted += rows.num_rows();
        transformed.filtered += received - rows.num_rows();
        transformed.changes.upserts.push(with_schema(&rows, &shape.schema));
    }
    transformed
}

fn merge(shape: &TableShape, batch: Vec<Changes>) -> Transformed {
    let mut transformed = Transformed::default();
    let (last, last_of_item) = last_changes(shape, &batch);
    transformed.last_of_item = last_of_item;
    for (changes, is_last) in batch.into_iter().zip(last) {
        let has_row = |row: usize| {
            changes.operations[row] != Operation::Remove
                && changes.passed.as_ref().is_none_or(|passed| passed.value(row))
        };
        let survives = |upsert: bool| -> BooleanArray {
            is_last.iter().enumerate().map(|(row, &is_last)| Some(is_last && has_row(row) == upsert)).collect()
        };
        let (is_upsert, is_delete) = (survives(true), survives(false));
        let (upserts, deletes) = (is_upsert.true_count(), is_delete.true_count());
        let is_removal = |(operation, is_last): &(&Operation, &bool)| **is_last && **operation == Operation::Remove;
        let removals = changes.operations.iter().zip(&is_last).filter(is_removal).count();
        transformed.upserted += upserts;
        transformed.deleted += removals;
        transformed.filtered += deletes - removals;
        transformed.superseded += changes.operations.len() - upserts - deletes;
        if deletes > 0 {
            let keys = keys_of(shape, &changes.rows);
            transformed.changes.deletes.push(filter(&keys, &is_delete));
        }
        if upserts > 0 {
            let rows = with_schema(&filter(&changes.rows, &is_upsert), &shape.schema);
            transformed.changes.upserts.push(rows);
        }
    }
    transformed
}

/// For each change, whether no later one is of the same item; and for each item, which one that is.
fn last_changes(shape: &TableShape, batch: &[Changes]) -> (Vec<Vec<bool>>, LastOfItem) {
    let received = batch.iter().map(|changes| changes.operations.len()).sum();
    let mut last_of_item = LastOfItem::with_capacity_and_hasher(received, BuildHasherDefault::default());
    let mut is_last: Vec<Vec<bool>> = Vec::with_capacity(batch.len());
    for (index, changes) in batch.iter().enumerate() {
        is_last.push(vec![true; changes.operations.len()]);
        for (row, hash) in hash_keys(keys_of(shape, &changes.rows).columns()).into_iter().enumerate() {
            if let Some((earlier_index, earlier_row)) = last_of_item.insert(hash, (index as u32, row as u32)) {
                is_last[earlier_index as usize][earlier_row as usize] = false;
            }
        }
    }
    (is_last, last_of_item)
}

/// The key columns in the order of the key.
pub(crate) fn keys_of(shape: &TableShape, rows: &RecordBatch) -> RecordBatch {
    let columns = shape.key_columns().expect("the decoder was made for a table with key columns");
    let fields: Vec<_> =
        columns.iter().map(|&column| shape.schema.field(column).clone().with_nullable(false)).collect();
    let arrays = fields.iter().map(|field| column_of(rows, field).expect("a key column is never dropped").clone());
    let arrays = arrays.collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("every change has a key")
}

fn filter(rows: &RecordBatch, mask: &BooleanArray) -> RecordBatch {
    if mask.true_count() == mask.len() {
        return rows.clone();
    }
    filter_record_batch(rows, mask).expect("the mask has one value a row")
}

/// Gives `rows` the table's schema. A batch may be older than the table's last columns: those are null.
fn with_schema(rows: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let column = |field: &FieldRef| match column_of(rows, field) {
        Some(column) => column.clone(),
        None => new_null_array(field.data_type(), rows.num_rows()),
    };
    let columns = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(schema.clone(), columns).expect("the decoder rejects rows without a required value")
}

/// The column of `rows` that is `field`. By field id, as another writer may have renamed columns or dropped some while
/// the batch was open; by name where the table gives no ids.
fn column_of<'a>(rows: &'a RecordBatch, field: &Field) -> Option<&'a ArrayRef> {
    let id = |field: &Field| field.metadata().get(PARQUET_FIELD_ID).cloned();
    let wanted = id(field);
    let is_same = |other: &FieldRef| match &wanted {
        Some(wanted) => id(other).as_ref() == Some(wanted),
        None => other.name() == field.name(),
    };
    rows.schema_ref().fields().iter().position(is_same).map(|index| rows.column(index))
}

/// A key's hash is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TakeHash(u64);

impl Hasher for TakeHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

#[cfg(test)]
mod tests;
