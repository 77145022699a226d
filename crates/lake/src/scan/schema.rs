//! The table's columns as DataFusion sees them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::error::{Error, ErrorKind, Result};

/// A schema of the table, as Iceberg has it and as Arrow.
pub(crate) struct Columns {
    pub iceberg: spec::SchemaRef,
    /// Text and bytes are views at the top level, as DataFusion's Parquet reader produces them; a field's id is in its
    /// metadata, without which a column dropped and added again would be taken for the old one.
    pub arrow: SchemaRef,
}

impl Columns {
    pub fn new(schema: &spec::SchemaRef) -> Result<Self> {
        let arrow = schema_to_arrow_schema(schema).map_err(|error| {
            Error::new(ErrorKind::Unexpected, "express the table's schema in Arrow").with_source(error)
        })?;
        let fields: Vec<Field> = arrow.fields().iter().map(|field| as_view(field)).collect();
        Ok(Self { iceberg: schema.clone(), arrow: Arc::new(Schema::new(fields)) })
    }

    pub fn field_id(&self, index: usize) -> i32 {
        // Both schemas list the same columns in the same order.
        self.iceberg.as_struct().fields()[index].id
    }
}

fn as_view(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    };
    field.clone().with_data_type(data_type)
}

/// The Iceberg field id that a Parquet file or a table schema gives a field.
pub(crate) fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}
