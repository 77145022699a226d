//! Stream records to Arrow: one row a change, in the columns of the target table.

use arrow::record_batch::RecordBatch;

use crate::change::{Operation, Position, RawRecord};
use crate::dead_letter::DeadLetter;
use crate::error::Result;
use crate::shape::{NewColumn, TableShape};

/// Changes in the order they were read, as one batch of rows.
#[derive(Clone, Debug)]
pub struct Changes {
    pub operations: Vec<Operation>,
    pub positions: Vec<Position>,
    /// The new image in the table's columns; of a removed item the key columns only.
    pub rows: RecordBatch,
}

/// What a set of raw records turned into. Every record is in exactly one of `changes` and `rejected`.
#[derive(Debug)]
pub struct Decoded {
    pub changes: Changes,
    pub rejected: Vec<DeadLetter>,
}

/// Turns raw records into rows of one table.
pub struct Decoder {
    shape: TableShape,
}

impl Decoder {
    /// Fails as `Misconfigured` where a column has a type that no attribute can fill.
    pub fn new(shape: &TableShape) -> Result<Self> {
        Ok(Self { shape: shape.clone() })
    }

    /// The columns that `records` need beyond the table's own. Empty where the table does not evolve.
    pub fn new_columns(&mut self, _records: &[RawRecord]) -> Vec<NewColumn> {
        Vec::new()
    }

    pub fn decode(&mut self, _records: &[RawRecord]) -> Decoded {
        let changes = Changes {
            operations: Vec::new(),
            positions: Vec::new(),
            rows: RecordBatch::new_empty(self.shape.schema.clone()),
        };
        Decoded { changes, rejected: Vec::new() }
    }
}
