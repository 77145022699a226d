//! Lines of JSON as rows. Names of members are met in any case.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use datafusion::common::exec_err;
use datafusion::error::Result;
use serde_json::{Map, Value};

use crate::external::partitions::value_of_text;

/// The columns of `schema`. A member that is missing, or not of its column's type, is NULL.
pub(super) fn rows(lines: &[String], ignores_malformed: bool, schema: &SchemaRef) -> Result<Vec<ArrayRef>> {
    let mut objects: Vec<Map<String, Value>> = Vec::with_capacity(lines.len());
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(Value::Object(object)) => {
                objects.push(object.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect());
            }
            _ if ignores_malformed => objects.push(Map::new()),
            Ok(_) => return exec_err!("a line is no JSON object"),
            Err(error) => return exec_err!("a line is no JSON: {error}"),
        }
    }
    schema.fields().iter().map(|field| column(&objects, field)).collect()
}

fn column(objects: &[Map<String, Value>], field: &FieldRef) -> Result<ArrayRef> {
    if field.data_type().is_nested() {
        return nested(objects, field);
    }
    let mut text = StringBuilder::new();
    for object in objects {
        match object.get(field.name()) {
            None | Some(Value::Null) => text.append_null(),
            Some(Value::String(value)) => text.append_value(value),
            Some(other) => text.append_value(other.to_string()),
        }
    }
    value_of_text(Arc::new(text.finish()), field.data_type())
}

fn nested(objects: &[Map<String, Value>], field: &FieldRef) -> Result<ArrayRef> {
    // Arrow's reader gives text as it is, and views of it only afterwards.
    let plain = plain(field.data_type());
    let schema = Arc::new(Schema::new(vec![Field::new(field.name(), plain, true)]));
    let fitted: Vec<Map<String, Value>> = objects
        .iter()
        .map(|object| {
            let value = object.get(field.name()).map_or(Value::Null, |value| fit(value, field.data_type()));
            Map::from_iter([(field.name().clone(), value)])
        })
        .collect();
    let mut decoder = ReaderBuilder::new(schema.clone())
        .with_coerce_primitive(true)
        .with_batch_size(fitted.len().max(1))
        .build_decoder()?;
    decoder.serialize(&fitted)?;
    match decoder.flush()? {
        Some(batch) => Ok(arrow::compute::cast(batch.column(0), field.data_type())?),
        None => Ok(arrow::array::new_null_array(field.data_type(), fitted.len())),
    }
}

fn plain(of: &DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(plain(field.data_type())));
    match of {
        DataType::Utf8View => DataType::Utf8,
        DataType::List(element) => DataType::List(inner(element)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, ordered) => DataType::Map(inner(entries), *ordered),
        other => other.clone(),
    }
}

/// `value` with names in lower case where they are names of fields, and NULL where it is of another kind than `of`.
fn fit(value: &Value, of: &DataType) -> Value {
    match (of, value) {
        (DataType::List(element), Value::Array(values)) => {
            Value::Array(values.iter().map(|value| fit(value, element.data_type())).collect())
        }
        (DataType::Struct(fields), Value::Object(members)) => {
            let member = |field: &FieldRef| {
                let found = members.iter().find(|(name, _)| name.eq_ignore_ascii_case(field.name()));
                (field.name().clone(), found.map_or(Value::Null, |(_, value)| fit(value, field.data_type())))
            };
            Value::Object(fields.iter().map(member).collect())
        }
        (DataType::Map(entries, _), Value::Object(members)) => {
            let DataType::Struct(entry) = entries.data_type() else { return Value::Null };
            let fitted = members.iter().map(|(name, value)| (name.clone(), fit(value, entry[1].data_type())));
            Value::Object(fitted.collect())
        }
        (of, _) if of.is_nested() => Value::Null,
        (DataType::Utf8View, Value::Array(_) | Value::Object(_)) => Value::String(value.to_string()),
        (_, Value::Array(_) | Value::Object(_)) => Value::Null,
        (DataType::Boolean, value) => {
            if value.is_boolean() {
                value.clone()
            } else {
                Value::Null
            }
        }
        (of, Value::String(text)) if of.is_numeric() && text.parse::<f64>().is_err() => Value::Null,
        (of, Value::Bool(_)) if of.is_numeric() => Value::Null,
        (_, value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, RecordBatch};
    use arrow::datatypes::Int32Type;

    use super::*;
    use crate::external::hive_column;

    #[test]
    fn members_become_columns_and_what_does_not_fit_is_null() {
        let lines = [
            r#"{"ID": 1, "Tags": ["a", {"b": 1}], "at": {"City": "Bern", "zip": "x"}}"#,
            r#"{"id": "2", "tags": "none"}"#,
            "",
            r#"{"id": "two", "sizes": {"s": 1, "M": "2"}}"#,
        ];
        let columns = ["id int", "tags array<string>", "at struct<city:string,zip:int>", "sizes map<string,int>"];
        let fields = columns.map(|column| column.split_once(' ').unwrap());
        let fields = fields.map(|(name, of)| hive_column(name, of, None).unwrap());
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let rows = rows(&lines.map(str::to_owned), false, &schema).unwrap();
        let ids: Vec<Option<i32>> = rows[0].as_primitive::<Int32Type>().iter().collect();
        assert_eq!(ids, [Some(1), Some(2), None]);
        let shown = RecordBatch::try_new(schema, rows).unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&[shown]).unwrap().to_string();
        assert!(shown.contains(r#"[a, {"b":1}] | {city: Bern, zip: }"#), "{shown}");
        assert!(shown.contains("{M: 2, s: 1}"), "{shown}");
    }
}
