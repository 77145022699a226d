//! I14: an item becomes a stream record, the record a row, and the row says what the item said.

mod item;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::attribute::AttributeType;
use crate::decode::Decoder;
use crate::decode::round_trip::item::{Attribute, any_attribute, deepened};
use crate::decode::tests::records;
use crate::infer::{KeyAttribute, KeyType, infer_schema};
use crate::shape::{Mode, TableShape, attribute_of, described};

type Item = Vec<(&'static str, Attribute)>;

/// Items that share attribute names, so that types meet and conflict.
fn any_items() -> impl Strategy<Value = Vec<Item>> {
    let attribute = (prop::sample::select(vec!["a", "b", "C", "_d"]), any_attribute());
    let item = prop::collection::vec(attribute, 0..4).prop_map(|mut attributes| {
        attributes.sort_by_key(|(name, _)| *name);
        attributes.dedup_by_key(|(name, _)| *name);
        attributes
    });
    prop::collection::vec(item, 1..6)
}

fn to_json(index: usize, item: &Item) -> Value {
    let attributes = item.iter().map(|(name, attribute)| ((*name).to_owned(), attribute.to_json()));
    let mut json: serde_json::Map<String, Value> = attributes.collect();
    json.insert("id".into(), json!({"S": index.to_string()}));
    Value::Object(json)
}

fn to_record(item: &Value) -> String {
    let record = json!({"eventName": "MODIFY", "dynamodb": {
        "Keys": {"id": item["id"]}, "OldImage": {"id": {"S": "not looked at"}}, "NewImage": item,
    }});
    record.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_of_an_inferred_table_say_what_the_items_said(items in any_items()) {
        let json: Vec<Value> = items.iter().enumerate().map(|(index, item)| to_json(index, item)).collect();
        let schema = infer_schema(&json, &[KeyAttribute { name: "id".into(), key_type: KeyType::S }], Mode::Mirror);
        let shape = TableShape::from_table(schema, vec!["id".into()], Mode::Mirror, true);
        let decoded = Decoder::new(&shape).unwrap().decode(&records(&json.iter().map(to_record).collect::<Vec<_>>()));
        prop_assert_eq!(&decoded.rejected, &[]);
        prop_assert_eq!(&decoded.new_columns, &[]);
        check_rows(&items, &shape, decoded.changes.rows.columns());
    }

    #[test]
    fn rows_of_a_table_that_grew_with_its_items_say_what_the_items_said(items in any_items()) {
        let json: Vec<Value> = items.iter().enumerate().map(|(index, item)| to_json(index, item)).collect();
        let records = records(&json.iter().map(to_record).collect::<Vec<_>>());
        let mut fields = vec![described("id", "id", DataType::Utf8, false)];
        let shape = |fields: &[Field]| {
            TableShape::from_table(Arc::new(Schema::new(fields.to_vec())), vec!["id".into()], Mode::Mirror, true)
        };
        let first = Decoder::new(&shape(&fields)).unwrap().decode(&records);
        prop_assert_eq!(&first.rejected, &[]);
        for column in first.new_columns {
            fields.push(described(&column.column, &column.attribute, column.data_type, true));
        }
        let second = Decoder::new(&shape(&fields)).unwrap().decode(&records);
        prop_assert_eq!(&second.rejected, &[]);
        prop_assert_eq!(&second.new_columns, &[]);
        check_rows(&items, &shape(&fields), second.changes.rows.columns());
    }

    #[test]
    fn damaged_records_are_rejected_or_decoded_but_never_lost(
        items in any_items(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let json: Vec<Value> = items.iter().enumerate().map(|(index, item)| to_json(index, item)).collect();
        let schema = infer_schema(&json, &[KeyAttribute { name: "id".into(), key_type: KeyType::S }], Mode::Mirror);
        let shape = TableShape::from_table(schema, vec!["id".into()], Mode::Mirror, true);
        let mut records = records(&json.iter().map(to_record).collect::<Vec<_>>());
        let mut bytes = records[0].json.to_vec();
        for (index, byte) in &damage {
            let at = index.index(bytes.len());
            bytes[at] = *byte;
        }
        records[0].json = bytes.into();
        let decoded = Decoder::new(&shape).unwrap().decode(&records);
        prop_assert_eq!(decoded.changes.rows.num_rows() + decoded.rejected.len(), records.len());
        prop_assert!(decoded.rejected.len() <= 1);
        // The others stand where they stood, undamaged.
        let rows = decoded.changes.rows.slice(1 - decoded.rejected.len(), records.len() - 1);
        check_rows(&items[1..], &shape, rows.columns());
    }
}

#[test]
fn thirty_two_levels_come_through_and_thirty_three_are_rejected() {
    for (levels, is_rejected) in [(32, false), (33, true)] {
        let item: Item = vec![("a", deepened(Attribute::S("deep".into()), levels))];
        let text_column = described("a", "a", DataType::Utf8, true);
        let id = described("id", "id", DataType::Utf8, false);
        let schema = Arc::new(Schema::new(vec![id, text_column]));
        let shape = TableShape::from_table(schema, vec!["id".into()], Mode::Mirror, true);
        let decoded = Decoder::new(&shape).unwrap().decode(&records(&[to_record(&to_json(0, &item))]));
        let codes: Vec<_> = decoded.rejected.iter().map(|letter| letter.code).collect();
        assert_eq!(codes, if is_rejected { vec!["DYN406"] } else { vec![] }, "{levels}");
        if !is_rejected {
            check_rows(&[item], &shape, decoded.changes.rows.columns());
        }
    }
    assert_eq!(AttributeType::Unknown.data_type(), DataType::Utf8);
}

fn check_rows(items: &[Item], shape: &TableShape, columns: &[ArrayRef]) {
    for (row, item) in items.iter().enumerate() {
        let mut found = 0;
        for (name, column) in shape.attributes.iter().zip(columns) {
            let attribute = item.iter().find(|(attribute, _)| Some(*attribute) == name.as_deref());
            match attribute {
                Some((_, attribute)) => check_value(attribute, column, row),
                None if name.as_deref() == Some("id") => {}
                None => assert!(column.is_null(row)),
            }
            found += usize::from(attribute.is_some());
        }
        let without_column = item.iter().filter(|(_, attribute)| *attribute == Attribute::Null).count();
        assert!(found >= item.len() - without_column, "every attribute but a null has a column");
    }
}

/// Reads the column's value in the terms of the item.
fn check_value(attribute: &Attribute, column: &ArrayRef, row: usize) {
    assert_eq!(column.is_null(row), *attribute == Attribute::Null, "{attribute:?}");
    match (attribute, column.data_type()) {
        (Attribute::Null, _) => {}
        (Attribute::S(text), DataType::Utf8) => assert_eq!(column.as_string::<i32>().value(row), text),
        (other, DataType::Utf8) => assert_eq!(column.as_string::<i32>().value(row), other.to_text()),
        (Attribute::Bool(value), DataType::Boolean) => assert_eq!(column.as_boolean().value(row), *value),
        (Attribute::B(bytes), DataType::LargeBinary) => assert_eq!(column.as_binary::<i64>().value(row), bytes),
        (Attribute::N(number), DataType::Int64) => {
            assert_eq!(column.as_primitive::<Int64Type>().value(row).to_string(), number.plain());
        }
        (Attribute::N(number), DataType::Decimal128(..)) => {
            let text = arrow::util::display::array_value_to_string(column, row).unwrap();
            let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            assert_eq!(text, number.plain());
        }
        (Attribute::M(members), DataType::Struct(fields)) => {
            let children = column.as_struct().columns();
            assert_eq!(members.len(), fields.len());
            for (field, child) in fields.iter().zip(children) {
                check_value(&members[attribute_of(field).unwrap()], child, row);
            }
        }
        (list, DataType::List(_)) => {
            let values = column.as_list::<i32>().value(row);
            let expected = list.elements();
            assert_eq!(values.len(), expected.len(), "{list:?}");
            for (index, element) in expected.iter().enumerate() {
                check_value(element, &values, index);
            }
        }
        (attribute, data_type) => panic!("{attribute:?} in a column of type {data_type}"),
    }
}
