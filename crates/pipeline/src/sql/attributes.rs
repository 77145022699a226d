//! What is known of the attributes of a source: their names, and the types they have in `changes`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use iceberg::arrow::schema_to_arrow_schema;
use serde_json::Value as JsonValue;

use crate::error::{Error, ErrorKind, Result};
use crate::infer::{KeyAttribute, key_data_type, sampled_types};
use crate::shape::{OPERATION_COLUMN, POSITION_COLUMN, TIME_COLUMN, attribute_of, described};
use crate::sql::record::Record;
use crate::sql::statement::Uses;

/// The attributes that a transform may name.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    keys: Vec<KeyAttribute>,
    types: BTreeMap<String, DataType>,
}

impl Attributes {
    /// What `items`, which are DynamoDB JSON, and the key `keys` of their table show.
    pub fn of_sample(keys: &[KeyAttribute], items: &[JsonValue]) -> Self {
        let mut sampled = sampled_types(items);
        let mut types: BTreeMap<String, DataType> = BTreeMap::new();
        for key in keys {
            let data_type = key_data_type(key.key_type, sampled.remove(&key.name));
            types.insert(key.name.clone(), data_type);
        }
        types.extend(sampled.into_iter().map(|(name, attribute_type)| (name, attribute_type.data_type())));
        Self { keys: keys.to_vec(), types }
    }

    /// Takes the types over that an earlier run has recorded in the properties of the table, so that all runs agree.
    pub fn with_recorded(mut self, properties: &HashMap<String, String>) -> Result<Self> {
        for record in Record::all(properties)? {
            let unreadable = || Error::new(ErrorKind::Unexpected, "read the types of attributes on record");
            let schema = schema_to_arrow_schema(&record.attributes).map_err(|error| unreadable().with_source(error))?;
            for field in schema.fields() {
                if let Some(attribute) = attribute_of(field) {
                    self.types.insert(attribute.to_owned(), field.data_type().clone());
                }
            }
        }
        Ok(self)
    }

    /// Gives an attribute a type, whatever items show.
    pub fn declare(&mut self, name: &str, data_type: DataType) {
        self.types.insert(name.to_owned(), data_type);
    }

    pub fn keys(&self) -> &[KeyAttribute] {
        &self.keys
    }

    /// Every name that a transform may use.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let metadata = [OPERATION_COLUMN, POSITION_COLUMN, TIME_COLUMN].into_iter();
        metadata.chain(self.types.keys().map(String::as_str))
    }

    /// The attributes of items with their types, by name.
    pub fn types(&self) -> impl Iterator<Item = (&str, &DataType)> {
        self.types.iter().map(|(name, data_type)| (name.as_str(), data_type))
    }

    pub(crate) fn is_key(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.name == name)
    }

    /// The columns of `changes` that a transform with these uses reads: the key, and what else it names. `exact` are
    /// types that attributes must have, because their values go into the table as they are.
    pub(crate) fn input(&self, uses: &BTreeMap<String, Uses>, exact: &BTreeMap<String, DataType>) -> SchemaRef {
        let keys = self.keys.iter().map(|key| key.name.as_str());
        let others = uses.keys().map(String::as_str).filter(|name| !self.is_key(name));
        let field = |name: &str| match metadata_type(name) {
            Some(data_type) => Field::new(name, data_type, true),
            None => {
                let uses = uses.get(name).copied().unwrap_or_default();
                let is_any = uses.total > 0 && uses.total == uses.as_text;
                let known = exact.get(name).or_else(|| self.types.get(name));
                let data_type = known.filter(|_| !is_any).cloned().unwrap_or(DataType::Utf8);
                described(name, name, data_type, !self.is_key(name))
            }
        };
        Arc::new(Schema::new(keys.chain(others).map(field).collect::<Vec<Field>>()))
    }
}

/// The type of a column that every change has, whatever its item.
pub(crate) fn metadata_type(name: &str) -> Option<DataType> {
    match name {
        OPERATION_COLUMN | POSITION_COLUMN => Some(DataType::Utf8),
        TIME_COLUMN => Some(DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))),
        _ => None,
    }
}
