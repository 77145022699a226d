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
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray,
    };
    use arrow::record_batch::RecordBatch;
    use iceberg::spec::{DataContentType, DataFile, DataFileFormat, NestedField};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use proptest::prelude::*;

    use super::*;

    /// Writes each array as a row group and gives what the file says of the column.
    fn describe(data_type: PrimitiveType, row_groups: &[ArrayRef]) -> DataFile {
        let schema = Schema::builder()
            .with_fields([NestedField::optional(1, "c", Type::Primitive(data_type)).into()])
            .build()
            .unwrap();
        let arrow = iceberg::arrow::schema_to_arrow_schema(&schema).unwrap();
        let fields = vec![arrow.field(0).clone().with_data_type(row_groups[0].data_type().clone())];
        let arrow = Arc::new(arrow::datatypes::Schema::new(fields));
        let mut writer =
            ArrowWriter::try_new(Vec::new(), Arc::clone(&arrow), Some(WriterProperties::default())).unwrap();
        for group in row_groups {
            writer.write(&RecordBatch::try_new(Arc::clone(&arrow), vec![Arc::clone(group)]).unwrap()).unwrap();
            writer.flush().unwrap();
        }
        let file = writer.close().unwrap();
        let mut builder = DataFileBuilder::default();
        builder
            .content(DataContentType::Data)
            .file_path("f".to_owned())
            .file_format(DataFileFormat::Parquet)
            .record_count(1)
            .file_size_in_bytes(1);
        ColumnMetrics::of(&file, &schema).unwrap().describe(&mut builder);
        builder.build().unwrap()
    }

    fn text(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn bounds(file: &DataFile) -> (Option<Datum>, Option<Datum>) {
        (file.lower_bounds().get(&1).cloned(), file.upper_bounds().get(&1).cloned())
    }

    #[test]
    fn a_long_string_in_one_row_group_is_not_lost_from_the_bounds() {
        let long = "z".repeat(100);
        let file = describe(PrimitiveType::String, &[text(&[&long]), text(&["b"]), text(&["c"])]);
        assert_eq!(bounds(&file), (Some(Datum::string("b")), Some(Datum::string("zzzzzzzzzzzzzzz{"))));
    }

    #[test]
    fn an_upper_bound_that_cannot_be_raised_is_left_out() {
        let highest = char::MAX.to_string().repeat(20);
        let file = describe(PrimitiveType::String, &[text(&["a", &highest])]);
        assert_eq!(bounds(&file), (Some(Datum::string("a")), None));
        let highest: ArrayRef = Arc::new(BinaryArray::from(vec![[0xff; 20].as_slice()]));
        let file = describe(PrimitiveType::Binary, &[highest]);
        assert_eq!(bounds(&file), (Some(Datum::binary([0xff; 16])), None));
    }

    #[test]
    fn a_row_group_of_nulls_says_nothing_about_the_bounds() {
        let nulls: ArrayRef = Arc::new(StringArray::new_null(3));
        let file = describe(PrimitiveType::String, &[nulls, text(&["b"])]);
        assert_eq!(bounds(&file), (Some(Datum::string("b")), Some(Datum::string("b"))));
        assert_eq!((file.value_counts()[&1], file.null_value_counts()[&1]), (4, 3));
    }

    #[test]
    fn a_column_of_not_a_number_has_no_bounds() {
        let nan: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN]));
        let one: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
        assert_eq!(bounds(&describe(PrimitiveType::Double, &[one, nan])), (None, None));
    }

    #[test]
    fn the_character_after_the_last_before_the_surrogates_is_the_first_behind_them() {
        let value = format!("{}!", "\u{d7ff}".repeat(16));
        let file = describe(PrimitiveType::String, &[text(&[&value])]);
        let raised = format!("{}\u{e000}", "\u{d7ff}".repeat(15));
        assert_eq!(bounds(&file).1, Some(Datum::string(raised)));
    }

    /// Every value lies between the bounds, and a value of at most 16 characters is its own bound.
    fn check<T: Clone>(
        data_type: PrimitiveType,
        row_groups: &[Vec<Option<T>>],
        to_array: impl Fn(&[Option<T>]) -> ArrayRef,
        to_datum: impl Fn(T) -> Datum,
    ) {
        let arrays: Vec<ArrayRef> = row_groups.iter().map(|group| to_array(group)).collect();
        let file = describe(data_type, &arrays);
        let values: Vec<Datum> = row_groups.iter().flatten().flatten().cloned().map(to_datum).collect();
        let (lower, upper) = bounds(&file);
        for value in &values {
            assert!(lower.as_ref().is_none_or(|lower| lower <= value), "{lower:?} {value:?}");
            assert!(upper.as_ref().is_none_or(|upper| upper >= value), "{upper:?} {value:?}");
        }
        assert_eq!(lower.is_some(), !values.is_empty());
        // What goes into the manifest is what comes out of it.
        for bound in lower.into_iter().chain(upper) {
            let bytes = bound.to_bytes().unwrap();
            assert_eq!(Datum::try_from_bytes(&bytes, bound.data_type().clone()).unwrap(), bound);
        }
    }

    fn groups<T: std::fmt::Debug + Clone>(
        value: impl Strategy<Value = T> + Clone,
    ) -> impl Strategy<Value = Vec<Vec<Option<T>>>> {
        prop::collection::vec(prop::collection::vec(prop::option::weighted(0.8, value), 1..5), 1..4)
    }

    fn number_datum(unscaled: i128, data_type: &PrimitiveType) -> Datum {
        Datum::try_from_bytes(&unscaled.to_be_bytes(), data_type.clone()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn text_lies_within_its_bounds(groups in groups("[az\u{7f}\u{7ff}\u{d7ff}\u{ffff}\u{10ffff}]{0,90}")) {
            check(PrimitiveType::String, &groups, |v| Arc::new(StringArray::from_iter(v)), Datum::string);
        }

        #[test]
        fn bytes_lie_within_their_bounds(
            groups in groups(prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0), any::<u8>()], 0..90)),
        ) {
            check(PrimitiveType::Binary, &groups, |v| Arc::new(BinaryArray::from_iter(v)), Datum::binary);
        }

        #[test]
        fn numbers_lie_within_their_bounds(groups in groups(any::<i64>())) {
            check(PrimitiveType::Long, &groups, |v| Arc::new(Int64Array::from(v.to_vec())), Datum::long);
        }

        #[test]
        fn doubles_lie_within_their_bounds(groups in groups(any::<f64>().prop_filter("NaN", |v| !v.is_nan()))) {
            check(PrimitiveType::Double, &groups, |v| Arc::new(Float64Array::from(v.to_vec())), Datum::double);
        }

        #[test]
        fn days_and_flags_lie_within_their_bounds(days in groups(any::<i32>()), flags in groups(any::<bool>())) {
            check(PrimitiveType::Date, &days, |v| Arc::new(Date32Array::from(v.to_vec())), Datum::date);
            check(PrimitiveType::Boolean, &flags, |v| Arc::new(BooleanArray::from(v.to_vec())), Datum::bool);
        }

        #[test]
        fn decimals_lie_within_their_bounds(
            precision in 1..=38_u8,
            groups in groups((any::<i128>(), 0..=38_u32)),
        ) {
            let limit = 10_i128.pow(u32::from(precision));
            let groups: Vec<Vec<Option<i128>>> = groups
                .into_iter()
                .map(|g| g.into_iter().map(|v| v.map(|(v, cut)| v / 10_i128.pow(cut) % limit)).collect())
                .collect();
            let data_type = PrimitiveType::Decimal { precision: u32::from(precision), scale: 1 };
            let to_array = |v: &[Option<i128>]| -> ArrayRef {
                Arc::new(Decimal128Array::from(v.to_vec()).with_precision_and_scale(precision, 1).unwrap())
            };
            check(data_type.clone(), &groups, to_array, |v| number_datum(v, &data_type));
        }
    }
}
