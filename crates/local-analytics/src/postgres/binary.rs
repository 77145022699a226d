//! PostgreSQL's binary formats: big-endian numbers, times since the year 2000, decimals in digits of base 10,000.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimeUnit};
use arrow::datatypes::{Time64MicrosecondType, TimestampMicrosecondType};
use arrow::error::ArrowError;
use bytes::{Buf, BufMut, Bytes};
use query::PgType;

use crate::postgres::backend::put_value;
use crate::postgres::value;

/// From 1970 to 2000.
const DAYS: i32 = 10_957;
const MICROSECONDS: i64 = DAYS as i64 * 86_400_000_000;

/// Writes the value of a row, which is not NULL, of an array that [`prepare`] gave.
pub(super) fn write(array: &ArrayRef, row: usize, known: PgType, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    match known {
        PgType::BOOL => out.put_u8(array.as_boolean().value(row).into()),
        PgType::INT2 => out.put_i16(array.as_primitive::<Int16Type>().value(row)),
        PgType::INT4 => out.put_i32(array.as_primitive::<Int32Type>().value(row)),
        PgType::INT8 => out.put_i64(array.as_primitive::<Int64Type>().value(row)),
        PgType::FLOAT4 => out.put_f32(array.as_primitive::<Float32Type>().value(row)),
        PgType::FLOAT8 => out.put_f64(array.as_primitive::<Float64Type>().value(row)),
        PgType::DATE => out.put_i32(array.as_primitive::<Date32Type>().value(row) - DAYS),
        PgType::TIME => out.put_i64(array.as_primitive::<Time64MicrosecondType>().value(row)),
        PgType::TIMESTAMP | PgType::TIMESTAMPTZ => {
            out.put_i64(array.as_primitive::<TimestampMicrosecondType>().value(row) - MICROSECONDS);
        }
        PgType::BYTEA => out.extend_from_slice(array.as_binary::<i32>().value(row)),
        known if known.oid == PgType::NUMERIC.oid => numeric(&value::text(array, row)?, out),
        _ => match array.data_type() {
            DataType::List(_) if known != PgType::JSON => list(&array.as_list::<i32>().value(row), out)?,
            // Text, and what is sent as text.
            _ => out.extend_from_slice(value::text(array, row)?.as_bytes()),
        },
    }
    Ok(())
}

/// The column in the one Arrow type that its PostgreSQL type is written from.
pub(super) fn prepare(array: &ArrayRef, known: PgType) -> Result<ArrayRef, ArrowError> {
    let wanted = match known {
        PgType::BOOL => DataType::Boolean,
        PgType::INT2 => DataType::Int16,
        PgType::INT4 => DataType::Int32,
        PgType::INT8 => DataType::Int64,
        PgType::FLOAT4 => DataType::Float32,
        PgType::FLOAT8 => DataType::Float64,
        PgType::DATE => DataType::Date32,
        PgType::TIME => DataType::Time64(TimeUnit::Microsecond),
        PgType::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        // The zone says how it is shown; the value is in UTC.
        PgType::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        PgType::BYTEA => DataType::Binary,
        PgType::TEXT => DataType::Utf8,
        _ => match array.data_type() {
            DataType::LargeList(element) | DataType::FixedSizeList(element, _) => DataType::List(element.clone()),
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            own => own.clone(),
        },
    };
    // Intervals and the like have no text that Arrow casts to.
    if *array.data_type() == wanted || !arrow::compute::can_cast_types(array.data_type(), &wanted) {
        return Ok(array.clone());
    }
    cast(array, &wanted)
}

/// An array of one dimension, counted from 1.
fn list(elements: &ArrayRef, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let known = query::pg_type(elements.data_type());
    let elements = prepare(elements, known)?;
    out.put_i32(i32::from(!elements.is_empty()));
    out.put_i32(i32::from(elements.null_count() > 0));
    out.put_i32(known.oid);
    if elements.is_empty() {
        return Ok(());
    }
    out.put_i32(elements.len() as i32);
    out.put_i32(1);
    let mut value = Vec::new();
    for index in 0..elements.len() {
        if elements.is_null(index) || *elements.data_type() == DataType::Null {
            put_value(out, None);
            continue;
        }
        value.clear();
        write(&elements, index, known, &mut value)?;
        put_value(out, Some(&value));
    }
    Ok(())
}

