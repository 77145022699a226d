use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use crate::decode::tests::{insert, records, table};
use crate::decode::{Changes, Decoder};
use crate::shape::{Mode, TableShape};
use crate::transform::{Transformed, transform};

fn shape() -> TableShape {
    table(&[("v", DataType::Int64), ("pk", DataType::Utf8), ("sk", DataType::Int64)], &["pk", "sk"])
}

/// A change of item `pk`, `sk`: its new value of `v`, or its removal.
fn change(pk: &str, sk: i64, v: Option<i64>) -> String {
    let keys = format!(r#""pk":{{"S":"{pk}"}},"sk":{{"N":"{sk}"}}"#);
    match v {
        Some(v) => format!(
            r#"{{"eventName":"MODIFY","dynamodb":{{"Keys":{{{keys}}},"NewImage":{{"v":{{"N":"{v}"}},{keys}}}}}}}"#
        ),
        None => format!(r#"{{"eventName":"REMOVE","dynamodb":{{"Keys":{{{keys}}}}}}}"#),
    }
}

fn decode(shape: &TableShape, changes: &[String]) -> Changes {
    let decoded = Decoder::new(shape).unwrap().decode(&records(changes));
    assert_eq!(decoded.rejected, []);
    decoded.changes
}

fn upserted(transformed: &Transformed) -> Vec<i64> {
    let batches = &transformed.changes.upserts;
    batches.iter().flat_map(|rows| rows["v"].as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[test]
fn the_last_change_of_an_item_decides_across_all_polls_of_a_batch() {
    let shape = shape();
    let first = decode(&shape, &[change("a", 1, Some(1)), change("a", 2, Some(2)), change("a", 1, Some(3))]);
    let second = decode(&shape, &[change("a", 2, None), change("b", 1, Some(4)), change("b", 1, None)]);
    let third = decode(&shape, &[change("b", 1, Some(5)), change("c", 9, None)]);
    let transformed = transform(&shape, vec![first, second, third]);
    assert_eq!(upserted(&transformed), [3, 5]);
    assert_eq!((transformed.upserted, transformed.deleted, transformed.superseded), (2, 2, 4));
    let deleted: Vec<_> = transformed
        .changes
        .deletes
        .iter()
        .flat_map(|keys| {
            let pk = keys["pk"].as_string::<i32>().iter().map(|pk| pk.unwrap().to_owned());
            pk.zip(keys["sk"].as_primitive::<Int64Type>().values().to_vec()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(deleted, [("a".to_owned(), 2), ("c".to_owned(), 9)]);
    assert!(transformed.changes.upserts.iter().all(|rows| rows.schema() == shape.schema));
}

#[test]
fn keys_that_only_look_alike_when_put_together_are_different_items() {
    let shape = table(&[("a", DataType::Utf8), ("b", DataType::Utf8)], &["a", "b"]);
    let change = |a: &str, b: &str| {
        let keys = format!(r#""a":{{"S":"{a}"}},"b":{{"S":"{b}"}}"#);
        format!(r#"{{"eventName":"INSERT","dynamodb":{{"Keys":{{{keys}}},"NewImage":{{{keys}}}}}}}"#)
    };
    let changes = decode(&shape, &[change("x", "yz"), change("xy", "z"), change("", "xyz")]);
    assert_eq!(transform(&shape, vec![changes]).upserted, 3);
}

#[test]
fn a_changelog_keeps_every_change() {
    let shape = TableShape { mode: Mode::Changelog, ..shape() };
    let changes = decode(&shape, &[change("a", 1, Some(1)), change("a", 1, Some(2)), change("a", 1, None)]);
    let nullable = TableShape { schema: changes.rows.schema(), ..shape };
    let transformed = transform(&nullable, vec![changes]);
    assert_eq!((transformed.upserted, transformed.deleted, transformed.superseded), (3, 0, 0));
}

#[test]
fn rows_decoded_before_a_column_was_added_are_null_in_it() {
    let before = table(&[("id", DataType::Utf8)], &["id"]);
    let after = table(&[("id", DataType::Utf8), ("later", DataType::Int64)], &["id"]);
    let transformed = transform(&after, vec![decode(&before, &[insert("")])]);
    assert_eq!(transformed.changes.upserts[0].schema(), after.schema);
    assert_eq!(transformed.changes.upserts[0]["later"].null_count(), 1);
}

#[test]
fn rows_keep_their_columns_when_another_writer_renames_or_drops_some() {
    let with_ids = |columns: &[(&str, DataType, i32)]| {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, data_type, id)| {
                let metadata = [("PARQUET:field_id".to_owned(), id.to_string())];
                Field::new(*name, data_type.clone(), true).with_metadata(metadata.into())
            })
            .collect();
        TableShape::from_table(Arc::new(Schema::new(fields)), vec!["id".into()], Mode::Mirror, false)
    };
    let (text, long) = (DataType::Utf8, DataType::Int64);
    let before = with_ids(&[("a", long.clone(), 1), ("b", long.clone(), 2), ("id", text.clone(), 3)]);
    let after = with_ids(&[("id", text, 3), ("c", long.clone(), 2), ("a", long, 4)]);
    let changes = decode(&before, &[insert(r#""a":{"N":"1"},"b":{"N":"2"}"#)]);
    let rows = &transform(&after, vec![changes]).changes.upserts[0];
    assert_eq!(rows["c"].as_primitive::<Int64Type>().value(0), 2);
    assert_eq!(rows["a"].null_count(), 1);
}

#[test]
fn nothing_becomes_nothing() {
    let transformed = transform(&shape(), Vec::new());
    assert_eq!((transformed.upserted, transformed.deleted, transformed.superseded), (0, 0, 0));
    assert!(transformed.changes.upserts.is_empty() && transformed.changes.deletes.is_empty());
}
