//! Values as text, for functions that take any.

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ColumnarValue;

/// Whether an argument of this type has one text.
pub(crate) fn has_text(data_type: &DataType) -> bool {
    use DataType::{Boolean, Date32, Decimal128, Int32, Int64, LargeUtf8, Null, Utf8, Utf8View};
    matches!(data_type, Null | Boolean | Int32 | Int64 | Date32 | Decimal128(..) | Utf8 | LargeUtf8 | Utf8View)
}

/// The argument as an array of strings.
pub(crate) fn strings(argument: &ColumnarValue, rows: usize) -> Result<ArrayRef> {
    let array = argument.to_array(rows)?;
    Ok(if *array.data_type() == DataType::Utf8 { array } else { cast(&array, &DataType::Utf8)? })
}

/// Calls `write` with each string and a buffer for what it becomes; a null stays one.
pub(crate) fn map_strings(array: &ArrayRef, mut write: impl FnMut(&str, &mut String)) -> StringArray {
    let strings = array.as_string::<i32>();
    let mut builder = StringBuilder::with_capacity(strings.len(), strings.value_data().len());
    let mut buffer = String::new();
    for string in strings {
        match string {
            Some(string) => {
                buffer.clear();
                write(string, &mut buffer);
                builder.append_value(&buffer);
            }
            None => builder.append_null(),
        }
    }
    builder.finish()
}

/// The value of an argument that has to be written out in the SQL.
pub(crate) fn literal_integer(argument: &ColumnarValue) -> Result<Option<i64>> {
    let ColumnarValue::Scalar(value) = argument else { return exec_err!("the argument is not a literal") };
    let value = value.cast_to(&DataType::Int64)?;
    Ok(match value {
        datafusion::common::ScalarValue::Int64(value) => value,
        _ => None,
    })
}

/// Appends bytes as lower-case hexadecimal digits.
pub(crate) fn push_hex(bytes: &[u8], text: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
}
