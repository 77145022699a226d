use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::array_value_to_string;
use bytes::Bytes;

use crate::change::{Operation, Position, RawRecord, SequenceNumber, ShardId};
use crate::decode::{Decoded, Decoder};
use crate::shape::{Mode, TableShape};

/// A table that a user made: nothing but its columns is known.
pub(crate) fn table(columns: &[(&str, DataType)], keys: &[&str]) -> TableShape {
    let fields: Vec<Field> =
        columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), !keys.contains(name))).collect();
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    TableShape::from_table(Arc::new(Schema::new(fields)), keys, Mode::Mirror, false)
}

/// The same table, made by us.
pub(crate) fn ours(columns: &[(&str, DataType)], keys: &[&str]) -> TableShape {
    TableShape { evolve: true, ..table(columns, keys) }
}

pub(crate) fn records(json: &[impl AsRef<str>]) -> Vec<RawRecord> {
    let record = |(index, json): (usize, &_)| RawRecord {
        position: Position {
            shard: ShardId::new("shard"),
            sequence_number: SequenceNumber::parse(&(index + 1).to_string()).unwrap(),
            part: 0,
        },
        json: Bytes::copy_from_slice(AsRef::<str>::as_ref(json).as_bytes()),
    };
    json.iter().enumerate().map(record).collect()
}

/// An INSERT of the item `{"id": {"S": "k"}, …attributes}`.
pub(crate) fn insert(attributes: &str) -> String {
    let comma = if attributes.is_empty() { "" } else { "," };
    format!(
        r#"{{"eventName":"INSERT","dynamodb":{{"Keys":{{"id":{{"S":"k"}}}},"NewImage":{{"id":{{"S":"k"}}{comma}{attributes}}}}}}}"#
    )
}

pub(crate) fn row(decoded: &Decoded, row: usize) -> Vec<String> {
    let value = |column: &Arc<dyn Array>| match column.is_null(row) {
        true => "null".to_owned(),
        false => array_value_to_string(column, row).unwrap(),
    };
    decoded.changes.rows.columns().iter().map(value).collect()
}

fn decode(shape: &TableShape, json: &[impl AsRef<str>]) -> Decoded {
    Decoder::new(shape).unwrap().decode(&records(json))
}

