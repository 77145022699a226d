//! The identity of an item: a hash of its key columns.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use xxhash_rust::xxh3::xxh3_128;

/// One hash a row, over the values of all `columns`. Two keys are taken for one only if 128 bits collide.
pub(crate) fn hash_keys(columns: &[ArrayRef]) -> Vec<u128> {
    let rows = columns.first().map_or(0, |column| column.len());
    let columns: Vec<KeyColumn<'_>> = columns.iter().map(KeyColumn::of).collect();
    let mut key = Vec::new();
    let hash = |row| {
        key.clear();
        for column in &columns {
            column.write(row, &mut key);
        }
        xxh3_128(&key)
    };
    (0..rows).map(hash).collect()
}

/// Whether a column of this type can identify items: types whose equal values have equal bytes.
pub(crate) fn is_key_type(data_type: &DataType) -> bool {
    use DataType::{Binary, Date32, Decimal128, Int32, Int64, LargeBinary, LargeUtf8, Timestamp, Utf8};
    matches!(
        data_type,
        Int32 | Int64 | Date32 | Timestamp(..) | Decimal128(..) | Utf8 | LargeUtf8 | Binary | LargeBinary
    )
}

/// Reads a key column without asking for its type a row.
enum KeyColumn<'a> {
    Int(&'a [i32]),
    Long(&'a [i64]),
    Decimal(&'a [i128]),
    Bytes(Box<dyn Fn(usize) -> &'a [u8] + 'a>),
}

impl<'a> KeyColumn<'a> {
    fn of(array: &'a ArrayRef) -> Self {
        match array.data_type() {
            DataType::Int32 => Self::Int(array.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Self::Long(array.as_primitive::<Int64Type>().values()),
            DataType::Date32 => Self::Int(array.as_primitive::<Date32Type>().values()),
            DataType::Timestamp(..) => Self::Long(array.as_primitive::<TimestampMicrosecondType>().values()),
            DataType::Decimal128(..) => Self::Decimal(array.as_primitive::<Decimal128Type>().values()),
            DataType::Utf8 => Self::Bytes(Box::new(|row| array.as_string::<i32>().value(row).as_bytes())),
            DataType::LargeUtf8 => Self::Bytes(Box::new(|row| array.as_string::<i64>().value(row).as_bytes())),
            DataType::Binary => Self::Bytes(Box::new(|row| array.as_binary::<i32>().value(row))),
            DataType::LargeBinary => Self::Bytes(Box::new(|row| array.as_binary::<i64>().value(row))),
            other => unreachable!("the decoder takes no key column of type {other}"),
        }
    }

    /// Appends the value so that no two lists of values give the same bytes.
    fn write(&self, row: usize, key: &mut Vec<u8>) {
        match self {
            Self::Int(values) => key.extend_from_slice(&i64::from(values[row]).to_le_bytes()),
            Self::Long(values) => key.extend_from_slice(&values[row].to_le_bytes()),
            Self::Decimal(values) => key.extend_from_slice(&values[row].to_le_bytes()),
            Self::Bytes(value) => {
                let bytes = value(row);
                key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                key.extend_from_slice(bytes);
            }
        }
    }
}
