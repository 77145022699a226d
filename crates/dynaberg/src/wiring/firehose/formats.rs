//! Parquet files for delivery streams, with the columns that a table of Glue has.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use async_trait::async_trait;
use bytes::Bytes;
use local_delivery::{Converted, Formats, GlueTable, ObjectError, ParquetCompression};

use crate::aws::Aws;

/// Glue, where `aws` says it is.
pub struct GlueFormats(pub Aws);

#[async_trait]
impl Formats for GlueFormats {
    async fn to_parquet(
        &self,
        table: &GlueTable,
        compression: ParquetCompression,
        records: Vec<Bytes>,
    ) -> Result<Converted, ObjectError> {
        let columns = self.0.glue_columns(&table.database, &table.table).await.map_err(|failure| failure.message())?;
        let field = |(name, type_name): (String, String)| {
            let data_type =
                query::hive_type(&type_name).ok_or_else(|| format!("column {name} has type {type_name}"))?;
            Ok(Field::new(name, of_json(&data_type), true))
        };
        let fields = columns.into_iter().map(field).collect::<Result<Vec<_>, String>>()?;
        let schema = Arc::new(Schema::new(fields));
        let is_snappy = compression == ParquetCompression::Snappy;
        let rows = tokio::task::spawn_blocking(move || pipeline::to_parquet(schema, &records, is_snappy)).await??;
        Ok(Converted { content: rows.file, rejected: rows.rejected })
    }
}

/// The type with which JSON is decoded for a column.
fn of_json(data_type: &DataType) -> DataType {
    let inner = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(of_json(field.data_type())));
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::Int8 | DataType::Int16 => DataType::Int32,
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::List(element) => DataType::List(inner(element)),
        DataType::Map(entries, is_sorted) => DataType::Map(inner(entries), *is_sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}
