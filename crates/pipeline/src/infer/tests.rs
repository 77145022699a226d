use arrow::datatypes::DataType;
use serde_json::{Value, json};

use crate::infer::{KeyAttribute, KeyType, infer_schema};
use crate::shape::{Mode, TableShape};

fn key(name: &str, key_type: KeyType) -> KeyAttribute {
    KeyAttribute { name: name.into(), key_type }
}

/// The columns of a table for items with these values of attribute `a`, but the key.
fn columns(values: &[Value]) -> Vec<String> {
    let items: Vec<Value> = values.iter().map(|value| json!({"id": {"S": "k"}, "a": value})).collect();
    let schema = infer_schema(&items, &[key("id", KeyType::S)], Mode::Mirror);
    schema.fields().iter().skip(1).map(|field| describe(field.data_type())).collect()
}

fn describe(data_type: &DataType) -> String {
    match data_type {
        DataType::Int64 => "long".into(),
        DataType::Utf8 => "string".into(),
        DataType::LargeBinary => "binary".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::List(element) => format!("list<{}>", describe(element.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|field| format!("{}:{}", field.name(), describe(field.data_type()))).collect();
            format!("struct<{}>", fields.join(","))
        }
        other => other.to_string().to_lowercase(),
    }
}

#[test]
fn a_column_has_the_narrowest_type_that_holds_the_sample() {
    let n = |text: &str| json!({"N": text});
    let l = |elements: Vec<Value>| json!({"L": elements});
    let cases: Vec<(Vec<Value>, &[&str])> = vec![
        (vec![n("1"), n("-9223372036854775808")], &["long"]),
        (vec![n("1"), n("1E2"), n("1.0")], &["long"]),
        (vec![n("9223372036854775808"), n("1")], &["decimal(38,0)"]),
        (vec![n("1"), n("0.25"), n("12345")], &["decimal(38,2)"]),
        (vec![n("12345678901234567890123456789012345678"), n("0.1")], &["string"]),
        (vec![n("1E125")], &["string"]),
        (vec![n(&"1".repeat(39)), n("1")], &["long"]),
        (vec![json!({"S": "x"}), n("1")], &["string"]),
        (vec![json!({"BOOL": true})], &["boolean"]),
        (vec![json!({"BOOL": true}), json!({"S": "x"})], &["string"]),
        (vec![json!({"B": "AAE="}), json!({"NULL": true})], &["binary"]),
        (vec![json!({"NULL": true})], &[]),
        (vec![json!({"SS": ["a"]})], &["list<string>"]),
        (vec![json!({"NS": ["1", "2.5"]})], &["list<decimal(38,1)>"]),
        (vec![json!({"BS": ["AAE="]})], &["list<binary>"]),
        (vec![l(vec![]), l(vec![n("1")])], &["list<long>"]),
        (vec![l(vec![])], &["string"]),
        (vec![l(vec![n("1"), json!({"S": "x"})])], &["string"]),
        (vec![l(vec![n("1")]), l(vec![json!({"S": "x"})])], &["string"]),
        (vec![l(vec![n("1")]), n("1")], &["string"]),
        (vec![json!({"M": {}})], &["string"]),
        (
            vec![json!({"M": {"b": n("1"), "A": {"S": "x"}}}), json!({"M": {"A": {"NULL": true}, "b": n("0.5")}})],
            &["struct<a:string,b:decimal(38,1)>"],
        ),
        (vec![json!({"M": {"a": n("1")}}), json!({"M": {"b": n("1")}})], &["string"]),
        (vec![json!({"M": {"a": n("1"), "A": n("1")}})], &["string"]),
        (
            vec![l(vec![json!({"M": {"price": n("9.99"), "productId": {"S": "p"}}})])],
            &["list<struct<price:decimal(38,2),productid:string>>"],
        ),
    ];
    for (values, expected) in cases {
        assert_eq!(columns(&values), expected, "{values:?}");
    }
}

#[test]
fn a_table_has_its_key_first_and_every_attribute_in_a_doc() {
    let items =
        [json!({"Name": {"S": "x"}, "PK": {"S": "k"}, "sk": {"N": "1.5"}, "name": {"N": "1"}, "_x": {"S": ""}})];
    let keys = [key("PK", KeyType::S), key("sk", KeyType::N)];
    let schema = infer_schema(&items, &keys, Mode::Changelog);
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["_op", "_position", "_time", "pk", "sk", "a_x", "name", "name_82a353"]);
    let required: Vec<_> = schema.fields().iter().map(|field| !field.is_nullable()).collect();
    assert_eq!(required, [true, true, false, true, true, false, false, false]);
    assert_eq!(*schema.field(4).data_type(), DataType::Decimal128(38, 1));

    let shape = TableShape::from_table(schema, vec!["PK".into(), "sk".into()], Mode::Changelog, true);
    let attributes: Vec<_> = shape.attributes.iter().map(|attribute| attribute.as_deref().unwrap_or("-")).collect();
    assert_eq!(attributes, ["-", "-", "-", "PK", "sk", "_x", "Name", "name"]);
}

#[test]
fn a_table_without_items_has_its_key() {
    let keys = [key("id", KeyType::B), key("n", KeyType::N)];
    let schema = infer_schema(&[], &keys, Mode::Mirror);
    let types: Vec<_> = schema.fields().iter().map(|field| describe(field.data_type())).collect();
    assert_eq!(types, ["binary", "long"]);
}
