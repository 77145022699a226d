//! Values as Athena writes them into results: `[1, 2]`, `{a=1, b=x}`, `1.0E10`, `61 62`.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// The text of one value; `None` where it is null.
pub(super) fn text(array: &ArrayRef, row: usize) -> Result<Option<String>, ArrowError> {
    if array.is_null(row) {
        return Ok(None);
    }
    let text = match array.data_type() {
        DataType::Null => return Ok(None),
        DataType::Float32 => java_float(array.as_primitive::<Float32Type>().value(row).to_string(), |text| {
            text.parse::<f32>().map_or_else(|_| text.to_owned(), |value| format!("{value:E}"))
        }),
        DataType::Float64 => java_float(array.as_primitive::<Float64Type>().value(row).to_string(), |text| {
            text.parse::<f64>().map_or_else(|_| text.to_owned(), |value| format!("{value:E}"))
        }),
        DataType::Binary => spaced_hex(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => spaced_hex(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => spaced_hex(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => spaced_hex(array.as_fixed_size_binary().value(row)),
        DataType::Timestamp(unit, zone) => timestamp(array, row, *unit, zone.is_some())?,
        DataType::List(_) => list(&array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row))?,
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row))?,
        DataType::Struct(_) => fields(array.as_struct(), row)?,
        DataType::Map(..) => entries(&array.as_map().value(row))?,
        DataType::Dictionary(_, value) => {
            return text(&arrow::compute::cast(&array.slice(row, 1), value)?, 0);
        }
        _ => plain(array, row, &FormatOptions::new())?,
    };
    Ok(Some(text))
}

fn plain(array: &ArrayRef, row: usize, options: &FormatOptions<'_>) -> Result<String, ArrowError> {
    Ok(ArrayFormatter::try_new(array.as_ref(), options)?.value(row).to_string())
}

/// As many digits of a second as the type holds, but at least three.
fn timestamp(array: &ArrayRef, row: usize, unit: TimeUnit, has_zone: bool) -> Result<String, ArrowError> {
    let format = match unit {
        TimeUnit::Second | TimeUnit::Millisecond => "%Y-%m-%d %H:%M:%S%.3f",
        TimeUnit::Microsecond => "%Y-%m-%d %H:%M:%S%.6f",
        TimeUnit::Nanosecond => "%Y-%m-%d %H:%M:%S%.9f",
    };
    // In UTC: a value with a zone is kept in UTC, whatever zone its type names.
    let utc = arrow::compute::cast(&array.slice(row, 1), &DataType::Timestamp(unit, None))?;
    let text = plain(&utc, 0, &FormatOptions::new().with_timestamp_format(Some(format)))?;
    Ok(if has_zone { format!("{text} UTC") } else { text })
}

fn list(elements: &ArrayRef) -> Result<String, ArrowError> {
    let elements: Result<Vec<String>, ArrowError> = (0..elements.len()).map(|index| inner(elements, index)).collect();
    Ok(format!("[{}]", elements?.join(", ")))
}

fn fields(array: &StructArray, row: usize) -> Result<String, ArrowError> {
    let fields: Result<Vec<String>, ArrowError> = (array.column_names().into_iter().zip(array.columns()))
        .map(|(name, column)| Ok(format!("{name}={}", inner(column, row)?)))
        .collect();
    Ok(format!("{{{}}}", fields?.join(", ")))
}

fn entries(entries: &StructArray) -> Result<String, ArrowError> {
    let (keys, values) = (entries.column(0), entries.column(1));
    let pairs: Result<Vec<String>, ArrowError> =
        (0..entries.len()).map(|index| Ok(format!("{}={}", inner(keys, index)?, inner(values, index)?))).collect();
    Ok(format!("{{{}}}", pairs?.join(", ")))
}

fn inner(array: &ArrayRef, row: usize) -> Result<String, ArrowError> {
    Ok(text(array, row)?.unwrap_or_else(|| "null".to_owned()))
}

fn spaced_hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

/// As Java writes a number: plainly from a thousandth to ten million, beyond that with an exponent. `text` is Rust's.
fn java_float(text: String, with_exponent: impl Fn(&str) -> String) -> String {
    let magnitude: f64 = text.parse::<f64>().unwrap_or(f64::NAN).abs();
    match text.as_str() {
        "NaN" => "NaN".to_owned(),
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        _ if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) => match text.contains('.') {
            true => text,
            false => format!("{text}.0"),
        },
        _ => {
            let text = with_exponent(&text);
            let (digits, exponent) = text.split_once('E').unwrap_or((&text, "0"));
            let point = if digits.contains('.') { "" } else { ".0" };
            format!("{digits}{point}E{exponent}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, Decimal128Array, Float64Array, Int32Array, ListArray, StringArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::Int32Type;

    use super::*;

    #[track_caller]
    fn check(array: impl Array + 'static, expected: &[Option<&str>]) {
        let array: ArrayRef = Arc::new(array);
        let texts: Vec<Option<String>> = (0..array.len()).map(|row| text(&array, row).unwrap()).collect();
        let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn numbers_are_written_as_java_writes_them() {
        let numbers = vec![1.0, 0.5, 12_345_678.0, 1e10, 0.000_15, -0.0, f64::NAN, f64::NEG_INFINITY];
        let expected = ["1.0", "0.5", "1.2345678E7", "1.0E10", "1.5E-4", "-0.0", "NaN", "-Infinity"];
        check(Float64Array::from(numbers), &expected.map(Some));
        let decimals = Decimal128Array::from(vec![Some(1250), None]).with_precision_and_scale(12, 2).unwrap();
        check(decimals, &[Some("12.50"), None]);
    }

    #[test]
    fn nested_values_are_written_as_trino_writes_them() {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
        check(lists, &[Some("[1, null]"), None]);
        let fields = StructArray::from(vec![
            (
                Arc::new(arrow::datatypes::Field::new("a", DataType::Int32, true)),
                Arc::new(Int32Array::from(vec![1])) as ArrayRef,
            ),
            (
                Arc::new(arrow::datatypes::Field::new("b", DataType::Utf8, true)),
                Arc::new(StringArray::from(vec!["x"])) as ArrayRef,
            ),
        ]);
        check(fields, &[Some("{a=1, b=x}")]);
    }

    #[test]
    fn bytes_are_hex_and_times_have_all_their_digits() {
        check(BinaryArray::from_vec(vec![b"ab", b""]), &[Some("61 62"), Some("")]);
        let times = TimestampMicrosecondArray::from(vec![1_700_000_000_000_001]);
        check(times.clone(), &[Some("2023-11-14 22:13:20.000001")]);
        check(times.with_timezone("+00:00"), &[Some("2023-11-14 22:13:20.000001 UTC")]);
    }
}
