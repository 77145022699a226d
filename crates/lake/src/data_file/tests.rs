use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    ListBuilder, MapBuilder, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray, UInt64Array,
    builder::Int64Builder,
};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use iceberg::spec::{
    Datum, ListType, Literal, MapType, NestedField, PrimitiveType, Struct, StructType, Transform, Type,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::{WrittenFile, WrittenRows, write_data_files};
use crate::error::ErrorKind;
use crate::test_table::{TestTable, column, required};

fn text(id: i32, name: &str) -> NestedField {
    column(id, name, Type::Primitive(PrimitiveType::String))
}

fn rows(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    RecordBatch::try_from_iter(columns.iter().map(|(name, array)| (*name, Arc::clone(array)))).unwrap()
}

fn array<A: Array + 'static>(array: A) -> ArrayRef {
    Arc::new(array)
}

fn longs(ids: std::ops::Range<i64>) -> ArrayRef {
    array(Int64Array::from_iter_values(ids))
}

/// What the parquet crate reads from a file.
pub(crate) fn read_back(file: &WrittenFile) -> RecordBatch {
    let file = std::fs::File::open(file.path.strip_prefix("file://").unwrap()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Reads each row of the batches from the place where it was put.
fn read_places(written: &WrittenRows) -> RecordBatch {
    let files: Vec<RecordBatch> = written.files.iter().map(read_back).collect();
    let mut first_row = vec![0];
    for file in &files {
        first_row.push(first_row.last().unwrap() + file.num_rows() as u64);
    }
    assert_eq!(first_row.last(), Some(&(written.places.len() as u64)), "every row is in one file");
    let all = concat_batches(&files[0].schema(), &files).unwrap();
    let places: UInt64Array = written.places.iter().map(|(file, row)| Some(first_row[*file as usize] + row)).collect();
    take_record_batch(&all, &places).unwrap()
}

/// Compares values whatever Arrow type they are held in, and whatever nested fields are called there.
fn assert_same_values(given: &RecordBatch, read: &RecordBatch) {
    assert_eq!(given.num_columns(), read.num_columns());
    for (field, column) in read.schema().fields().iter().zip(read.columns()) {
        let given = given.column_by_name(field.name()).unwrap();
        assert_eq!(&cast(given, column.data_type()).unwrap(), column, "{}", field.name());
    }
}

#[tokio::test]
async fn rows_are_where_their_places_say() {
    let table = TestTable::new(vec![required(1, "id", PrimitiveType::Long), text(2, "name")]);
    let batch = |ids: std::ops::Range<i64>| {
        let names: Vec<String> = ids.clone().map(|id| format!("name {id}")).collect();
        rows(&[("id", longs(ids)), ("name", array(StringArray::from(names)))])
    };
    let written = write_data_files(&table.table, "one", &[batch(0..10), batch(0..0), batch(10..25)]).await.unwrap();
    assert_eq!(written.files.len(), 1);
    assert_eq!(written.places, (0..25).map(|row| (0, row)).collect::<Vec<_>>());
    let file = &written.files[0];
    assert_eq!(file.path, format!("{}/data/one-00000.parquet", table.table.metadata().location()));
    let described = &file.data_file;
    assert_eq!((described.record_count(), described.file_path()), (25, file.path.as_str()));
    assert_eq!((&described.lower_bounds()[&1], &described.upper_bounds()[&1]), (&Datum::long(0), &Datum::long(24)));
    assert_eq!((described.value_counts()[&2], described.null_value_counts()[&2]), (25, 0));
    assert_same_values(&batch(0..25), &read_places(&written));
}

#[tokio::test]
async fn no_rows_make_no_file() {
    let table = TestTable::new(vec![required(1, "id", PrimitiveType::Long)]);
    let written = write_data_files(&table.table, "none", &[rows(&[("id", longs(0..0))])]).await.unwrap();
    assert!(written.files.is_empty() && written.places.is_empty());
}

#[tokio::test]
async fn a_full_file_is_followed_by_another() {
    let mut table = TestTable::new(vec![required(1, "id", PrimitiveType::Long)]);
    table.set_property("write.target-file-size-bytes", "100000");
    // Nothing of it compresses.
    let scattered = |ids: std::ops::Range<i64>| {
        let mixed = ids.map(|id| xxhash_rust::xxh3::xxh3_64(&id.to_le_bytes()) as i64);
        rows(&[("id", array(Int64Array::from_iter_values(mixed)))])
    };
    let batches: Vec<RecordBatch> = (0..10).map(|n| scattered(n * 5_000..(n + 1) * 5_000)).collect();
    let written = write_data_files(&table.table, "many", &batches).await.unwrap();
    assert!((3..=5).contains(&written.files.len()), "{} files", written.files.len());
    assert_same_values(&scattered(0..50_000), &read_places(&written));
}

#[tokio::test]
async fn a_missing_optional_column_becomes_null() {
    let table = TestTable::new(vec![required(1, "id", PrimitiveType::Long), text(2, "name")]);
    let written = write_data_files(&table.table, "null", &[rows(&[("id", longs(0..3))])]).await.unwrap();
    assert_eq!(read_places(&written).column(1).null_count(), 3);
    assert_eq!(written.files[0].data_file.null_value_counts()[&2], 3);
    assert!(!written.files[0].data_file.lower_bounds().contains_key(&2));
}

#[tokio::test]
async fn rows_that_the_table_cannot_hold_are_refused() {
    let table = TestTable::new(vec![required(1, "id", PrimitiveType::Int), text(2, "name")]);
    let cases = [
        ("an unknown column", rows(&[("id", longs(0..1)), ("other", longs(0..1))])),
        ("no required column", rows(&[("name", array(StringArray::from(vec!["a"])))])),
        ("null in a required column", rows(&[("id", array(Int32Array::from(vec![None, Some(1)])))])),
        ("a number beyond int", rows(&[("id", longs(1 << 40..(1 << 40) + 1))])),
    ];
    for (case, batch) in cases {
        let error = write_data_files(&table.table, "refused", &[batch]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{case}: {error:?}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_stored_is_an_error_and_not_a_panic() {
    let mut table = TestTable::new(vec![required(1, "id", PrimitiveType::Long)]);
    let in_the_way = table.dir.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    table.set_property("write.data.path", &format!("file://{}/data", in_the_way.display()));
    let error = write_data_files(&table.table, "lost", &[rows(&[("id", longs(0..3))])]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient);
}

/// One row of the table with a column of every kind.
#[derive(Clone, Debug)]
struct Item {
    id: i64,
    text: Option<String>,
    bytes: Option<Vec<u8>>,
    flag: Option<bool>,
    small: Option<i32>,
    double: Option<f64>,
    price: Option<i32>,
    exact: Option<i128>,
    day: Option<i32>,
    time: Option<i64>,
    list: Option<Vec<Option<String>>>,
    nested: Option<(Option<i64>, Option<String>)>,
    map: Option<Vec<(String, Option<i64>)>>,
}

fn item() -> impl Strategy<Value = Item> {
    let opt_text = || prop::option::of("[a-cä𝄞]{0,20}");
    let scalars = (
        any::<i64>(),
        opt_text(),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
        any::<Option<bool>>(),
        any::<Option<i32>>(),
        any::<Option<f64>>(),
        prop::option::of(-99_999_999..=99_999_999_i32),
        prop::option::of(-(10_i128.pow(38) - 1)..10_i128.pow(38)),
    );
    let rest = (
        prop::option::of(-100_000..100_000_i32),
        prop::option::of(-4_000_000_000_000_000..4_000_000_000_000_000_i64),
        prop::option::of(prop::collection::vec(opt_text(), 0..4)),
        prop::option::of((any::<Option<i64>>(), opt_text())),
        prop::option::of(prop::collection::btree_map("[a-d]{1,3}", any::<Option<i64>>(), 0..4)),
    );
    (scalars, rest).prop_map(
        |((id, text, bytes, flag, small, double, price, exact), (day, time, list, nested, map))| Item {
            id,
            text,
            bytes,
            flag,
            small,
            double,
            price,
            exact,
            day,
            time,
            list,
            nested,
            map: map.map(|map| map.into_iter().collect()),
        },
    )
}

fn item_columns() -> Vec<NestedField> {
    let primitive = |id, name, data_type| column(id, name, Type::Primitive(data_type));
    let long = Type::Primitive(PrimitiveType::Long);
    let string = Type::Primitive(PrimitiveType::String);
    let nested = StructType::new(vec![column(20, "a", long.clone()).into(), column(21, "b", string.clone()).into()]);
    vec![
        required(1, "id", PrimitiveType::Long),
        primitive(2, "text", PrimitiveType::String),
        primitive(3, "bytes", PrimitiveType::Binary),
        primitive(4, "flag", PrimitiveType::Boolean),
        primitive(5, "small", PrimitiveType::Int),
        primitive(6, "double", PrimitiveType::Double),
        primitive(7, "price", PrimitiveType::Decimal { precision: 8, scale: 2 }),
        primitive(8, "exact", PrimitiveType::Decimal { precision: 38, scale: 10 }),
        primitive(9, "day", PrimitiveType::Date),
        primitive(10, "time", PrimitiveType::Timestamptz),
        column(11, "list", Type::List(ListType::new(NestedField::list_element(22, string.clone(), false).into()))),
        column(12, "nested", Type::Struct(nested)),
        column(
            13,
            "map",
            Type::Map(MapType::new(
                NestedField::map_key_element(23, string).into(),
                NestedField::map_value_element(24, long, false).into(),
            )),
        ),
    ]
}

fn item_batch(items: &[Item]) -> RecordBatch {
    let mut list = ListBuilder::new(StringBuilder::new());
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for item in items {
        list.append_option(item.list.clone());
        for (key, value) in item.map.iter().flatten() {
            map.keys().append_value(key);
            map.values().append_option(*value);
        }
        map.append(item.map.is_some()).unwrap();
    }
    let nested = StructArray::try_new(
        vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)].into(),
        vec![
            array(items.iter().map(|item| item.nested.as_ref().and_then(|n| n.0)).collect::<Int64Array>()),
            array(items.iter().map(|item| item.nested.as_ref().and_then(|n| n.1.clone())).collect::<StringArray>()),
        ],
        Some(items.iter().map(|item| item.nested.is_some()).collect::<Vec<_>>().into()),
    );
    let price: Decimal128Array = items.iter().map(|item| item.price.map(i128::from)).collect();
    let exact: Decimal128Array = items.iter().map(|item| item.exact).collect();
    let time: TimestampMicrosecondArray = items.iter().map(|item| item.time).collect();
    rows(&[
        ("id", array(items.iter().map(|item| Some(item.id)).collect::<Int64Array>())),
        ("text", array(items.iter().map(|item| item.text.clone()).collect::<StringArray>())),
        ("bytes", array(items.iter().map(|item| item.bytes.as_deref()).collect::<BinaryArray>())),
        ("flag", array(items.iter().map(|item| item.flag).collect::<BooleanArray>())),
        ("small", array(items.iter().map(|item| item.small).collect::<Int32Array>())),
        ("double", array(items.iter().map(|item| item.double).collect::<Float64Array>())),
        ("price", array(price.with_precision_and_scale(8, 2).unwrap())),
        ("exact", array(exact.with_precision_and_scale(38, 10).unwrap())),
        ("day", array(items.iter().map(|item| item.day).collect::<Date32Array>())),
        ("time", array(time.with_timezone("UTC"))),
        ("list", array(list.finish())),
        ("nested", array(nested.unwrap())),
        ("map", array(map.finish())),
    ])
}

/// The same rows with their text and bytes in another Arrow type.
fn reshaped(batch: &RecordBatch, shape: usize) -> RecordBatch {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let (text, bytes) = [
        (DataType::Utf8, DataType::Binary),
        (dictionary, DataType::LargeBinary),
        (DataType::Utf8View, DataType::BinaryView),
    ][shape]
        .clone();
    let reshaped = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| {
        let data_type = match column.data_type() {
            DataType::Utf8 => &text,
            DataType::Binary => &bytes,
            other => other,
        };
        (field.name().clone(), cast(column, data_type).unwrap())
    });
    RecordBatch::try_from_iter(reshaped.collect::<Vec<_>>()).unwrap()
}

fn partition() -> impl Strategy<Value = Vec<(i32, Transform)>> {
    let field = prop_oneof![
        prop::sample::select(vec![2, 4, 5, 7, 8, 9]).prop_map(|id| (id, Transform::Identity)),
        prop::sample::select(vec![1, 2, 3, 7, 8, 9, 10]).prop_map(|id| (id, Transform::Bucket(3))),
        prop::sample::select(vec![1, 2, 7, 8]).prop_map(|id| (id, Transform::Truncate(3))),
        prop::sample::select(vec![Transform::Year, Transform::Month, Transform::Day, Transform::Hour])
            .prop_map(|transform| (10, transform)),
    ];
    prop::collection::btree_map(Just(()), field, 0..=1).prop_map(|fields| fields.into_values().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_every_kind_come_back_from_where_they_were_put(
        batches in prop::collection::vec((prop::collection::vec(item(), 1..20), 0..3_usize), 1..4),
        partition in partition(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut table = TestTable::partitioned(item_columns(), &partition);
            let all: Vec<Item> = batches.iter().flat_map(|(items, _)| items.clone()).collect();
            let batches: Vec<RecordBatch> =
                batches.iter().map(|(items, shape)| reshaped(&item_batch(items), *shape)).collect();
            let written = write_data_files(&table.table, "all", &batches).await.unwrap();
            assert_same_values(&item_batch(&all), &read_places(&written));

            // iceberg's own reader finds the same rows, by the ids in the files.
            table.commit(&written.files, &[]).await;
            let scanned: Vec<RecordBatch> =
                table.table.scan().build().unwrap().to_arrow().await.unwrap().try_collect().await.unwrap();
            let scanned = concat_batches(&scanned[0].schema(), &scanned).unwrap();
            let by_file: Vec<RecordBatch> = written.files.iter().map(read_back).collect();
            let by_file = concat_batches(&by_file[0].schema(), &by_file).unwrap();
            assert_eq!(sorted_rows(&scanned), sorted_rows(&by_file));
        });
    }
}

/// Each row as text; files may be scanned in any order.
fn sorted_rows(batch: &RecordBatch) -> Vec<String> {
    let options = arrow::util::display::FormatOptions::default().with_null("null");
    // Instants print with their zone's name, which readers spell in different ways.
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Timestamp(_, _) => cast(column, &DataType::Int64).unwrap(),
        _ => Arc::clone(column),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let printers: Vec<_> =
        columns.iter().map(|c| arrow::util::display::ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
    let row = |row| printers.iter().map(|p| p.value(row).to_string()).collect::<Vec<_>>().join("|");
    let mut rows: Vec<String> = (0..batch.num_rows()).map(row).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn each_partition_gets_its_own_file() {
    let columns = vec![text(1, "city"), column(2, "at", Type::Primitive(PrimitiveType::Timestamp))];
    let table = TestTable::partitioned(columns, &[(1, Transform::Identity), (2, Transform::Day)]);
    const DAY: i64 = 86_400_000_000;
    let cities: arrow::array::DictionaryArray<Int32Type> =
        [Some("Rome"), None, Some("Rome"), Some("a/b =%"), Some("Rome")].into_iter().collect();
    let times = TimestampMicrosecondArray::from(vec![1, DAY + 1, DAY - 1, -1, DAY]);
    let batch = rows(&[("city", array(cities)), ("at", array(times))]);
    let written = write_data_files(&table.table, "p", &[batch]).await.unwrap();
    let partitions: Vec<Struct> = written.files.iter().map(|file| file.data_file.partition().clone()).collect();
    let expected = [(Some("Rome"), 0), (None, 1), (Some("a/b =%"), -1), (Some("Rome"), 1)]
        .map(|(city, day)| Struct::from_iter([city.map(Literal::string), Some(Literal::date(day))]));
    assert_eq!(partitions, expected);
    assert_eq!(written.places, [(0, 0), (1, 0), (0, 1), (2, 0), (3, 0)]);
}
