//! The identity of an item: a 128-bit hash of its key columns.
//!
//! One item gives one hash, however Arrow holds its key today: numbers count by value, text and bytes by content. The
//! hashes are stored in the key index, so a change here must raise the index's version.

#[cfg(test)]
mod tests;
mod values;

use arrow::array::{Array, ArrayRef};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, ErrorKind, Result};
use crate::key::values::{TimestampUnit, Values, values_of};

/// Gives the hash of each row's key. The columns are the key's parts, in the order of the table's key columns; a null
/// in one of them is an error, as nothing could be found under it again.
pub(crate) fn hash_keys(columns: &[ArrayRef]) -> Result<Vec<u128>> {
    if let Some(column) = columns.iter().find(|column| column.logical_null_count() > 0) {
        let message = format!("hash keys: a key column of type {} holds a null", column.data_type());
        return Err(Error::new(ErrorKind::Refused, message));
    }
    hash_rows(columns)
}

/// As [`hash_keys`], where a null is a value like any other: what equality deletes mean by equal.
pub(crate) fn hash_rows(columns: &[ArrayRef]) -> Result<Vec<u128>> {
    let columns = columns.iter().map(KeyColumn::new).collect::<Result<Vec<_>>>()?;
    let row_count = columns.first().map_or(0, |column| column.values.len());
    let mut key = Vec::with_capacity(64);
    Ok((0..row_count)
        .map(|row| {
            key.clear();
            columns.iter().for_each(|column| column.append(row, &mut key));
            xxh3_128(&key)
        })
        .collect())
}

struct KeyColumn {
    values: Values,
    nulls: Option<arrow::buffer::NullBuffer>,
}

const NULL: u8 = 0;
const TEXT: u8 = 1;
const BYTES: u8 = 2;
const NUMBER: u8 = 3;
const DOUBLE: u8 = 4;
const BOOLEAN: u8 = 5;
const DATE: u8 = 6;
const TIMESTAMP: u8 = 7;

impl KeyColumn {
    fn new(column: &ArrayRef) -> Result<Self> {
        let nulls = column.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let values = values_of(column).map_err(|error| {
            let message = format!("hash keys of type {}", column.data_type());
            Error::new(ErrorKind::Refused, message).with_source(error)
        })?;
        Ok(Self { values, nulls })
    }

    /// Appends a form of the row's value that no other value has, nor the beginning of another value's form.
    fn append(&self, row: usize, key: &mut Vec<u8>) {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            key.push(NULL);
            return;
        }
        match &self.values {
            Values::Text(array) => append_bytes(TEXT, array.value(row).as_bytes(), key),
            Values::LargeText(array) => append_bytes(TEXT, array.value(row).as_bytes(), key),
            Values::TextView(array) => append_bytes(TEXT, array.value(row).as_bytes(), key),
            Values::Bytes(array) => append_bytes(BYTES, array.value(row), key),
            Values::LargeBytes(array) => append_bytes(BYTES, array.value(row), key),
            Values::BytesView(array) => append_bytes(BYTES, array.value(row), key),
            Values::FixedBytes(array) => append_bytes(BYTES, array.value(row), key),
            Values::Number(array, scale) => append_number(array.value(row), *scale, key),
            Values::Long(array) => append_number(i128::from(array.value(row)), 0, key),
            Values::Double(array) => {
                // -0.0 equals 0.0, and every NaN is one NaN.
                let value = array.value(row) + 0.0;
                let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
                append_fixed(DOUBLE, &bits.to_le_bytes(), key);
            }
            Values::Boolean(array) => append_fixed(BOOLEAN, &[u8::from(array.value(row))], key),
            Values::Date(array) => append_fixed(DATE, &array.value(row).to_le_bytes(), key),
            Values::Timestamp(array, TimestampUnit(per_second)) => {
                let value = array.value(row);
                let nanos = value.rem_euclid(*per_second) * (1_000_000_000 / per_second);
                append_fixed(TIMESTAMP, &value.div_euclid(*per_second).to_le_bytes(), key);
                key.extend_from_slice(&nanos.to_le_bytes());
            }
        }
    }
}

fn append_fixed(kind: u8, value: &[u8], key: &mut Vec<u8>) {
    key.push(kind);
    key.extend_from_slice(value);
}

fn append_bytes(kind: u8, value: &[u8], key: &mut Vec<u8>) {
    key.push(kind);
    key.extend_from_slice(&(value.len() as u64).to_le_bytes());
    key.extend_from_slice(value);
}

/// One number, one form: 1, 1.0 and 1.00 become (1, scale 0).
fn append_number(mut unscaled: i128, mut scale: u32, key: &mut Vec<u8>) {
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    key.push(NUMBER);
    key.push(scale as u8);
    key.extend_from_slice(&unscaled.to_le_bytes());
}
