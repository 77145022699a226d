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
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&arrow), Some(WriterProperties::default())).unwrap();
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
