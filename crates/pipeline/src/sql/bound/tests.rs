use std::sync::Arc;

use arrow::array::Array;
use arrow::util::display::array_value_to_string;
use serde_json::json;

use crate::decode::Decoded;
use crate::decode::tests::records;
use crate::infer::{KeyAttribute, KeyType};
use crate::intake::Intake;
use crate::shape::{Mode, TableShape};
use crate::sql::{Attributes, SqlOptions, SqlTransform};
use crate::transform::transform;

fn shape(sql: &SqlTransform, mode: Mode) -> TableShape {
    TableShape::of_transformed(sql.schema(), sql.key_columns().to_vec(), mode)
}

fn compile(sql: &str, mode: Mode) -> Arc<SqlTransform> {
    let keys = [KeyAttribute { name: "id".into(), key_type: KeyType::S }];
    let item = json!({"amount": {"N": "1.25"}, "n": {"N": "1"}, "status": {"S": "OK"}});
    let options = SqlOptions { mode, ..SqlOptions::default() };
    Arc::new(SqlTransform::compile(sql, &Attributes::of_sample(&keys, &[item]), options).unwrap())
}

fn take(sql: &Arc<SqlTransform>, json: &[String]) -> Decoded {
    Intake::new(Some(sql), &shape(sql, Mode::Mirror)).unwrap().take(&records(json))
}