/// Decodes an item with one attribute `a` into a column `a` of a type.
fn check(shape: &TableShape, cases: &[(&str, Result<&str, &str>)]) {
    for (value, expected) in cases {
        let decoded = decode(shape, &[insert(&format!(r#""a":{value}"#))]);
        match expected {
            Ok(text) => {
                assert_eq!(decoded.rejected, [], "{value}");
                assert_eq!(row(&decoded, 0), ["k", text], "{value}");
            }
            Err(code) => {
                let [letter] = &decoded.rejected[..] else { panic!("{value} was not rejected") };
                assert_eq!(letter.code, *code, "{value}: {}", letter.reason);
                assert!(letter.reason.contains("`a`"), "{}", letter.reason);
                assert_eq!(decoded.changes.rows.num_rows(), 0);
            }
        }
    }
}

fn user_column(data_type: DataType) -> TableShape {
    table(&[("id", DataType::Utf8), ("a", data_type)], &["id"])
}

#[test]
fn numbers_go_into_the_column_exactly_or_not_at_all() {
    check(
        &user_column(DataType::Int64),
        &[
            (r#"{"N":"9223372036854775807"}"#, Ok("9223372036854775807")),
            (r#"{"N":"1.50E1"}"#, Ok("15")),
            (r#"{"NULL":true}"#, Ok("null")),
            (r#"{"N":"9223372036854775808"}"#, Err("DYN405")),
            (r#"{"N":"1.5"}"#, Err("DYN405")),
            (r#"{"S":"1"}"#, Err("DYN405")),
            (r#"{"N":"one"}"#, Err("DYN410")),
            (r#"{"N":1}"#, Err("DYN410")),
            (r#"{"N":"1","S":"1"}"#, Err("DYN410")),
            (r#""1""#, Err("DYN410")),
            (&format!(r#"{{"N":"{}"}}"#, "1".repeat(39)), Err("DYN404")),
        ],
    );
    check(
        &user_column(DataType::Decimal128(12, 2)),
        &[
            (r#"{"N":"123.4"}"#, Ok("123.40")),
            (r#"{"N":"-9999999999.99"}"#, Ok("-9999999999.99")),
            (r#"{"N":"0.001"}"#, Err("DYN405")),
            (r#"{"N":"10000000000"}"#, Err("DYN405")),
        ],
    );
    check(&user_column(DataType::Int32), &[(r#"{"N":"-7"}"#, Ok("-7")), (r#"{"N":"2147483648"}"#, Err("DYN405"))]);
    check(&user_column(DataType::Float64), &[(r#"{"N":"0.1"}"#, Ok("0.1"))]);
}

#[test]
fn text_columns_of_a_user_take_text_and_ours_take_every_value() {
    check(
        &user_column(DataType::Utf8),
        &[
            (r#"{"S":""}"#, Ok("")),
            (r#"{"S":"a\"\u00e9\n"}"#, Ok("a\"é\n")),
            (r#"{"N":"1"}"#, Err("DYN405")),
            (r#"{"M":{}}"#, Err("DYN405")),
        ],
    );
    check(
        &ours(&[("id", DataType::Utf8), ("a", DataType::Utf8)], &["id"]),
        &[
            (r#"{"N":"1.50E1"}"#, Ok("15")),
            (r#"{"BOOL":true}"#, Ok("true")),
            (r#"{"B":"AAE="}"#, Ok("AAE=")),
            (r#"{"B":"A"}"#, Err("DYN410")),
            (r#"{"NS":["10","9","1E1"]}"#, Ok("[9,10]")),
            (
                r#"{"M":{"b":{"L":[{"N":"1.0"},{"NULL":true},{"S":"\""}]},"a":{"BOOL":false},"":{"B":"AAE="}}}"#,
                Ok(r#"{"":"AAE=","a":false,"b":[1,null,"\""]}"#),
            ),
        ],
    );
}

#[test]
fn other_scalars_go_into_columns_of_their_type() {
    check(&user_column(DataType::Boolean), &[(r#"{"BOOL":true}"#, Ok("true")), (r#"{"S":"true"}"#, Err("DYN405"))]);
    check(
        &user_column(DataType::Date32),
        &[(r#"{"S":"2025-11-22"}"#, Ok("2025-11-22")), (r#"{"S":"22.11.2025"}"#, Err("DYN405"))],
    );
    check(
        &user_column(DataType::LargeBinary),
        &[(r#"{"B":"AAECAw=="}"#, Ok("00010203")), (r#"{"B":""}"#, Ok("")), (r#"{"B":"?"}"#, Err("DYN410"))],
    );
    check(
        &user_column(DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))),
        &[
            (r#"{"S":"2025-11-22T01:00:00+01:00"}"#, Ok("2025-11-22T00:00:00Z")),
            (r#"{"N":"1763769600"}"#, Err("DYN405")),
        ],
    );
}

#[test]
fn a_record_that_is_no_change_of_this_table_is_rejected_with_its_reason() {
    let shape = user_column(DataType::Int64);
    let cases = [
        ("", "DYN401"),
        ("{", "DYN401"),
        ("[]", "DYN402"),
        ("{}", "DYN402"),
        (r#"{"eventName":"UPSERT","dynamodb":{"Keys":{"id":{"S":"k"}}}}"#, "DYN402"),
        (r#"{"eventName":"INSERT"}"#, "DYN402"),
        (r#"{"eventName":"REMOVE","dynamodb":{"NewImage":{}}}"#, "DYN402"),
        (r#"{"eventName":"REMOVE","dynamodb":{"Keys":{}}}"#, "DYN403"),
        (r#"{"eventName":"REMOVE","dynamodb":{"Keys":{"other":{"S":"k"}}}}"#, "DYN403"),
        (r#"{"eventName":"REMOVE","dynamodb":{"Keys":{"id":{"S":"k"},"id":{"S":"k"}}}}"#, "DYN403"),
        (r#"{"eventName":"REMOVE","dynamodb":{"Keys":{"id":{"N":"1"}}}}"#, "DYN403"),
        (r#"{"eventName":"REMOVE","dynamodb":{"Keys":{"id":{"NULL":true}}}}"#, "DYN403"),
        (r#"{"eventName":"INSERT","dynamodb":{"Keys":{"id":{"S":"k"}}}}"#, "DYN408"),
        (r#"{"eventName":"MODIFY","dynamodb":{"Keys":{"id":{"S":"k"}},"OldImage":{"id":{"S":"k"}}}}"#, "DYN408"),
    ];
    for (json, code) in cases {
        let decoded = decode(&shape, &[json]);
        assert_eq!(decoded.rejected.len(), 1, "{json}");
        assert_eq!(decoded.rejected[0].code, code, "{json}: {}", decoded.rejected[0].reason);
    }
}

#[test]
fn a_rejected_record_leaves_nothing_behind_and_the_others_go_on() {
    let shape = table(&[("id", DataType::Utf8), ("a", DataType::Utf8), ("b", DataType::Int64)], &["id"]);
    let decoded = decode(
        &shape,
        &[
            insert(r#""a":{"S":"first"},"b":{"N":"1"}"#),
            insert(r#""a":{"S":"half a row"},"b":{"N":"secret"}"#),
            insert(r#""b":{"N":"3"}"#),
        ],
    );
    assert_eq!(row(&decoded, 0), ["k", "first", "1"]);
    assert_eq!(row(&decoded, 1), ["k", "null", "3"]);
    assert_eq!(decoded.changes.positions.len(), 2);
    assert_eq!(decoded.rejected.len(), 1);
    assert_eq!(decoded.rejected[0].position().to_string(), "shard/2");
    assert!(!decoded.rejected[0].reason.contains("secret"), "a reason never holds a value");
}

#[test]
fn a_removed_item_has_its_keys_only_and_an_attribute_without_a_column_is_left_out() {
    let shape = user_column(DataType::Int64);
    let remove =
        r#"{"eventName":"REMOVE","dynamodb":{"Keys":{"id":{"S":"k"}},"OldImage":{"id":{"S":"k"},"a":{"N":"1"}}}}"#;
    let decoded = decode(&shape, &[remove, &insert(r#""other":{"S":"x"}"#)]);
    assert_eq!(decoded.changes.operations, [Operation::Remove, Operation::Insert]);
    assert_eq!(row(&decoded, 0), ["k", "null"]);
    assert_eq!(row(&decoded, 1), ["k", "null"]);
}

#[test]
fn attribute_names_match_in_any_case_but_only_one_may_fill_a_column() {
    let shape = table(&[("id", DataType::Utf8), ("customerid", DataType::Utf8)], &["id"]);
    let decoded = decode(
        &shape,
        &[insert(r#""customerId":{"S":"c"}"#), insert(r#""customerId":{"S":"c"},"CUSTOMERID":{"S":"d"}"#)],
    );
    assert_eq!(row(&decoded, 0), ["k", "c"]);
    assert_eq!(decoded.rejected[0].code, "DYN407");
}

#[test]
fn a_changelog_row_has_operation_position_and_time_in_any_of_its_forms() {
    let columns = [
        ("id", DataType::Utf8),
        ("_op", DataType::Utf8),
        ("_position", DataType::Utf8),
        ("_time", DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))),
    ];
    let shape = TableShape { mode: Mode::Changelog, ..table(&columns, &["id"]) };
    let at = |time: &str| {
        format!(
            r#"{{"eventName":"REMOVE","dynamodb":{{"Keys":{{"id":{{"S":"k"}}}}{time}}},"tableName":"t","recordFormat":"application/json"}}"#
        )
    };
    let cases = [
        (r#","ApproximateCreationDateTime":1763769600"#, "2025-11-22T00:00:00Z"),
        (r#","ApproximateCreationDateTime":1763769600.5"#, "2025-11-22T00:00:00.500Z"),
        (r#","ApproximateCreationDateTime":1763769600123"#, "2025-11-22T00:00:00.123Z"),
        (r#","ApproximateCreationDateTime":1763769600123456"#, "2025-11-22T00:00:00.123456Z"),
        (
            r#","ApproximateCreationDateTime":5,"ApproximateCreationDateTimePrecision":"MICROSECOND""#,
            "1970-01-01T00:00:00.000005Z",
        ),
        (r#","ApproximateCreationDateTime":"2025-11-22T00:00:00+00:00""#, "2025-11-22T00:00:00Z"),
        ("", "null"),
    ];
    for (time, expected) in cases {
        let decoded = decode(&shape, &[at(time)]);
        assert_eq!(row(&decoded, 0), ["k", "REMOVE", "shard/1", expected], "{time}");
    }
    let decoded = decode(&shape, &[at(r#","ApproximateCreationDateTime":"yesterday""#)]);
    assert_eq!(decoded.rejected[0].code, "DYN402");
}

#[test]
fn a_table_that_no_item_can_fill_is_misconfigured() {
    let both_required = table(&[("id", DataType::Utf8), ("a", DataType::Utf8)], &["id", "a"]);
    let changelog = TableShape { mode: Mode::Changelog, key_attributes: vec!["id".into()], ..both_required };
    for (shape, expected) in [
        (user_column(DataType::UInt8), "fill column `a`: no attribute has type UInt8"),
        (table(&[("a", DataType::Utf8)], &["id"]), "find a column for each key attribute of `id`"),
        (table(&[("id", DataType::Float64)], &["id"]), "identify items by column `id` of type Float64"),
        (changelog, "keep removed items, which have keys only, with `a` required"),
    ] {
        assert_eq!(Decoder::new(&shape).err().unwrap().to_string(), expected);
    }
}

#[test]
fn an_attribute_without_a_column_asks_for_one_where_the_table_is_ours() {
    let shape = ours(&[("id", DataType::Utf8), ("name", DataType::Utf8)], &["id"]);
    let decoded = decode(
        &shape,
        &[
            insert(r#""Age":{"N":"1"},"empty":{"NULL":true},"_x":{"BOOL":true}"#),
            insert(r#""Age":{"N":"1.5"},"tags":{"SS":["b","a"]},"nested":{"M":{"a":{"N":"1"}}},"list":{"L":[]}"#),
            insert(r#""rejected":{"S":"x"},"bad":{"N":"x"}"#),
        ],
    );
    let columns: Vec<_> = decoded.new_columns.iter().map(|column| (&*column.attribute, &*column.column)).collect();
    assert_eq!(columns, [("Age", "age"), ("_x", "a_x"), ("tags", "tags"), ("nested", "nested"), ("list", "list")]);
    let types: Vec<_> = decoded.new_columns.iter().map(|column| column.data_type.clone()).collect();
    let tags = DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)));
    assert_eq!(types, [DataType::Decimal128(38, 1), DataType::Boolean, tags, DataType::Utf8, DataType::Utf8]);
    assert_eq!(decoded.rejected[0].code, "DYN410");

    let fixed = TableShape { evolve: false, ..shape };
    assert_eq!(decode(&fixed, &[insert(r#""Age":{"N":"1"}"#)]).new_columns, []);
}

#[test]
fn a_second_spelling_of_a_name_gets_a_column_of_its_own() {
    let documented = crate::shape::described("name", "name", DataType::Utf8, true);
    let id = crate::shape::described("id", "id", DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![id, documented]));
    let shape = TableShape::from_table(schema, vec!["id".into()], Mode::Mirror, true);
    let decoded = decode(&shape, &[insert(r#""Name":{"S":"x"},"name":{"S":"y"},"NAME":{"S":"z"}"#)]);
    assert_eq!(row(&decoded, 0), ["k", "y"]);
    let columns: Vec<_> = decoded.new_columns.iter().map(|column| &*column.column).collect();
    assert_eq!(columns, ["name_dcd1d5", "name_eaa589"]);
}

#[test]
fn a_table_is_not_widened_without_end() {
    let attributes: Vec<String> = (0..1200).map(|index| format!(r#""a{index}":{{"N":"1"}}"#)).collect();
    let shape = ours(&[("id", DataType::Utf8)], &["id"]);
    let decoded = decode(&shape, &[insert(&attributes.join(",")), insert(&attributes[0])]);
    assert_eq!(decoded.rejected[0].code, "DYN411");
    assert_eq!(decoded.new_columns.len(), 1);
}
