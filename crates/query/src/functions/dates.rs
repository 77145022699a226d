//! Functions of dates and times.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, StringArray, TimestampMillisecondArray};
use arrow::array::{Int64Array, timezone::Tz};
use arrow::compute::{cast, kernels::numeric::add};
use arrow::datatypes::{
    DataType, Date32Type, Int64Type, IntervalMonthDayNano, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use chrono::format::{Parsed, StrftimeItems};
use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeZone, Utc};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::functions::datetime;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, cast as cast_expr};

use crate::functions::mysql_format::to_chrono;
use crate::functions::scalar::{Scalar, bigint, count, text, texts};

const MICROS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
const MILLIS: DataType = DataType::Timestamp(TimeUnit::Millisecond, None);
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

pub(super) fn all() -> Vec<Scalar> {
    vec![
        Scalar::new("date_add", takes_unit_amount_time, |types| Ok(types[2].clone()), date_add),
        Scalar::new("date_diff", takes_unit_times, bigint, date_diff),
        Scalar::new("date_trunc", takes_unit_time, |types| Ok(types[1].clone()), unreachable_trunc)
            .with_meaning(date_trunc),
        Scalar::new("date_parse", texts::<2>, |_| Ok(MILLIS), date_parse),
        Scalar::new("date_format", takes_time_text, text, date_format),
        timestamp_text(),
        Scalar::new("to_iso8601", |types| count::<1>(types).map(|()| vec![types[0].clone()]), text, to_iso8601),
    ]
}

/// A timestamp as Athena writes it: `2026-11-22 12:00:00.000`, with ` UTC` behind one with a time zone.
pub(crate) fn timestamp_text() -> Scalar {
    let takes = |types: &[DataType]| count::<1>(types).map(|()| vec![types[0].clone()]);
    Scalar::new("timestamp_text", takes, text, |arrays, _| {
        let digits = match arrays[0].data_type() {
            DataType::Timestamp(TimeUnit::Second, _) => "",
            DataType::Timestamp(TimeUnit::Millisecond, _) => "%.3f",
            DataType::Timestamp(TimeUnit::Microsecond, _) => "%.6f",
            _ => "%.9f",
        };
        show(&arrays[0], &format!("%Y-%m-%d %H:%M:%S{digits}"), |zone| format!(" {zone}"))
    })
}

/// A date or a timestamp stays what it is; text is read as a timestamp.
fn time(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Date32 | DataType::Timestamp(..) => data_type.clone(),
        _ => MILLIS,
    }
}

fn takes_unit_amount_time(types: &[DataType]) -> Result<Vec<DataType>> {
    count::<3>(types)?;
    Ok(vec![DataType::Utf8, DataType::Int64, time(&types[2])])
}

fn takes_unit_times(types: &[DataType]) -> Result<Vec<DataType>> {
    count::<3>(types)?;
    Ok(vec![DataType::Utf8, MICROS, MICROS])
}

fn takes_unit_time(types: &[DataType]) -> Result<Vec<DataType>> {
    count::<2>(types)?;
    Ok(vec![DataType::Utf8, time(&types[1])])
}

fn takes_time_text(types: &[DataType]) -> Result<Vec<DataType>> {
    count::<2>(types)?;
    Ok(vec![time(&types[0]), DataType::Utf8])
}

/// How many months, days and microseconds a unit has.
fn unit(name: &str) -> Result<(i32, i32, i64)> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "millisecond" => (0, 0, 1000),
        "second" => (0, 0, MICROS_PER_SECOND),
        "minute" => (0, 0, 60 * MICROS_PER_SECOND),
        "hour" => (0, 0, 3600 * MICROS_PER_SECOND),
        "day" => (0, 1, 0),
        "week" => (0, 7, 0),
        "month" => (1, 0, 0),
        "quarter" => (3, 0, 0),
        "year" => (12, 0, 0),
        _ => {
            return plan_err!(
                "'{name}' is no unit of time: millisecond, second, minute, hour, day, week, month, quarter or year"
            );
        }
    })
}

fn date_add(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (units, amounts) = (arrays[0].as_string::<i32>(), arrays[1].as_primitive::<Int64Type>());
    let is_date = arrays[2].data_type() == &DataType::Date32;
    let interval = |(name, amount): (Option<&str>, Option<i64>)| {
        let (Some(name), Some(amount)) = (name, amount) else { return Ok(None) };
        let (months, days, micros) = unit(name)?;
        if is_date && micros != 0 {
            return plan_err!("a date has no {name}");
        }
        let Ok(amount_32) = i32::try_from(amount) else { return exec_err!("{amount} is out of range") };
        let nanos = micros.checked_mul(1000).and_then(|nanos| nanos.checked_mul(amount));
        let parts = (months.checked_mul(amount_32), days.checked_mul(amount_32), nanos);
        let (Some(months), Some(days), Some(nanos)) = parts else { return exec_err!("{amount} is out of range") };
        Ok(Some(IntervalMonthDayNano::new(months, days, nanos)))
    };
    let intervals = units.iter().zip(amounts.iter()).map(interval).collect::<Result<IntervalMonthDayNanoArray>>()?;
    Ok(add(&arrays[2], &intervals)?)
}

/// How many whole units lie between two times.
fn date_diff(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let units = arrays[0].as_string::<i32>();
    let (from, to) =
        (arrays[1].as_primitive::<TimestampMicrosecondType>(), arrays[2].as_primitive::<TimestampMicrosecondType>());
    let mut result = Int64Array::builder(units.len());
    for row in 0..units.len() {
        if units.is_null(row) || from.is_null(row) || to.is_null(row) {
            result.append_null();
            continue;
        }
        let (months, days, micros) = unit(units.value(row))?;
        let (from, to) = (from.value(row), to.value(row));
        result.append_value(match (months, days) {
            (0, 0) => (to - from) / micros,
            (0, days) => (to - from) / (MICROS_PER_DAY * i64::from(days)),
            (months, _) => months_between(from, to) / i64::from(months),
        });
    }
    Ok(Arc::new(result.finish()))
}

