//! What a data file says about its columns in the manifest: sizes, counts, and bounds that every value lies between.
//!
//! Bounds come from Parquet's statistics. Those may be cut short, which leaves them valid: a shortened minimum is lower,
//! a shortened maximum is raised. They are shortened once more here, to what Iceberg keeps of long values.

use std::collections::HashMap;

use iceberg::spec::{DataFileBuilder, Datum, PrimitiveType, Schema, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;

use crate::error::{Error, ErrorKind, Result};

/// Characters of a string, or bytes of a binary, that a bound keeps: Iceberg's default, `truncate(16)`.
const BOUND_LENGTH_MAX: usize = 16;

/// Per field id.
#[derive(Default)]
pub(crate) struct ColumnMetrics {
    column_sizes: HashMap<i32, u64>,
    value_counts: HashMap<i32, u64>,
    /// `None`, here and below: some row group does not tell.
    null_value_counts: HashMap<i32, Option<u64>>,
    lower_bounds: HashMap<i32, Option<Datum>>,
    upper_bounds: HashMap<i32, Option<Datum>>,
}

impl ColumnMetrics {
    /// Collects what the row groups of a file say about columns of `schema`.
    pub(crate) fn of(file: &ParquetMetaData, schema: &Schema) -> Result<Self> {
        let mut metrics = Self::default();
        for column in file.row_groups().iter().flat_map(|group| group.columns()) {
            let info = column.column_descr().self_type().get_basic_info();
            if info.has_id() {
                metrics.add(info.id(), column, schema)?;
            }
        }
        Ok(metrics)
    }

    fn add(&mut self, field_id: i32, column: &ColumnChunkMetaData, schema: &Schema) -> Result<()> {
        *self.column_sizes.entry(field_id).or_default() += column.compressed_size() as u64;
        // Inside lists and maps a count is of elements, and a bound prunes nothing.
        if column.column_descr().max_rep_level() > 0 {
            return Ok(());
        }
        let Some(Type::Primitive(primitive)) = schema.field_by_id(field_id).map(|field| field.field_type.as_ref())
        else {
            return Ok(());
        };
        let value_count = column.num_values() as u64;
        *self.value_counts.entry(field_id).or_default() += value_count;
        let counted = column.statistics().and_then(|statistics| Some((statistics, statistics.null_count_opt()?)));
        let Some((statistics, null_count)) = counted else {
            self.null_value_counts.insert(field_id, None);
            self.lower_bounds.insert(field_id, None);
            self.upper_bounds.insert(field_id, None);
            return Ok(());
        };
        if let Some(total) = self.null_value_counts.entry(field_id).or_insert(Some(0)) {
            *total += null_count;
        }
        if null_count == value_count {
            return Ok(());
        }
        let (low, high) = (datum(primitive, statistics, Side::Low)?, datum(primitive, statistics, Side::High)?);
        merge(&mut self.lower_bounds, field_id, low, |new, old| new < old);
        merge(&mut self.upper_bounds, field_id, high, |new, old| new > old);
        Ok(())
    }

    /// Writes the metrics into the manifest entry of the file.
    pub(crate) fn describe(self, builder: &mut DataFileBuilder) {
        let known = |bounds: HashMap<i32, Option<Datum>>, shorten: fn(Datum) -> Option<Datum>| {
            bounds.into_iter().filter_map(|(id, bound)| Some((id, shorten(bound?)?))).collect::<HashMap<_, _>>()
        };
        builder
            .column_sizes(self.column_sizes)
            .value_counts(self.value_counts)
            .null_value_counts(
                self.null_value_counts
                    .into_iter()
                    .filter_map(|(id, count)| Some((id, count?)))
                    .collect::<HashMap<_, _>>(),
            )
            .lower_bounds(known(self.lower_bounds, shorten_lower))
            .upper_bounds(known(self.upper_bounds, shorten_upper));
    }
}

fn merge(bounds: &mut HashMap<i32, Option<Datum>>, id: i32, new: Option<Datum>, wins: fn(&Datum, &Datum) -> bool) {
    let bound = bounds.entry(id).or_insert_with(|| new.clone());
    *bound = match (bound.take(), new) {
        (Some(old), Some(new)) if wins(&new, &old) => Some(new),
        (Some(old), Some(_)) => Some(old),
        _ => None,
    };
}

#[derive(Clone, Copy)]
enum Side {
    Low,
    High,
}

/// The statistics' value on one side, as Iceberg's binary form of the column's type; `None` where there is none.
fn datum(primitive: &PrimitiveType, statistics: &Statistics, side: Side) -> Result<Option<Datum>> {
    fn pick<'a, T>(min: Option<&'a T>, max: Option<&'a T>, side: Side) -> Option<&'a T> {
        match side {
            Side::Low => min,
            Side::High => max,
        }
    }
    let is_decimal = matches!(primitive, PrimitiveType::Decimal { .. });
    let bytes: Option<Vec<u8>> = match statistics {
        Statistics::Boolean(s) => pick(s.min_opt(), s.max_opt(), side).map(|v| vec![u8::from(*v)]),
        // Iceberg writes numbers in little endian, except the unscaled value of a decimal.
        Statistics::Int32(s) if is_decimal => pick(s.min_opt(), s.max_opt(), side).map(|v| v.to_be_bytes().into()),
        Statistics::Int64(s) if is_decimal => pick(s.min_opt(), s.max_opt(), side).map(|v| v.to_be_bytes().into()),
        Statistics::Int32(s) => pick(s.min_opt(), s.max_opt(), side).map(|v| v.to_le_bytes().into()),
        Statistics::Int64(s) => pick(s.min_opt(), s.max_opt(), side).map(|v| v.to_le_bytes().into()),
        Statistics::Float(s) => pick(s.min_opt(), s.max_opt(), side).map(|v| v.to_le_bytes().into()),
        Statistics::Double(s) => pick(s.min_opt(), s.max_opt(), side).map(|v| v.to_le_bytes().into()),
        Statistics::ByteArray(s) => pick(s.min_opt(), s.max_opt(), side).map(|v| v.data().into()),
        Statistics::FixedLenByteArray(s) => pick(s.min_opt(), s.max_opt(), side).map(|v| v.data().into()),
        Statistics::Int96(_) => None,
    };
    let Some(bytes) = bytes else { return Ok(None) };
    Datum::try_from_bytes(&bytes, primitive.clone()).map(Some).map_err(|error| {
        Error::new(ErrorKind::Unexpected, format!("read the statistics of a {primitive} column")).with_source(error)
    })
}

fn shorten_lower(bound: Datum) -> Option<Datum> {
    use iceberg::spec::PrimitiveLiteral::{Binary, String};
    Some(match (bound.data_type(), bound.literal()) {
        (PrimitiveType::String, String(text)) => {
            Datum::string(text.chars().take(BOUND_LENGTH_MAX).collect::<std::string::String>())
        }
        (PrimitiveType::Binary, Binary(bytes)) => Datum::binary(bytes.iter().copied().take(BOUND_LENGTH_MAX)),
        _ => bound,
    })
}

/// A shortened upper bound must be raised, as it would else lie below the value it was cut from; where nothing can be
/// raised there is no bound.
fn shorten_upper(bound: Datum) -> Option<Datum> {
    use iceberg::spec::PrimitiveLiteral::{Binary, String};
    match (bound.data_type(), bound.literal()) {
        (PrimitiveType::String, String(text)) if text.chars().nth(BOUND_LENGTH_MAX).is_some() => {
            let mut kept: Vec<char> = text.chars().take(BOUND_LENGTH_MAX).collect();
            while let Some(last) = kept.pop() {
                if let Some(next) = next_char(last) {
                    kept.push(next);
                    return Some(Datum::string(kept.into_iter().collect::<std::string::String>()));
                }
            }
            None
        }
        (PrimitiveType::Binary, Binary(bytes)) if bytes.len() > BOUND_LENGTH_MAX => {
            let mut kept = bytes[..BOUND_LENGTH_MAX].to_vec();
            while let Some(last) = kept.pop() {
                if let Some(next) = last.checked_add(1) {
                    kept.push(next);
                    return Some(Datum::binary(kept));
                }
            }
            None
        }
        _ => Some(bound),
    }
}

/// The following code point. Surrogates are not characters; UTF-8 orders as code points do.
fn next_char(c: char) -> Option<char> {
    match c {
        '\u{d7ff}' => Some('\u{e000}'),
        char::MAX => None,
        _ => char::from_u32(u32::from(c) + 1),
    }
}

#[cfg(test)]
mod tests;
