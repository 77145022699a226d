//! Columns of a table: Arrow types as Iceberg types, optional columns added at the end, and every legal change.
//!
//! `change` says which changes are legal, `pins` what of a table hangs on a column, `edits` makes them, `commit` sends
//! them, and `manifests` brings old bounds along; `history` tells schemas apart, `text` writes types.

mod change;
mod commit;
mod edits;
mod history;
mod manifests;
mod pins;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Fields, Schema as ArrowSchema, TimeUnit};
use iceberg::spec::{ListType, MapType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, Type};
use iceberg::table::Table;

use crate::backoff::Backoff;
use crate::catalog::{Catalog, CommitRequest, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::table_writer::ColumnAddition;

pub use crate::evolve::change::SchemaChange;
pub use crate::evolve::commit::{change_schema, changed_schema};
pub use crate::evolve::history::{Difference, SchemaVersion, differences, schema_history};
pub use crate::evolve::text::parse_type;

const ATTEMPTS_MAX: u32 = 20;
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };

/// The schema to create a table with. A field's doc is taken from the metadata key `doc`; ids are given from 1, and
/// the catalog gives others.
pub fn schema_from_arrow(schema: &ArrowSchema) -> Result<Schema> {
    let fields = FieldIds { last: 0 }.fields(schema.fields())?;
    let schema = Schema::builder().with_fields(fields).build();
    schema.map_err(|error| Error::from_iceberg("make a table's schema", error))
}

/// Adds the columns that the table lacks, and gives the table with them.
///
/// A request whose outcome is unknown needs no care here: the next look at the table tells which columns are missing,
/// and a late one is refused because the schema has changed since.
pub(crate) async fn add_columns(catalog: &Catalog, mut table: Table, columns: &[ColumnAddition]) -> Result<Table> {
    for attempt_number in 1..=ATTEMPTS_MAX {
        let Some(request) = addition(&table, columns)? else {
            return Ok(table);
        };
        match catalog.try_commit(&table, &request).await {
            Outcome::Applied(table) => return Ok(*table),
            Outcome::Refused(error) => return Err(error),
            Outcome::Conflict(_) | Outcome::NotSent(_) | Outcome::Unknown(_) => {
                BACKOFF.wait(catalog.ambient(), attempt_number).await;
                table = catalog.load_table(table.identifier()).await?;
            }
        }
    }
    Err(Error::new(ErrorKind::Transient, format!("add columns to table {}", table.identifier())))
}

/// The request that adds those of `columns` that the table lacks; `None` where it has them all.
fn addition(table: &Table, columns: &[ColumnAddition]) -> Result<Option<CommitRequest>> {
    let metadata = table.metadata();
    let schema = metadata.current_schema();
    let mut ids = FieldIds { last: metadata.last_column_id() };
    let mut fields = schema.as_struct().fields().to_vec();
    for column in columns {
        match schema.field_by_name(&column.name) {
            None => fields.push(ids.optional(&column.name, &column.data_type, column.doc.clone())?),
            Some(field) if is_same_type(&field.field_type, &column.data_type)? => {}
            Some(field) => {
                let message = format!(
                    "add column {} as {} to table {}, which has it as {}",
                    column.name,
                    column.data_type,
                    table.identifier(),
                    field.field_type
                );
                return Err(Error::new(ErrorKind::Refused, message));
            }
        }
    }
    if ids.last == metadata.last_column_id() {
        return Ok(None);
    }

    let schema = Schema::builder().with_fields(fields).with_identifier_field_ids(schema.identifier_field_ids()).build();
    let schema =
        schema.map_err(|error| Error::from_iceberg(format!("add columns to table {}", table.identifier()), error))?;
    Ok(Some(commit::request(table, &schema)?))
}

/// Whether a column of type `existing` is one of `data_type`, but for the ids in it.
fn is_same_type(existing: &Type, data_type: &DataType) -> Result<bool> {
    let wanted = FieldIds { last: 0 }.iceberg_type(data_type)?;
    Ok(text::of(existing) == text::of(&wanted))
}

/// Gives out field ids above `last`.
struct FieldIds {
    last: i32,
}

impl FieldIds {
    fn next(&mut self) -> i32 {
        self.last += 1;
        self.last
    }

    fn optional(&mut self, name: &str, data_type: &DataType, doc: Option<String>) -> Result<NestedFieldRef> {
        let id = self.next();
        let field = NestedField::optional(id, name, self.iceberg_type(data_type)?);
        Ok(Arc::new(match doc {
            Some(doc) => field.with_doc(doc),
            None => field,
        }))
    }

    fn fields(&mut self, fields: &Fields) -> Result<Vec<NestedFieldRef>> {
        fields.iter().map(|field| self.field(field)).collect()
    }

    fn field(&mut self, field: &Field) -> Result<NestedFieldRef> {
        let id = self.next();
        let nested = NestedField::new(id, field.name(), self.iceberg_type(field.data_type())?, !field.is_nullable());
        Ok(Arc::new(match field.metadata().get("doc") {
            Some(doc) => nested.with_doc(doc),
            None => nested,
        }))
    }

    fn iceberg_type(&mut self, data_type: &DataType) -> Result<Type> {
        Ok(Type::Primitive(match data_type {
            DataType::Boolean => PrimitiveType::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::Int32 => PrimitiveType::Int,
            DataType::Int64 => PrimitiveType::Long,
            DataType::Float32 => PrimitiveType::Float,
            DataType::Float64 => PrimitiveType::Double,
            DataType::Decimal128(precision, scale @ 0..) => {
                PrimitiveType::Decimal { precision: u32::from(*precision), scale: *scale as u32 }
            }
            DataType::Date32 => PrimitiveType::Date,
            DataType::Time64(TimeUnit::Microsecond) => PrimitiveType::Time,
            DataType::Timestamp(TimeUnit::Microsecond, None) => PrimitiveType::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => PrimitiveType::Timestamptz,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => PrimitiveType::String,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => PrimitiveType::Binary,
            DataType::FixedSizeBinary(length @ 0..) => PrimitiveType::Fixed(*length as u64),
            DataType::Struct(fields) => return Ok(Type::Struct(StructType::new(self.fields(fields)?))),
            DataType::List(element) | DataType::LargeList(element) => return self.list(element),
            DataType::Map(entries, _) => return self.map(entries),
            _ => {
                let message = format!("make a column of type {data_type}, which Iceberg does not have");
                return Err(Error::new(ErrorKind::Refused, message));
            }
        }))
    }

    fn list(&mut self, element: &Field) -> Result<Type> {
        let id = self.next();
        let element_type = self.iceberg_type(element.data_type())?;
        let element_field = NestedField::list_element(id, element_type, !element.is_nullable());
        Ok(Type::List(ListType::new(Arc::new(element_field))))
    }

    fn map(&mut self, entries: &Field) -> Result<Type> {
        let DataType::Struct(entry) = entries.data_type() else {
            return Err(Error::new(ErrorKind::Unexpected, "make a column of a map without entries"));
        };
        let [key, value] = &entry[..] else {
            return Err(Error::new(ErrorKind::Unexpected, "make a column of a map without keys and values"));
        };
        let (key_id, value_id) = (self.next(), self.next());
        let key_field = NestedField::map_key_element(key_id, self.iceberg_type(key.data_type())?);
        let value_type = self.iceberg_type(value.data_type())?;
        let value_field = NestedField::map_value_element(value_id, value_type, !value.is_nullable());
        Ok(Type::Map(MapType::new(Arc::new(key_field), Arc::new(value_field))))
    }
}
