//! The least and greatest value a column can have in a file or in all files of a manifest, in the column's current type.
//!
//! A bound is a promise about rows that may be there, never a value that is: it may be shortened, or belong to a deleted
//! row. What we do not understand gives no bound.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use iceberg::spec::{
    Datum, FieldSummary, Literal, ManifestEntryRef, ManifestFile, PartitionSpec, PrimitiveLiteral, PrimitiveType,
    Schema, Transform, Type,
};

/// What is known of one column.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bounds {
    pub min: Option<ScalarValue>,
    pub max: Option<ScalarValue>,
    pub nulls: Option<u64>,
}

/// Bounds of column `field_id` in a data file: from its metrics, else from its partition.
pub(super) fn of_file(
    entry: &ManifestEntryRef,
    spec: Option<&PartitionSpec>,
    field_id: i32,
    data_type: &DataType,
) -> Bounds {
    let file = entry.data_file();
    let nulls = file.null_value_counts().get(&field_id).copied();
    let is_float = matches!(data_type, DataType::Float32 | DataType::Float64);
    // Bounds leave NaN out, while to DataFusion NaN is the greatest number.
    if is_float && file.nan_value_counts().get(&field_id) != Some(&0) {
        return Bounds { nulls, ..Bounds::default() };
    }
    let scalar = |datum: Option<&Datum>| to_scalar(datum?.literal(), data_type);
    let min = scalar(file.lower_bounds().get(&field_id));
    let max = scalar(file.upper_bounds().get(&field_id));
    if min.is_some() || max.is_some() {
        return Bounds { min, max, nulls };
    }

    let fields = spec.map_or(&[][..], |spec| spec.fields());
    for (field, value) in fields.iter().zip(file.partition().iter()) {
        if let (true, Some(Literal::Primitive(value))) = (field.source_id == field_id, value) {
            let (min, max) = before_transform(field.transform, value, value, data_type);
            return Bounds { min, max, nulls };
        }
    }
    Bounds { nulls, ..Bounds::default() }
}

/// Bounds of column `field_id` in all files of a manifest, from the summary of their partitions.
pub(super) fn of_manifest(
    manifest: &ManifestFile,
    spec: &PartitionSpec,
    schema: &Schema,
    field_id: i32,
    data_type: &DataType,
) -> Bounds {
    let summaries = manifest.partitions.as_deref().unwrap_or_default();
    for (field, summary) in spec.fields().iter().zip(summaries) {
        if field.source_id != field_id {
            continue;
        }
        let Some(Type::Primitive(source)) = schema.field_by_id(field_id).map(|field| field.field_type.as_ref()) else {
            continue;
        };
        if let Some((low, high)) = summary_range(summary, field.transform, source) {
            let (min, max) = before_transform(field.transform, &low, &high, data_type);
            return Bounds { min, max, nulls: None };
        }
    }
    Bounds::default()
}

fn summary_range(
    summary: &FieldSummary,
    transform: Transform,
    source: &PrimitiveType,
) -> Option<(PrimitiveLiteral, PrimitiveLiteral)> {
    let is_float = matches!(source, PrimitiveType::Float | PrimitiveType::Double);
    if is_float && summary.contains_nan != Some(false) {
        return None;
    }
    let Type::Primitive(result) = transform.result_type(&Type::Primitive(source.clone())).ok()? else { return None };
    let literal = |bytes: &[u8]| Datum::try_from_bytes(bytes, result.clone()).ok().map(|datum| datum.literal().clone());
    Some((literal(summary.lower_bound.as_ref()?)?, literal(summary.upper_bound.as_ref()?)?))
}

/// The source values that `transform` takes to something between `low` and `high`.
fn before_transform(
    transform: Transform,
    low: &PrimitiveLiteral,
    high: &PrimitiveLiteral,
    data_type: &DataType,
) -> (Option<ScalarValue>, Option<ScalarValue>) {
    use PrimitiveLiteral::{Int, Long};
    match (transform, low, high) {
        (Transform::Identity, low, high) => (to_scalar(low, data_type), to_scalar(high, data_type)),
        (Transform::Truncate(width), Int(low), Int(high)) => {
            let last = i64::from(*high) + i64::from(width) - 1;
            (to_scalar(&Int(*low), data_type), to_scalar(&Long(last), data_type))
        }
        (Transform::Truncate(width), Long(low), Long(high)) => {
            let last = high.checked_add(i64::from(width) - 1).map(Long);
            (to_scalar(&Long(*low), data_type), last.and_then(|last| to_scalar(&last, data_type)))
        }
        (Transform::Year | Transform::Month | Transform::Day | Transform::Hour, Int(low), Int(high)) => {
            // Old writers rounded times before 1970 towards zero, so that a value may be one too high there.
            let low = if *low <= 0 { low.saturating_sub(1) } else { *low };
            let first = period_start(transform, low).and_then(|start| time_scalar(start, 0, data_type));
            let end = high.checked_add(1).and_then(|next| period_start(transform, next));
            (first, end.and_then(|end| time_scalar(end, -1, data_type)))
        }
        _ => (None, None),
    }
}

