//! The identity of an item: a 128-bit hash of its key columns.
//!
//! One item gives one hash, however Arrow holds its key today: numbers count by value, text and bytes by content. The
//! hashes are stored in the key index, so a change here must raise the index's version.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, Decimal128Array, FixedSizeBinaryArray,
    LargeBinaryArray, LargeStringArray, PrimitiveArray, StringArray, StringViewArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, ErrorKind, Result};

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

/// The kinds of value that differ from each other even where their bytes are equal.
enum Values {
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    Bytes(BinaryArray),
    LargeBytes(LargeBinaryArray),
    BytesView(BinaryViewArray),
    FixedBytes(FixedSizeBinaryArray),
    /// Whole numbers and decimals, as unscaled values of one scale.
    Number(Decimal128Array, u32),
    Long(PrimitiveArray<Int64Type>),
    Double(PrimitiveArray<Float64Type>),
    Boolean(BooleanArray),
    Date(PrimitiveArray<Date32Type>),
    /// Microseconds since the epoch, and the nanoseconds beyond them.
    Timestamp(PrimitiveArray<Int64Type>, TimestampUnit),
}

/// How many of a timestamp's units make a second.
#[derive(Clone, Copy)]
struct TimestampUnit(i64);

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

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Text(array) => array.len(),
            Self::LargeText(array) => array.len(),
            Self::TextView(array) => array.len(),
            Self::Bytes(array) => array.len(),
            Self::LargeBytes(array) => array.len(),
            Self::BytesView(array) => array.len(),
            Self::FixedBytes(array) => array.len(),
            Self::Number(array, _) => array.len(),
            Self::Long(array) => array.len(),
            Self::Double(array) => array.len(),
            Self::Boolean(array) => array.len(),
            Self::Date(array) => array.len(),
            Self::Timestamp(array, _) => array.len(),
        }
    }
}

fn values_of(column: &ArrayRef) -> Result<Values, ArrowError> {
    Ok(match column.data_type() {
        DataType::Utf8 => Values::Text(column.as_string::<i32>().clone()),
        DataType::LargeUtf8 => Values::LargeText(column.as_string::<i64>().clone()),
        DataType::Utf8View => Values::TextView(column.as_string_view().clone()),
        DataType::Binary => Values::Bytes(column.as_binary::<i32>().clone()),
        DataType::LargeBinary => Values::LargeBytes(column.as_binary::<i64>().clone()),
        DataType::BinaryView => Values::BytesView(column.as_binary_view().clone()),
        DataType::FixedSizeBinary(_) => Values::FixedBytes(column.as_fixed_size_binary().clone()),
        DataType::Int64 => Values::Long(column.as_primitive().clone()),
        DataType::Int8 => widened::<Int8Type>(column),
        DataType::Int16 => widened::<Int16Type>(column),
        DataType::Int32 => widened::<Int32Type>(column),
        DataType::UInt8 => widened::<UInt8Type>(column),
        DataType::UInt16 => widened::<UInt16Type>(column),
        DataType::UInt32 => widened::<UInt32Type>(column),
        DataType::UInt64 => Values::Number(column.as_primitive::<UInt64Type>().unary(i128::from), 0),
        DataType::Decimal32(_, scale) if *scale >= 0 => {
            Values::Number(column.as_primitive::<Decimal32Type>().unary(i128::from), u32::from(scale.unsigned_abs()))
        }
        DataType::Decimal64(_, scale) if *scale >= 0 => {
            Values::Number(column.as_primitive::<Decimal64Type>().unary(i128::from), u32::from(scale.unsigned_abs()))
        }
        DataType::Decimal128(_, scale) if *scale >= 0 => {
            Values::Number(column.as_primitive::<Decimal128Type>().clone(), u32::from(scale.unsigned_abs()))
        }
        DataType::Float32 => Values::Double(column.as_primitive::<Float32Type>().unary(f64::from)),
        DataType::Float64 => Values::Double(column.as_primitive().clone()),
        DataType::Boolean => Values::Boolean(column.as_boolean().clone()),
        DataType::Date32 => Values::Date(column.as_primitive().clone()),
        DataType::Timestamp(unit, _) => {
            let per_second = match unit {
                TimeUnit::Second => 1,
                TimeUnit::Millisecond => 1_000,
                TimeUnit::Microsecond => 1_000_000,
                TimeUnit::Nanosecond => 1_000_000_000,
            };
            Values::Timestamp(cast(column, &DataType::Int64)?.as_primitive().clone(), TimestampUnit(per_second))
        }
        DataType::Dictionary(_, values) => values_of(&cast(column, values)?)?,
        other => return Err(ArrowError::NotYetImplemented(format!("a key column of type {other}"))),
    })
}

fn widened<T: ArrowPrimitiveType<Native: Into<i64>>>(column: &ArrayRef) -> Values {
    Values::Long(column.as_primitive::<T>().unary(Into::into))
}

#[cfg(test)]
mod tests;
