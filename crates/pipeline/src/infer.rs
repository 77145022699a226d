//! The columns of a table that does not exist yet, from a sample of items.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::Value as JsonValue;
use simd_json::{Buffers, Tape};

use crate::attribute::AttributeType;
use crate::decode::misfit::Misfit;
use crate::decode::new_columns::name_column;
use crate::decode::tape::Json;
use crate::decode::value::Value;
use crate::shape::{Mode, OPERATION_COLUMN, POSITION_COLUMN, TIME_COLUMN, described};

/// The type that a DynamoDB table's key schema gives a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    S,
    N,
    B,
}

/// A key attribute of a DynamoDB table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttribute {
    pub name: String,
    pub key_type: KeyType,
}

/// The schema of a table for items like `items`, which are DynamoDB JSON: `{"id": {"S": "a"}, "n": {"N": "1"}}`.
///
/// First the metadata columns of a changelog, then the key in its order, then the other attributes by column name, each
/// with its attribute in its doc. A column has the narrowest type that holds every sampled value: numbers are `long`,
/// else `decimal(38, s)`, else text; maps and lists have their shape where all of an attribute have one, else they are
/// JSON text; what has no type in common is text. A numeric key of which only integers were sampled, or nothing, is
/// `long`. What comes later and does not fit is a dead letter, so the sample should be large. Values that DynamoDB
/// cannot hold count for nothing here: their records are rejected.
pub fn infer_schema(items: &[JsonValue], keys: &[KeyAttribute], mode: Mode) -> SchemaRef {
    let mut types = sampled_types(items);
    let mut taken = HashSet::new();
    let mut fields = Vec::new();
    if mode == Mode::Changelog {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        fields.push(Field::new(OPERATION_COLUMN, DataType::Utf8, false));
        fields.push(Field::new(POSITION_COLUMN, DataType::Utf8, false));
        fields.push(Field::new(TIME_COLUMN, time, true));
    }
    for key in keys {
        let sampled = types.remove(&key.name);
        let column = name_column(&key.name, &mut taken);
        fields.push(described(&column, &key.name, key_data_type(key.key_type, sampled), false));
    }
    let mut others = Vec::new();
    for (attribute, attribute_type) in types {
        if attribute_type != AttributeType::Unknown {
            let column = name_column(&attribute, &mut taken);
            others.push(described(&column, &attribute, attribute_type.data_type(), true));
        }
    }
    others.sort_by(|a, b| a.name().cmp(b.name()));
    fields.extend(others);
    Arc::new(Schema::new(fields))
}

pub(crate) fn key_data_type(key_type: KeyType, sampled: Option<AttributeType>) -> DataType {
    match (key_type, sampled) {
        (KeyType::S, _) => DataType::Utf8,
        (KeyType::B, _) => DataType::LargeBinary,
        (KeyType::N, Some(number @ AttributeType::Number { .. })) => number.data_type(),
        (KeyType::N, _) => DataType::Int64,
    }
}

/// The types by attribute name, so that the same sample in another order gives the same table.
pub(crate) fn sampled_types(items: &[JsonValue]) -> BTreeMap<String, AttributeType> {
    let mut types: BTreeMap<String, AttributeType> = BTreeMap::new();
    let mut buffers = Buffers::default();
    for item in items {
        let mut json = serde_json::to_vec(item).expect("a JSON value is written as JSON");
        let mut tape = Tape(Vec::new());
        let parsed = simd_json::fill_tape(&mut json, &mut buffers, &mut tape);
        let attributes = parsed.ok().and_then(|()| Json::root(&tape.0).members());
        for (name, json) in attributes.into_iter().flatten() {
            if let Ok(attribute_type) = type_of(json) {
                let known = types.remove(name).unwrap_or(AttributeType::Unknown);
                types.insert(name.to_owned(), known.merged(attribute_type));
            }
        }
    }
    types
}

fn type_of(json: Json<'_>) -> Result<AttributeType, Misfit> {
    AttributeType::of_value(&Value::read(json)?, 0)
}

#[cfg(test)]
mod tests;
