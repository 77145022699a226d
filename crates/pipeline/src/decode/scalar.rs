//! From the text of a scalar value to what a column of a type holds, exactly or not at all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use crate::decode::misfit::Misfit;
use crate::decode::number::Number;

pub(crate) fn long(text: &str) -> Result<i64, Misfit> {
    match plain_integer(text) {
        Some(value) => Ok(value),
        None => Number::parse(text)?.to_i64().ok_or(Misfit::DoesNotFit),
    }
}

pub(crate) fn int(text: &str) -> Result<i32, Misfit> {
    i32::try_from(long(text)?).map_err(|_| Misfit::DoesNotFit)
}

pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Result<i128, Misfit> {
    let number = Number::parse(text)?;
    number.to_scaled(u32::from(precision), i32::from(scale)).ok_or(Misfit::DoesNotFit)
}

/// The nearest binary fraction: a table has a floating point column only where somebody asked for one.
pub(crate) fn double(text: &str) -> Result<f64, Misfit> {
    Number::parse(text)?;
    text.parse().map_err(|_| Misfit::NotAValue)
}

/// Days since 1970-01-01, of `YYYY-MM-DD` and nothing else.
pub(crate) fn date(text: &str) -> Result<i32, Misfit> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text.as_bytes() else {
        return Err(Misfit::DoesNotFit);
    };
    let digits = [y1, y2, y3, y4, m1, m2, d1, d2];
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Misfit::DoesNotFit);
    }
    let digit = |byte: u8| i16::from(byte - b'0');
    let year = digit(y1) * 1000 + digit(y2) * 100 + digit(y3) * 10 + digit(y4);
    let month = (digit(m1) * 10 + digit(m2)) as i8;
    let day = (digit(d1) * 10 + digit(d2)) as i8;
    let date = Date::new(year, month, day).map_err(|_| Misfit::DoesNotFit)?;
    Ok(days_since_epoch(date))
}

/// Microseconds since the epoch, of ISO 8601 text with `Z` or an offset.
pub(crate) fn instant(text: &str) -> Result<i64, Misfit> {
    let timestamp: Timestamp = text.parse().map_err(|_| Misfit::DoesNotFit)?;
    whole_microseconds(timestamp.as_nanosecond())
}

/// Microseconds since 1970-01-01 00:00, of ISO 8601 text without an offset.
pub(crate) fn local_time(text: &str) -> Result<i64, Misfit> {
    // A civil time is read from text with an offset too, which would be lost.
    if text.parse::<Timestamp>().is_ok() {
        return Err(Misfit::DoesNotFit);
    }
    let time: DateTime = text.parse().map_err(|_| Misfit::DoesNotFit)?;
    const DAY_NS: i128 = 86_400_000_000_000;
    let midnight_ns = i128::from(days_since_epoch(time.date())) * DAY_NS;
    let since_midnight = time.time().duration_since(jiff::civil::Time::midnight());
    whole_microseconds(midnight_ns + since_midnight.as_nanos())
}

/// Appends the bytes that base64 `text` stands for.
pub(crate) fn base64(text: &str, bytes: &mut Vec<u8>) -> Result<(), Misfit> {
    STANDARD.decode_vec(text, bytes).map_err(|_| Misfit::NotAValue)
}

/// The integers that need no thought, which are nearly all: up to 18 digits and a sign.
fn plain_integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

fn days_since_epoch(date: Date) -> i32 {
    const EPOCH: Date = Date::constant(1970, 1, 1);
    // Counting on the civil calendar: no zone, so every day has 24 hours.
    (date.duration_since(EPOCH).as_hours() / 24) as i32
}

fn whole_microseconds(ns: i128) -> Result<i64, Misfit> {
    match ns % 1_000 {
        0 => i64::try_from(ns / 1_000).map_err(|_| Misfit::DoesNotFit),
        _ => Err(Misfit::DoesNotFit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_ten_characters_of_a_real_day() {
        assert_eq!(date("1970-01-01"), Ok(0));
        assert_eq!(date("2025-11-22"), Ok(20414));
        assert_eq!(date("1969-12-31"), Ok(-1));
        for text in ["2025-02-29", "2025-13-01", "2025-1-01", "20250101", "2025-01-01T00:00:00Z", "", "2025-01-0x"] {
            assert_eq!(date(text), Err(Misfit::DoesNotFit), "{text}");
        }
    }

    #[test]
    fn a_time_keeps_its_zone_or_its_lack_of_one_and_every_digit() {
        assert_eq!(instant("1970-01-01T00:00:01.000002Z"), Ok(1_000_002));
        assert_eq!(instant("1970-01-01T02:00:00+02:00"), Ok(0));
        assert_eq!(instant("1970-01-01T00:00:00.0000001Z"), Err(Misfit::DoesNotFit));
        assert_eq!(instant("1970-01-01T00:00:00"), Err(Misfit::DoesNotFit));
        assert_eq!(local_time("1970-01-02T00:00:00.5"), Ok(86_400_500_000));
        assert_eq!(local_time("1969-12-31T23:59:59"), Ok(-1_000_000));
        assert_eq!(local_time("1970-01-01T00:00:00Z"), Err(Misfit::DoesNotFit));
    }

    #[test]
    fn integers_take_every_way_of_writing_them() {
        for (text, expected) in [("-42", -42), ("42.0", 42), ("4.2E1", 42), ("0", 0), ("-0", 0)] {
            assert_eq!(long(text), Ok(expected), "{text}");
        }
        assert_eq!(int("2147483648"), Err(Misfit::DoesNotFit));
        assert_eq!(long("42.5"), Err(Misfit::DoesNotFit));
        assert_eq!(long("x"), Err(Misfit::NotAValue));
    }
}
