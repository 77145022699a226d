use arrow::array::{Array as _, AsArray};
use arrow::datatypes::{DataType, Int64Type};

use crate::change::Operation::{self, Insert, Modify, Remove};
use crate::decode::tests::{records, table};
use crate::decode::{Changes, Decoder};
use crate::plain::change_of;
use crate::shape::{Mode, TableShape};
use crate::transform::transform;

fn shape(keys: &[&str]) -> TableShape {
    let columns = [("id", DataType::Utf8), ("n", DataType::Int64)];
    let names: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    TableShape::from_table(table(&columns, &[]).schema, names, Mode::Operations, false)
}

fn decode(shape: &TableShape, changes: &[(Operation, &str)]) -> Changes {
    let json = |(operation, data): &(Operation, &str)| {
        let change = change_of(*operation, &shape.key_attributes, data.as_bytes()).unwrap();
        String::from_utf8(change.to_vec()).unwrap()
    };
    let decoded = Decoder::new(shape).unwrap().decode(&records(&changes.iter().map(json).collect::<Vec<_>>()));
    assert_eq!(decoded.rejected, []);
    decoded.changes
}

/// The rows to add by `n`, the keys to delete, and how many were upserted, deleted and superseded.
fn check(
    polls: &[&[(Operation, &str)]],
    rows: &[i64],
    keys: &[&str],
    (upserted, deleted, superseded): (usize, usize, usize),
) {
    let shape = shape(&["id"]);
    let transformed = transform(&shape, polls.iter().map(|changes| decode(&shape, changes)).collect());
    let found = transformed.changes.upserts.iter();
    let found: Vec<i64> = found.flat_map(|rows| rows["n"].as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(found, rows);
    let deletes = transformed.changes.deletes.iter();
    let found: Vec<String> = deletes
        .flat_map(|keys| keys["id"].as_string::<i32>().iter().map(|key| key.unwrap().to_owned()).collect::<Vec<_>>())
        .collect();
    assert_eq!(found, keys);
    let counts = (transformed.upserted, transformed.deleted, transformed.superseded);
    assert_eq!(counts, (upserted, deleted, superseded));
}

#[test]
fn an_insert_adds_a_row_whether_or_not_its_key_is_there_and_needs_none() {
    let row = r#"{"id":"a","n":1}"#;
    check(&[&[(Insert, row), (Insert, row)], &[(Insert, r#"{"n":2}"#)]], &[1, 1, 2], &[], (3, 0, 0));
}

#[test]
fn an_update_replaces_all_rows_of_its_key_those_of_the_batch_among_them() {
    let batch = [(Insert, r#"{"id":"a","n":1}"#), (Insert, r#"{"id":"b","n":2}"#), (Insert, r#"{"id":"a","n":3}"#)];
    let later = [(Modify, r#"{"id":"a","n":4}"#), (Insert, r#"{"id":"a","n":5}"#)];
    check(&[&batch, &later], &[2, 4, 5], &["a"], (3, 0, 2));
    check(&[&[(Modify, r#"{"id":"a","n":1}"#), (Modify, r#"{"id":"a","n":2}"#)]], &[2], &["a"], (1, 0, 1));
}

#[test]
fn a_removal_counts_where_it_stands() {
    let batch = [(Remove, r#"{"id":"a"}"#), (Insert, r#"{"id":"a","n":1}"#), (Remove, r#"{"id":"b"}"#)];
    check(&[&batch], &[1], &["a", "b"], (1, 2, 0));
    check(&[&[(Insert, r#"{"id":"a","n":1}"#), (Remove, r#"{"id":"a"}"#)]], &[], &["a"], (0, 1, 1));
}

#[test]
fn names_are_exact_and_a_number_is_the_microseconds_of_a_time() {
    let schema = table(&[("n", DataType::Int64), ("_x", DataType::Int64)], &[]).schema;
    let shape = TableShape::from_table(schema, Vec::new(), Mode::Operations, false);
    let changes = decode(&shape, &[(Insert, r#"{"N":1,"_x":2}"#)]);
    assert_eq!(changes.rows["n"].null_count(), 1);
    assert_eq!(changes.rows["_x"].as_primitive::<Int64Type>().value(0), 2);

    let time = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
    let schema = table(&[("at", time)], &[]).schema;
    let shape = TableShape::from_table(schema, Vec::new(), Mode::Operations, false);
    let changes = decode(&shape, &[(Insert, r#"{"at":1000001}"#)]);
    let at = changes.rows["at"].as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    assert_eq!(at.value(0), 1_000_001);
}
