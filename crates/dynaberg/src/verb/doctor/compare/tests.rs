use serde_json::json;

use super::*;

fn maps(values: Value) -> Vec<Map<String, Value>> {
    values.as_array().unwrap().iter().map(|value| value.as_object().unwrap().clone()).collect()
}

fn types(types: &[(&str, &str)]) -> Vec<(String, String)> {
    types.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect()
}

fn check(kinds: &[(&str, &str)], items: Value, rows: Value) -> Comparison {
    compare(&["id".to_owned(), "at".to_owned()], &types(kinds), &maps(items), &maps(rows))
}

const KEY: [(&str, &str); 2] = [("id", "string"), ("at", "long")];

#[test]
fn a_faithful_table_shows_no_fault() {
    let kinds = [KEY[0], KEY[1], ("total", "decimal(38,2)"), ("note", "string"), ("tags", "list<string>")];
    let item =
        json!([{"id": {"S": "a"}, "at": {"N": "1"}, "total": {"N": "1.5"}, "Note": {"S": "x"}, "tags": {"SS": ["b"]}}]);
    let row = json!([{"id": "a", "at": 1, "total": "1.50", "note": "x", "tags": ["b"]}]);
    assert_eq!(check(&kinds, item, row), Comparison { items: 1, rows: 1, ..Comparison::default() });
}

#[test]
fn rows_and_items_that_have_no_counterpart_are_counted_by_what_they_show() {
    let items = json!([
        {"id": {"S": "a"}, "at": {"N": "1"}}, {"id": {"S": "a"}, "at": {"N": "2"}}, {"id": {"S": "old"}, "at": {"N": "1"}},
    ]);
    let rows = json!([
        {"id": "a", "at": 1, "x": "new"}, {"id": "a", "at": 1, "x": "old"}, {"id": "a", "at": 1, "x": "new"},
        {"id": "gone", "at": 1, "x": "new"},
    ]);
    let found = check(&[KEY[0], KEY[1], ("x", "string")], items, rows);
    let counts = (found.rows_again, found.rows_repeated, found.rows_without_item);
    assert_eq!(counts, (1, 1, 1));
    assert_eq!((found.items_hidden, found.items_without_row), (1, 1));
}

#[test]
fn values_show_what_became_of_their_types() {
    let of = |kind: &str, attribute: Value, there: Value| {
        let item = json!([{"id": {"S": "a"}, "at": {"N": "1"}, "x": attribute}]);
        check(&[KEY[0], KEY[1], ("x", kind)], item, json!([{"id": "a", "at": 1, "x": there}]))
    };
    assert!(of("string", json!({"N": "7"}), json!("7")).mistyped.contains("x"));
    assert!(of("string", json!({"M": {"a": {"S": "b"}}}), json!("{\"a\":{\"S\":\"b\"}}")).mistyped.contains("x"));
    assert!(of("boolean", json!({"NULL": true}), json!(true)).mistyped.contains("x"));
    assert!(of("double", json!({"N": "0.12345678901234567890"}), json!(0.12345678901234568)).rounded.contains("x"));
    assert!(of("double", json!({"N": "0.5"}), json!(0.5)).rounded.is_empty());
    assert_eq!(of("string", json!({"S": "new"}), json!("old")).rows_stale, 1);
}

#[test]
fn columns_show_what_is_lost_and_what_is_never_there() {
    let item = json!([{"id": {"S": "a"}, "at": {"N": "1"}, "added": {"S": "b"}, "hour": {"N": "7"}}]);
    let kinds = [KEY[0], KEY[1], ("hour", "int"), ("fraud", "string")];
    let found = check(&kinds, item, json!([{"id": "a", "at": 1, "hour": 9, "fraud": null}]));
    assert!(found.attributes_lost.contains("added") && found.columns_unused.contains("fraud"));
    assert!(found.shifted.contains("hour") && found.rows_stale == 0);
}
