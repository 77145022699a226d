//! Stream records to Arrow: one row a change, in the columns of the target table.
//!
//! A record is parsed into a flat tape ([`tape`]), its parts are found ([`record`]), and each attribute is converted
//! straight into its column ([`attributes`], [`column`]). What does not fit is rejected alone and leaves no trace.

mod attributes;
mod column;
mod map;
pub(crate) mod misfit;
pub(crate) mod nested;
pub(crate) mod new_columns;
pub(crate) mod number;
pub(crate) mod record;
mod rows;
mod scalar;
mod set;
pub(crate) mod tape;
mod text;
pub(crate) mod value;
mod values;

use arrow::array::BooleanArray;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use simd_json::{Buffers, Tape};

use crate::change::{Operation, Position, RawRecord};
use crate::dead_letter::{DeadLetter, Step};
use crate::decode::misfit::Rejection;
use crate::decode::new_columns::NewColumns;
use crate::decode::record::ChangeRecord;
use crate::decode::rows::Rows;
use crate::decode::tape::Json;
use crate::error::Result;
use crate::shape::{NewColumn, TableShape};

/// Changes in the order they were read, as one batch of rows.
#[derive(Clone, Debug)]
pub struct Changes {
    pub operations: Vec<Operation>,
    pub positions: Vec<Position>,
    /// The new image in the table's columns; of a removed item the key columns only. Every column may be null.
    pub rows: RecordBatch,
    /// Whether each passed the filter of a transform; a removed item always does. `None` where there is no filter.
    pub passed: Option<BooleanArray>,
}

/// What a set of raw records turned into. Every record is in exactly one of `changes` and `rejected`.
#[derive(Debug)]
pub struct Decoded {
    pub changes: Changes,
    pub rejected: Vec<DeadLetter>,
    /// Columns that attributes of `changes` need and the table does not have yet. Where there are any, add them and
    /// decode the records again: `changes` is without them. Always empty for a table that does not evolve.
    pub new_columns: Vec<NewColumn>,
}

/// Turns raw records into rows of one table.
pub struct Decoder {
    rows: Rows,
    new_columns: NewColumns,
    /// The parser works in place, so it gets a copy.
    scratch: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Decoder {
    /// Fails as `Misconfigured` where a column has a type that no attribute can fill, or a key has no column.
    pub fn new(shape: &TableShape) -> Result<Self> {
        Ok(Self {
            rows: Rows::new(shape)?,
            new_columns: NewColumns::new(shape),
            scratch: Vec::new(),
            buffers: Buffers::default(),
            tape: Tape(Vec::new()),
        })
    }

    /// Decodes each record on its own. In a changelog the row of a REMOVE holds the keys, like in a mirror: the old
    /// image is never looked at.
    pub fn decode(&mut self, records: &[RawRecord]) -> Decoded {
        let mut operations = Vec::with_capacity(records.len());
        let mut positions = Vec::with_capacity(records.len());
        let mut rejected = Vec::new();
        for record in records {
            match self.decode_record(record) {
                Ok(operation) => {
                    operations.push(operation);
                    positions.push(record.position.clone());
                }
                Err(rejection) => rejected.push(dead_letter(record, rejection)),
            }
        }
        let changes = Changes { operations, positions, rows: self.rows.finish(), passed: None };
        Decoded { changes, rejected, new_columns: self.new_columns.take() }
    }

    fn decode_record(&mut self, record: &RawRecord) -> Result<Operation, Rejection> {
        self.scratch.clear();
        self.scratch.extend_from_slice(&record.json);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let parsed = simd_json::fill_tape(&mut self.scratch, &mut self.buffers, &mut tape);
        let decoded = match parsed {
            Ok(()) => {
                let change = ChangeRecord::read(Json::root(&tape.0), self.rows.has_metadata());
                change.and_then(|change| {
                    self.rows.push(&change, &record.position, &mut self.new_columns)?;
                    Ok(change.operation)
                })
            }
            Err(_) => Err(Rejection::new("DYN401", "the record is not JSON")),
        };
        self.tape = tape.reset();
        decoded
    }
}

fn dead_letter(record: &RawRecord, rejection: Rejection) -> DeadLetter {
    // A copy of its own: the record's bytes are a slice of all that one poll gave.
    let json = Bytes::copy_from_slice(&record.json);
    let record = RawRecord { position: record.position.clone(), json };
    DeadLetter { record, step: Step::Decode, code: rejection.code, reason: rejection.reason }
}

#[cfg(test)]
mod round_trip;
#[cfg(test)]
pub(crate) mod tests;