/// Seconds from 1970 to the start of a year, month, day or hour counted from 1970.
fn period_start(transform: Transform, value: i32) -> Option<i64> {
    let month_start = |months: i32| {
        let year = i16::try_from(1970 + months.div_euclid(12)).ok()?;
        let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
        let date = jiff::civil::Date::new(year, month, 1).ok()?;
        Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    };
    match transform {
        Transform::Year => month_start(value.checked_mul(12)?),
        Transform::Month => month_start(value),
        Transform::Day => Some(i64::from(value) * 86_400),
        Transform::Hour => Some(i64::from(value) * 3_600),
        _ => None,
    }
}

/// `seconds` from 1970, moved by `units` of the type's own, as a date or time.
fn time_scalar(seconds: i64, units: i64, data_type: &DataType) -> Option<ScalarValue> {
    let value = |per_second: i64| seconds.checked_mul(per_second)?.checked_add(units);
    match data_type {
        DataType::Date32 => to_scalar(&PrimitiveLiteral::Long(seconds.div_euclid(86_400) + units), data_type),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            to_scalar(&PrimitiveLiteral::Long(value(1_000_000)?), data_type)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            to_scalar(&PrimitiveLiteral::Long(value(1_000_000_000)?), data_type)
        }
        _ => None,
    }
}

/// An Iceberg value in the column's current type: a value written as `int` when the column is `long` now is widened.
pub(super) fn to_scalar(literal: &PrimitiveLiteral, data_type: &DataType) -> Option<ScalarValue> {
    use PrimitiveLiteral as P;
    Some(match (data_type, literal) {
        (DataType::Boolean, P::Boolean(value)) => ScalarValue::Boolean(Some(*value)),
        (DataType::Int32, P::Int(value)) => ScalarValue::Int32(Some(*value)),
        (DataType::Int32, P::Long(value)) => ScalarValue::Int32(Some(i32::try_from(*value).ok()?)),
        (DataType::Int64, P::Int(value)) => ScalarValue::Int64(Some(i64::from(*value))),
        (DataType::Int64, P::Long(value)) => ScalarValue::Int64(Some(*value)),
        (DataType::Float32, P::Float(value)) => ScalarValue::Float32(Some(value.0)),
        (DataType::Float64, P::Float(value)) => ScalarValue::Float64(Some(f64::from(value.0))),
        (DataType::Float64, P::Double(value)) => ScalarValue::Float64(Some(value.0)),
        (DataType::Date32, P::Int(value)) => ScalarValue::Date32(Some(*value)),
        (DataType::Date32, P::Long(value)) => ScalarValue::Date32(Some(i32::try_from(*value).ok()?)),
        (DataType::Time64(TimeUnit::Microsecond), P::Long(value)) => ScalarValue::Time64Microsecond(Some(*value)),
        (DataType::Timestamp(TimeUnit::Microsecond, zone), P::Long(value)) => {
            ScalarValue::TimestampMicrosecond(Some(*value), zone.clone())
        }
        (DataType::Timestamp(TimeUnit::Nanosecond, zone), P::Long(value)) => {
            ScalarValue::TimestampNanosecond(Some(*value), zone.clone())
        }
        (DataType::Decimal128(precision, scale), P::Int128(value)) => {
            ScalarValue::Decimal128(Some(*value), *precision, *scale)
        }
        (DataType::Utf8View, P::String(value)) => ScalarValue::Utf8View(Some(value.clone())),
        (DataType::BinaryView, P::Binary(value)) => ScalarValue::BinaryView(Some(value.clone())),
        (DataType::FixedSizeBinary(16), P::UInt128(value)) => {
            ScalarValue::FixedSizeBinary(16, Some(value.to_be_bytes().to_vec()))
        }
        (DataType::FixedSizeBinary(size), P::Binary(value)) => ScalarValue::FixedSizeBinary(*size, Some(value.clone())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_value_bounds_its_source_column() {
        let check = |transform, (low, high): (i32, i32), data_type: &DataType, expected: (i64, i64)| {
            let (low, high) = (PrimitiveLiteral::Int(low), PrimitiveLiteral::Int(high));
            let (min, max) = before_transform(transform, &low, &high, data_type);
            let plain = |scalar: Option<ScalarValue>| match scalar {
                Some(ScalarValue::TimestampMicrosecond(Some(value), _)) => value,
                Some(ScalarValue::Date32(Some(value))) => i64::from(value),
                Some(ScalarValue::Int64(Some(value))) => value,
                other => panic!("unexpected {other:?}"),
            };
            assert_eq!((plain(min), plain(max)), expected, "{transform}");
        };
        let time = DataType::Timestamp(TimeUnit::Microsecond, None);
        check(Transform::Day, (1, 2), &time, (86_400_000_000, 3 * 86_400_000_000 - 1));
        check(Transform::Hour, (1, 1), &time, (3_600_000_000, 7_200_000_000 - 1));
        check(Transform::Day, (0, 0), &time, (-86_400_000_000, 86_400_000_000 - 1));
        check(Transform::Month, (1, 1), &DataType::Date32, (31, 31 + 28 - 1));
        check(Transform::Year, (1, 2), &DataType::Date32, (365, 365 * 2 + 366 - 1));
        check(Transform::Day, (5, 6), &DataType::Date32, (5, 6));
        check(Transform::Truncate(10), (20, 30), &DataType::Int64, (20, 39));
        check(Transform::Identity, (20, 30), &DataType::Int64, (20, 30));
    }
}