fn put(id: &str, attributes: &str) -> String {
    let keys = format!(r#""id":{{"S":"{id}"}}"#);
    format!(r#"{{"eventName":"MODIFY","dynamodb":{{"Keys":{{{keys}}},"NewImage":{{{keys},{attributes}}}}}}}"#)
}

fn remove(id: &str) -> String {
    format!(r#"{{"eventName":"REMOVE","dynamodb":{{"Keys":{{"id":{{"S":"{id}"}}}}}}}}"#)
}

fn rows(decoded: &Decoded) -> Vec<String> {
    let rows = &decoded.changes.rows;
    let value = |column: &Arc<dyn Array>, row| match column.is_null(row) {
        true => "null".to_owned(),
        false => array_value_to_string(column, row).unwrap(),
    };
    let row = |row| rows.columns().iter().map(|column| value(column, row)).collect::<Vec<_>>().join(" ");
    (0..rows.num_rows()).map(row).collect()
}

fn letters(decoded: &Decoded) -> Vec<String> {
    let letter = |letter: &crate::DeadLetter| {
        let position = letter.position().sequence_number.as_str().to_owned();
        format!("{position} {} {} {}", letter.step.as_str(), letter.code, letter.reason)
    };
    decoded.rejected.iter().map(letter).collect()
}

#[test]
fn a_cast_that_fails_rejects_its_record_and_no_other() {
    let sql = compile(
        "SELECT id, cast(amount AS decimal(12,2)) AS amount, try_cast(n AS int) AS n FROM changes",
        Mode::Mirror,
    );
    let changes: Vec<String> = (0..100)
        .map(|number| match number % 25 {
            7 => put("bad", r#""amount":{"S":"12,50"}"#),
            _ => put(&format!("i{number}"), &format!(r#""amount":{{"N":"{number}.5"}},"n":{{"S":"x"}}"#)),
        })
        .collect();
    let decoded = take(&sql, &changes);
    assert_eq!(decoded.changes.operations.len(), 96);
    assert_eq!(rows(&decoded)[95], "i99 99.50 null");
    let expected =
        [8, 33, 58, 83].map(|position| format!("{position} transform DYN412 column `amount`: a value cannot be cast"));
    assert_eq!(letters(&decoded), expected);
}

#[test]
fn numbers_are_cast_from_their_exact_digits() {
    let sql = compile("SELECT id, cast(amount AS decimal(38,2)) AS amount FROM changes", Mode::Mirror);
    let amount = |digits: &str| put("a", &format!(r#""amount":{{"N":"{digits}"}}"#));
    let long = "1234567890123456789012345678901234.25";
    let decoded = take(&sql, &[amount(long), amount("1.5E1"), amount("1E125")]);
    assert_eq!(rows(&decoded), [format!("a {long}"), "a 15.00".to_owned()]);
    assert_eq!(decoded.rejected[0].code, "DYN412");
}

#[test]
fn a_row_that_falls_out_of_the_filter_is_deleted_and_a_removal_never_is_held_back() {
    let sql = compile("SELECT id, n FROM changes WHERE status IS DISTINCT FROM 'TEST' AND n > 0", Mode::Mirror);
    let status = |id: &str, n: i64, status: &str| put(id, &format!(r#""n":{{"N":"{n}"}},"status":{{"S":"{status}"}}"#));
    let changes = [
        status("a", 1, "OK"),
        status("b", 1, "OK"),
        status("b", 2, "TEST"),
        remove("c"),
        status("d", 0, "OK"),
        put("e", r#""n":{"N":"9"}"#),
    ];
    let decoded = take(&sql, &changes);
    assert_eq!(letters(&decoded), Vec::<String>::new());
    let transformed = transform(&shape(&sql, Mode::Mirror), vec![decoded.changes]);
    let counts = (transformed.upserted, transformed.deleted, transformed.superseded, transformed.filtered);
    assert_eq!(counts, (2, 1, 1, 2));
    assert_eq!(transformed.changes.deletes.iter().map(|keys| keys.num_rows()).sum::<usize>(), 3);
}

#[test]
fn what_the_filter_holds_back_is_never_worked_out() {
    let sql = compile("SELECT id, cast(status AS int) AS s FROM changes WHERE n = 1", Mode::Mirror);
    let decoded =
        take(&sql, &[put("a", r#""n":{"N":"2"},"status":{"S":"x"}"#), put("b", r#""n":{"N":"1"},"status":{"S":"5"}"#)]);
    assert_eq!(letters(&decoded), Vec::<String>::new());
    assert_eq!(rows(&decoded), ["a null", "b 5"]);
}

#[test]
fn a_filter_that_fails_rejects_its_record() {
    let sql = compile("SELECT id FROM changes WHERE 10 / n > 1", Mode::Mirror);
    let decoded = take(&sql, &[put("a", r#""n":{"N":"0"}"#), put("b", r#""n":{"N":"2"}"#)]);
    assert_eq!(letters(&decoded), ["1 transform DYN413 the filter: a division by zero"]);
    assert_eq!(rows(&decoded), ["b"]);
}

#[test]
fn a_removed_item_has_its_key_and_nothing_made_up() {
    let sql =
        compile("SELECT _op, id, upper(id) AS shout, coalesce(status, 'none') AS status FROM changes", Mode::Changelog);
    let decoded = take(&sql, &[remove("a"), put("b", r#""n":{"N":"1"}"#)]);
    assert_eq!(letters(&decoded), Vec::<String>::new());
    assert_eq!(rows(&decoded), ["REMOVE a A null", "MODIFY b B none"]);
}

#[test]
fn letters_of_both_steps_keep_their_own_records() {
    let sql = compile("SELECT id, cast(status AS int) AS s, n FROM changes", Mode::Mirror);
    let changes = [
        "{broken".to_owned(),
        put("a", r#""status":{"S":"x"}"#),
        put("b", r#""n":{"S":"no number"}"#),
        put("c", r#""status":{"S":"y"}"#),
        put("d", r#""status":{"S":"1"}"#),
    ];
    let decoded = take(&sql, &changes);
    for letter in &decoded.rejected {
        let number: usize = letter.position().sequence_number.as_str().parse().unwrap();
        assert_eq!(letter.record.json, changes[number - 1].as_bytes());
    }
    let codes: Vec<_> = decoded.rejected.iter().map(|letter| letter.code).collect();
    assert_eq!(codes, ["DYN401", "DYN405", "DYN412", "DYN412"]);
    assert_eq!(rows(&decoded), ["d 1 null"]);
}

#[test]
fn numbers_are_rounded_and_texts_are_taken_apart_by_regular_expressions() {
    let sql = compile(
        "SELECT id, round(cast(amount AS decimal(12,3)), 1) AS amount, round(n, -1) AS n, \
         regexp_extract(status, '^([A-Z]+)-', 1) AS word, regexp_replace(status, '([0-9])', '<$1>') AS marked, \
         regexp_like(status, '[0-9]$') AS numbered FROM changes",
        Mode::Mirror,
    );
    let item = |amount: &str, n: &str, status: &str| {
        put("a", &format!(r#""amount":{{"N":"{amount}"}},"n":{{"N":"{n}"}},"status":{{"S":"{status}"}}"#))
    };
    let decoded = take(&sql, &[item("1.25", "15", "OK-7"), item("-999999999.95", "-14", "none")]);
    assert_eq!(rows(&decoded), ["a 1.300 20 OK OK-<7> true", "a -1000000000.000 -10 null none false"]);
}
