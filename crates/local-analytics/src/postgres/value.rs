//! Values as PostgreSQL writes them in text.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use query::PgType;

/// The text of a value that is not NULL.
pub(super) fn text(array: &ArrayRef, row: usize) -> Result<String, ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).to_owned(),
        DataType::Utf8View => array.as_string_view().value(row).to_owned(),
        DataType::Boolean => if array.as_boolean().value(row) { "t" } else { "f" }.to_owned(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => float(plain(array, row, None)?),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            format!("\\x{}", plain(array, row, None)?)
        }
        DataType::Timestamp(unit, zone) => timestamp(array, row, *unit, zone.is_some())?,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
            if query::pg_type(array.data_type()) != PgType::JSON =>
        {
            list(&elements(array, row)?)?
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => json(array, row)?,
        DataType::Struct(_) | DataType::Map(..) => json(array, row)?,
        DataType::Dictionary(_, value) => text(&cast(&array.slice(row, 1), value)?, 0)?,
        _ => plain(array, row, None)?,
    })
}

fn plain(array: &ArrayRef, row: usize, timestamp_format: Option<&str>) -> Result<String, ArrowError> {
    let options = FormatOptions::new().with_timestamp_format(timestamp_format);
    Ok(ArrayFormatter::try_new(array.as_ref(), &options)?.value(row).to_string())
}

/// In UTC, whatever zone the type names.
fn timestamp(array: &ArrayRef, row: usize, unit: TimeUnit, has_zone: bool) -> Result<String, ArrowError> {
    let utc = cast(&array.slice(row, 1), &DataType::Timestamp(unit, None))?;
    let text = plain(&utc, 0, Some("%Y-%m-%d %H:%M:%S%.f"))?;
    // PostgreSQL writes no digits that say nothing.
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    Ok(if has_zone { format!("{text}+00") } else { text.to_owned() })
}

fn float(text: String) -> String {
    match text.as_str() {
        "inf" => "Infinity".to_owned(),
        "-inf" => "-Infinity".to_owned(),
        // A whole one has no point there.
        _ => text.strip_suffix(".0").map_or(text.clone(), str::to_owned),
    }
}

fn elements(array: &ArrayRef, row: usize) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        _ => array.as_list::<i32>().value(row),
    })
}

/// `{1,NULL,"a \"b\""}`
fn list(elements: &ArrayRef) -> Result<String, ArrowError> {
    let quoted = |text: String| {
        let is_plain = !text.is_empty()
            && !text.eq_ignore_ascii_case("null")
            && !text.contains(|c: char| c.is_whitespace() || ['{', '}', ',', '"', '\\'].contains(&c));
        if is_plain { text } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
    };
    let all_null = *elements.data_type() == DataType::Null;
    let texts = (0..elements.len()).map(|index| match all_null || elements.is_null(index) {
        true => Ok("NULL".to_owned()),
        false => text(elements, index).map(quoted),
    });
    Ok(format!("{{{}}}", texts.collect::<Result<Vec<_>, _>>()?.join(",")))
}

/// A value as JSON; numbers keep their digits.
fn json(array: &ArrayRef, row: usize) -> Result<String, ArrowError> {
    if array.is_null(row) {
        return Ok("null".to_owned());
    }
    Ok(match array.data_type() {
        DataType::Null => "null".to_owned(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let text = text(array, row)?;
            // JSON knows no NaN.
            if text.parse::<f64>().is_ok_and(f64::is_finite) { text } else { string(&text) }
        }
        own if own.is_numeric() => text(array, row)?,
        DataType::Struct(_) => object(array.as_struct(), row)?,
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let pairs = (0..entries.len())
                .map(|index| Ok::<_, ArrowError>(format!("{}:{}", string(&text(keys, index)?), json(values, index)?)));
            format!("{{{}}}", pairs.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            let elements = elements(array, row)?;
            let texts = (0..elements.len()).map(|index| json(&elements, index));
            format!("[{}]", texts.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        _ => string(&text(array, row)?),
    })
}

fn object(array: &StructArray, row: usize) -> Result<String, ArrowError> {
    let pairs = array.column_names().into_iter().zip(array.columns());
    let pairs = pairs.map(|(name, column)| Ok::<_, ArrowError>(format!("{}:{}", string(name), json(column, row)?)));
    Ok(format!("{{{}}}", pairs.collect::<Result<Vec<_>, _>>()?.join(",")))
}

fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryArray, Decimal128Array, Float64Array, ListArray, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    #[track_caller]
    fn check(array: impl Array + 'static, expected: &[&str]) {
        let array: ArrayRef = Arc::new(array);
        let texts: Vec<String> = (0..array.len()).map(|row| text(&array, row).unwrap()).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn values_are_written_as_postgresql_writes_them() {
        check(Float64Array::from(vec![1.0, 0.5, f64::NAN, f64::NEG_INFINITY]), &["1", "0.5", "NaN", "-Infinity"]);
        check(BinaryArray::from_vec(vec![b"ab", b""]), &["\\x6162", "\\x"]);
        let times = TimestampMicrosecondArray::from(vec![1_700_000_000_500_000, 1_700_000_000_000_000]);
        check(times.clone(), &["2023-11-14 22:13:20.5", "2023-11-14 22:13:20"]);
        check(times.with_timezone("+02:00"), &["2023-11-14 22:13:20.5+00", "2023-11-14 22:13:20+00"]);
        check(Decimal128Array::from(vec![1250]).with_precision_and_scale(12, 2).unwrap(), &["12.50"]);
    }

    #[test]
    fn nested_values_are_arrays_or_json() {
        check(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]), &["{1,NULL}"]);
        let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a \"b\""), None]));
        let numbers: ArrayRef =
            Arc::new(Decimal128Array::from(vec![100, 250]).with_precision_and_scale(12, 2).unwrap());
        let rows = vec![(field("a", DataType::Utf8), words), (field("n", DataType::Decimal128(12, 2)), numbers)];
        check(StructArray::from(rows), &["{\"a\":\"a \\\"b\\\"\",\"n\":1.00}", "{\"a\":null,\"n\":2.50}"]);
    }
}
