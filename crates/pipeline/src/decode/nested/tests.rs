use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};

use crate::decode::Decoder;
use crate::decode::tests::{insert, ours, records, row, table};
use crate::shape::TableShape;

fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, true)))
}

fn order_line() -> DataType {
    let required = Field::new("productid", DataType::Utf8, false);
    DataType::Struct(Fields::from(vec![required, Field::new("price", DataType::Decimal128(12, 2), true)]))
}

fn map_of(value: DataType) -> DataType {
    let key = Field::new("key", DataType::Utf8, false);
    let entries = DataType::Struct(Fields::from(vec![key, Field::new("value", value, true)]));
    DataType::Map(Arc::new(Field::new("key_value", entries, false)), false)
}

/// Decodes values of attribute `a` one by one, and all together: a rejected one leaves nothing in between.
fn check(shape: &TableShape, cases: &[(&str, Result<&str, &str>)]) {
    let json: Vec<String> = cases.iter().map(|(value, _)| insert(&format!(r#""a":{value}"#))).collect();
    let decoded = Decoder::new(shape).unwrap().decode(&records(&json));
    let (mut rows, mut letters) = (0, decoded.rejected.iter());
    for (value, expected) in cases {
        match expected {
            Ok(text) => {
                assert_eq!(row(&decoded, rows)[1], *text, "{value}");
                rows += 1;
            }
            Err(code) => assert_eq!(letters.next().map(|letter| letter.code), Some(*code), "{value}"),
        }
    }
    assert_eq!(decoded.changes.rows.num_rows(), rows);
}

#[test]
fn maps_go_into_structs_by_the_names_of_their_members_in_any_case() {
    let cases: &[(&str, Result<&str, &str>)] = &[
        (r#"{"M":{"productId":{"S":"p"},"price":{"N":"9.9"}}}"#, Ok("{productid: p, price: 9.90}")),
        (r#"{"M":{"price":{"N":"9.9"}}}"#, Err("DYN409")),
        (r#"{"M":{"price":{"N":"9.9"},"productId":{"NULL":true}}}"#, Err("DYN409")),
        (r#"{"M":{"productId":{"S":"p"},"price":{"N":"9.999"}}}"#, Err("DYN405")),
        (r#"{"M":{"productId":{"S":"p"},"PRODUCTID":{"S":"q"}}}"#, Err("DYN410")),
        (r#"{"NULL":true}"#, Ok("null")),
        (r#"{"M":{"productId":{"S":"q"}}}"#, Ok("{productid: q, price: }")),
        (r#"{"L":[]}"#, Err("DYN405")),
    ];
    check(&table(&[("id", DataType::Utf8), ("a", order_line())], &["id"]), cases);
}

#[test]
fn a_member_without_a_place_is_left_out_of_a_fixed_table_and_rejected_by_one_that_holds_everything() {
    let value = r#"{"M":{"productId":{"S":"p"},"more":{"S":"x"}}}"#;
    let columns = [("id", DataType::Utf8), ("a", order_line())];
    check(&table(&columns, &["id"]), &[(value, Ok("{productid: p, price: }"))]);
    check(&ours(&columns, &["id"]), &[(value, Err("DYN405"))]);
}

#[test]
fn lists_sets_and_maps_of_any_members_go_in_whole_or_not_at_all() {
    check(
        &table(&[("id", DataType::Utf8), ("a", list_of(DataType::Int64))], &["id"]),
        &[
            (r#"{"L":[{"N":"2"},{"NULL":true},{"N":"1"}]}"#, Ok("[2, , 1]")),
            (r#"{"L":[{"N":"2"},{"S":"x"}]}"#, Err("DYN405")),
            (r#"{"NS":["10","9","1E1"]}"#, Ok("[9, 10]")),
            (r#"{"NS":[1]}"#, Err("DYN410")),
            (r#"{"L":[]}"#, Ok("[]")),
            (r#"{"SS":["a"]}"#, Err("DYN405")),
        ],
    );
    check(
        &table(&[("id", DataType::Utf8), ("a", map_of(list_of(DataType::Utf8)))], &["id"]),
        &[
            (r#"{"M":{"b":{"SS":["z","y"]},"a":{"L":[]}}}"#, Ok("{a: [], b: [y, z]}")),
            (r#"{"M":{"a":{"L":[{"S":"x"}]},"b":{"L":[{"N":"1"}]}}}"#, Err("DYN405")),
            (r#"{"M":{}}"#, Ok("{}")),
            (r#"{"M":{"c":{"NULL":true}}}"#, Ok("{c: }")),
        ],
    );
    check(
        &table(&[("id", DataType::Utf8), ("a", list_of(order_line()))], &["id"]),
        &[
            (r#"{"L":[{"M":{"productId":{"S":"p"}}},{"M":{"productId":{"S":"q"},"price":{"N":"x"}}}]}"#, Err("DYN410")),
            (r#"{"L":[{"M":{"price":{"N":"1"},"productId":{"S":"p"}}}]}"#, Ok("[{productid: p, price: 1.00}]")),
        ],
    );
}