/// `text` is a decimal without exponent.
fn numeric(text: &str, out: &mut Vec<u8>) {
    const NEGATIVE: u16 = 0x4000;
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (NEGATIVE, text),
        None => (0, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    // Groups of four around the point.
    let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let fraction_padded = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
    let all = format!("{whole}{fraction_padded}");
    let digits: Vec<i16> = all
        .as_bytes()
        .chunks(4)
        .map(|group| group.iter().fold(0, |sum, digit| sum * 10 + i16::from(digit - b'0')))
        .collect();
    let leading = digits.iter().take_while(|digit| **digit == 0).count();
    let trailing = digits[leading..].iter().rev().take_while(|digit| **digit == 0).count();
    let digits = &digits[leading..digits.len() - trailing];
    let weight = (whole.len() / 4) as i16 - 1 - leading as i16;
    out.put_i16(digits.len() as i16);
    out.put_i16(if digits.is_empty() { 0 } else { weight });
    out.put_u16(sign);
    out.put_u16(fraction.len() as u16);
    digits.iter().for_each(|digit| out.put_i16(*digit));
}

/// The decimal that a client sent; `None` where it is malformed or not a number.
pub(super) fn numeric_text(bytes: &Bytes) -> Option<String> {
    const NEGATIVE: u16 = 0x4000;
    let mut bytes = bytes.clone();
    if bytes.len() < 8 {
        return None;
    }
    let (count, weight, sign, scale) = (bytes.get_i16(), bytes.get_i16(), bytes.get_u16(), bytes.get_u16());
    if usize::try_from(count).ok()? * 2 != bytes.len()
        || ![0, NEGATIVE].contains(&sign)
        || weight.abs() > 100
        || scale > 100
    {
        return None;
    }
    let digits: Vec<i16> = (0..count).map(|_| bytes.get_i16()).collect();
    if digits.iter().any(|digit| !(0..10_000).contains(digit)) {
        return None;
    }
    let digit =
        |place: i32| usize::try_from(i32::from(weight) - place).ok().and_then(|index| digits.get(index)).copied();
    let group = |place: i32| format!("{:04}", digit(place).unwrap_or_default());
    let whole: String = (0..=i32::from(weight).max(0)).rev().map(group).collect();
    let fraction: String = (1..=i32::from(scale.div_ceil(4))).map(|place| group(-place)).collect();
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if sign == NEGATIVE { "-" } else { "" };
    let fraction = &fraction[..usize::from(scale).min(fraction.len())];
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

pub(super) fn date_text(days: i32) -> Option<String> {
    let first = jiff::civil::date(2000, 1, 1);
    first.checked_add(jiff::Span::new().try_days(days).ok()?).ok().map(|date| date.to_string())
}

/// Microseconds since 2000.
pub(super) fn timestamp_text(microseconds: i64) -> Option<String> {
    let moment = jiff::Timestamp::from_microsecond(microseconds.checked_add(MICROSECONDS)?).ok()?;
    Some(moment.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_comes_back_as_it_was() {
        for text in
            ["0", "0.00", "1", "-1.50", "10000", "12345.6789", "0.0001", "-0.00001", "99999999.99", "1000000.10"]
        {
            let mut bytes = Vec::new();
            numeric(text, &mut bytes);
            assert_eq!(numeric_text(&bytes.into()).as_deref(), Some(text));
        }
        assert_eq!(numeric_text(&Bytes::from_static(&[0, 1, 0, 0, 0, 0, 0, 0])), None);
    }

    #[test]
    fn one_and_a_half_is_written_as_postgresql_writes_it() {
        let mut bytes = Vec::new();
        numeric("-1.50", &mut bytes);
        assert_eq!(bytes, [0, 2, 0, 0, 0x40, 0, 0, 2, 0, 1, 0x13, 0x88]);
    }

    #[test]
    fn times_count_from_2000() {
        assert_eq!(date_text(-1).as_deref(), Some("1999-12-31"));
        assert_eq!(timestamp_text(1).as_deref(), Some("2000-01-01 00:00:00.000001"));
        assert_eq!(timestamp_text(i64::MAX), None);
    }
}