/// Whole months: the 31st to the 28th is less than one.
fn months_between(from: i64, to: i64) -> i64 {
    if to < from {
        return -months_between(to, from);
    }
    let part = |micros: i64| DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
    let (from, to) = (part(from), part(to));
    let months = |time: &DateTime<Utc>| i64::from(time.year()) * 12 + i64::from(time.month0());
    let is_partial = (to.day(), to.time()) < (from.day(), from.time());
    months(&to) - months(&from) - i64::from(is_partial)
}

/// DataFusion's own turns dates into timestamps.
fn date_trunc(args: &[Expr], info: &SimplifyContext) -> Result<Option<Expr>> {
    let of = info.get_data_type(&args[1])?;
    let truncated = |time| datetime::date_trunc().call(vec![args[0].clone(), time]);
    Ok(Some(match of {
        DataType::Date32 => cast_expr(truncated(cast_expr(args[1].clone(), MICROS)), DataType::Date32),
        of => cast_expr(truncated(args[1].clone()), of),
    }))
}

fn unreachable_trunc(_: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    datafusion::common::internal_err!("date_trunc is replaced before it runs")
}

fn date_parse(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (texts, formats) = (arrays[0].as_string::<i32>(), arrays[1].as_string::<i32>());
    let parse = |(text, format): (Option<&str>, Option<&str>)| {
        let (Some(text), Some(format)) = (text, format) else { return Ok(None) };
        let chrono = chrono_format(format)?;
        let time = parse_with_defaults(text, &chrono);
        match time {
            Ok(time) => Ok(Some(time.and_utc().timestamp_millis())),
            Err(_) => exec_err!("'{text}' is not of the format '{format}'"),
        }
    };
    let parsed = texts.iter().zip(formats.iter()).map(parse).collect::<Result<TimestampMillisecondArray>>()?;
    Ok(Arc::new(parsed))
}

/// What the format leaves out is as in 1970-01-01 00:00:00.
fn parse_with_defaults(text: &str, format: &str) -> chrono::ParseResult<NaiveDateTime> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, StrftimeItems::new(format))?;
    if parsed.year().is_none() && parsed.year_mod_100().is_none() {
        parsed.set_year(1970)?;
    }
    if parsed.ordinal().is_none() {
        if parsed.month().is_none() {
            parsed.set_month(1)?;
        }
        if parsed.day().is_none() {
            parsed.set_day(1)?;
        }
    }
    if parsed.hour_mod_12().is_none() {
        parsed.set_hour(0)?;
    }
    if parsed.minute().is_none() {
        parsed.set_minute(0)?;
    }
    Ok(parsed.to_naive_date()?.and_time(parsed.to_naive_time()?))
}

fn date_format(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let formats = arrays[1].as_string::<i32>();
    let times = cast(&arrays[0], &as_nanos(arrays[0].data_type()))?;
    let times = times.as_primitive::<TimestampNanosecondType>();
    let zone = zone(times.data_type())?;
    let shown = times.iter().zip(formats.iter()).map(|(time, format)| {
        let (Some(time), Some(format)) = (time, format) else { return Ok(None) };
        let time = zone.from_utc_datetime(&DateTime::<Utc>::from_timestamp_nanos(time).naive_utc());
        Ok(Some(time.format(&chrono_format(format)?).to_string()))
    });
    Ok(Arc::new(shown.collect::<Result<StringArray>>()?))
}

fn chrono_format(format: &str) -> Result<String> {
    to_chrono(format).or_else(|letter| plan_err!("the format '{format}' has %{letter}, which is not supported"))
}

fn to_iso8601(arrays: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    match arrays[0].data_type() {
        DataType::Date32 => {
            let days = arrays[0].as_primitive::<Date32Type>();
            let shown = days.iter().map(|day| day.and_then(Date32Type::to_naive_date_opt).map(|day| day.to_string()));
            Ok(Arc::new(shown.collect::<StringArray>()))
        }
        _ => show(&arrays[0], "%Y-%m-%dT%H:%M:%S%.3f", |zone| if zone == "UTC" { "Z".to_owned() } else { zone }),
    }
}

/// Every time in `format`, and behind it what `suffix` makes of the zone, where the type has one.
fn show(times: &ArrayRef, format: &str, suffix: fn(String) -> String) -> Result<ArrayRef> {
    let times = cast(times, &as_nanos(times.data_type()))?;
    let has_zone = matches!(times.data_type(), DataType::Timestamp(_, Some(_)));
    let times = times.as_primitive::<TimestampNanosecondType>();
    let zone = zone(times.data_type())?;
    let shown = times.iter().map(|time| {
        let time = zone.from_utc_datetime(&DateTime::<Utc>::from_timestamp_nanos(time?).naive_utc());
        let is_utc = time.offset().fix().local_minus_utc() == 0;
        let behind = match has_zone {
            true if is_utc => suffix("UTC".to_owned()),
            true => suffix(zone_name(times.data_type())),
            false => String::new(),
        };
        Some(format!("{}{behind}", time.format(format)))
    });
    Ok(Arc::new(shown.collect::<StringArray>()))
}

fn as_nanos(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()),
        _ => DataType::Timestamp(TimeUnit::Nanosecond, None),
    }
}

fn zone_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp(_, Some(zone)) => zone.to_string(),
        _ => "+00:00".to_owned(),
    }
}

fn zone(data_type: &DataType) -> Result<Tz> {
    Ok(zone_name(data_type).parse()?)
}
