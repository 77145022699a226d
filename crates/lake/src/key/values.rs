//! The values of a key column, by the kinds that are compared with one another.

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

/// The kinds of value that differ from each other even where their bytes are equal.
pub(super) enum Values {
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
pub(super) struct TimestampUnit(pub i64);

impl Values {
    pub fn len(&self) -> usize {
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

/// Gives the column's values as the kind they are compared as.
pub(super) fn values_of(column: &ArrayRef) -> Result<Values, ArrowError> {
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
