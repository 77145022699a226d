//! Making a target table that does not exist yet.

use std::collections::HashMap;

use arrow::datatypes::Schema as ArrowSchema;
use iceberg::TableIdent;
use iceberg::spec::{Schema, Transform, UnboundPartitionSpec};
use lake::{Catalog, TableCreation};
use serde_json::Value as JsonValue;
use tracing::info;

use crate::error::{Error, ErrorKind, Result};
use crate::infer::{KeyAttribute, infer_schema};
use crate::shape::Mode;
use crate::sink::table::lake_error;
use crate::sql::SqlTransform;

/// Each commit leaves a metadata file that lists all snapshots; the last twenty are enough.
const METADATA_FILES: [(&str, &str); 2] =
    [("write.metadata.delete-after-commit.enabled", "true"), ("write.metadata.previous-versions-max", "20")];

/// A table as a pipeline wants it.
#[derive(Clone, Debug)]
pub struct Target {
    pub table: TableIdent,
    pub mode: Mode,
    pub partition: Vec<PartitionField>,
    /// Whether attributes that the sample does not show get columns later.
    pub evolve: bool,
}

/// One field of a partition spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionField {
    pub column: String,
    /// As Iceberg spells it: `identity`, `day`, `bucket[16]`.
    pub transform: String,
}

impl Target {
    /// Whether the table is there.
    pub async fn exists(&self, catalog: &Catalog) -> Result<bool> {
        catalog.table_exists(&self.table).await.map_err(|error| lake_error(error, &self.table.to_string()))
    }

    /// Creates the table, and its namespace, for items like `sample` with the key `keys`. One that somebody else creates
    /// at the same time is as good.
    pub async fn create(&self, catalog: &Catalog, keys: &[KeyAttribute], sample: &[JsonValue]) -> Result<()> {
        self.create_as(catalog, self.definition(keys, sample)?).await
    }

    /// Creates the table for the rows of a transform, with the transform on record.
    pub async fn create_for(&self, catalog: &Catalog, sql: &SqlTransform) -> Result<()> {
        self.create_as(catalog, self.definition_for(sql)?).await
    }

    /// The table that items like `sample` with the key `keys` ask for.
    pub fn definition(&self, keys: &[KeyAttribute], sample: &[JsonValue]) -> Result<TableCreation> {
        let name = self.table.to_string();
        if sample.is_empty() && !self.evolve {
            let message = format!(
                "table {name} does not exist, and the source has no items to tell its columns. \
                 Try: create the table, write an item, or `[target] evolve = true`"
            );
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
        self.with_schema(&infer_schema(sample, keys, self.mode), HashMap::new())
    }

    /// The table for the rows of a transform, with the transform on record.
    pub fn definition_for(&self, sql: &SqlTransform) -> Result<TableCreation> {
        self.with_schema(&sql.schema(), HashMap::from([sql.record()?]))
    }

    fn with_schema(&self, schema: &ArrowSchema, mut properties: HashMap<String, String>) -> Result<TableCreation> {
        properties.extend(METADATA_FILES.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let name = self.table.to_string();
        let schema = lake::schema_from_arrow(schema).map_err(|error| lake_error(error, &name))?;
        Ok(TableCreation {
            name: self.table.name().to_owned(),
            partition_spec: partition_spec(&schema, &self.partition, &name)?,
            schema,
            sort_order: None,
            properties,
        })
    }

    async fn create_as(&self, catalog: &Catalog, creation: TableCreation) -> Result<()> {
        let name = self.table.to_string();
        let namespace = self.table.namespace();
        catalog.ensure_namespace(namespace).await.map_err(|error| lake_error(error, &name))?;
        match catalog.create_table(namespace, creation).await {
            Ok(_) => info!(table = name, "created table"),
            Err(error) if !self.exists(catalog).await? => return Err(lake_error(error, &name)),
            Err(_) => {}
        }
        Ok(())
    }
}

fn partition_spec(schema: &Schema, fields: &[PartitionField], table: &str) -> Result<Option<UnboundPartitionSpec>> {
    if fields.is_empty() {
        return Ok(None);
    }
    let mut builder = UnboundPartitionSpec::builder();
    for field in fields {
        let misconfigured = |reason: String| {
            let PartitionField { column, transform } = field;
            let message = format!("partition table {table} by {transform} of `{column}`: {reason}");
            Error::new(ErrorKind::Misconfigured, message)
        };
        let column = schema.field_by_name(&field.column).ok_or_else(|| {
            let columns: Vec<_> = schema.as_struct().fields().iter().map(|field| field.name.as_str()).collect();
            misconfigured(format!("there is no such column. Try: one of {}", columns.join(", ")))
        })?;
        let transform: Transform = field.transform.parse().map_err(|error| misconfigured(format!("{error}")))?;
        transform
            .result_type(&column.field_type)
            .map_err(|_| misconfigured(format!("it is a {}, which has no {}", column.field_type, field.transform)))?;
        builder = builder
            .add_partition_field(column.id, partition_name(&column.name, transform), transform)
            .map_err(|error| misconfigured(format!("{error}")))?;
    }
    Ok(Some(builder.build()))
}

/// The names that Iceberg's own libraries give: `created_day`, `id_bucket`, `region`.
fn partition_name(column: &str, transform: Transform) -> String {
    let suffix = match transform {
        Transform::Identity => return column.to_owned(),
        Transform::Bucket(_) => "bucket",
        Transform::Truncate(_) => "trunc",
        Transform::Year => "year",
        Transform::Month => "month",
        Transform::Day => "day",
        Transform::Hour => "hour",
        Transform::Void => "null",
        Transform::Unknown => "unknown",
    };
    format!("{column}_{suffix}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::infer::KeyType;

    fn spec(fields: &[(&str, &str)]) -> Result<Option<UnboundPartitionSpec>> {
        let keys = [KeyAttribute { name: "id".into(), key_type: KeyType::S }];
        let schema = infer_schema(&[json!({"id": {"S": "a"}, "n": {"N": "1"}})], &keys, Mode::Mirror);
        let schema = lake::schema_from_arrow(&schema).unwrap();
        let field = |(column, transform): &(&str, &str)| PartitionField {
            column: (*column).to_owned(),
            transform: (*transform).to_owned(),
        };
        partition_spec(&schema, &fields.iter().map(field).collect::<Vec<_>>(), "t")
    }

    #[test]
    fn partition_fields_are_named_as_other_libraries_name_them() {
        let spec = spec(&[("id", "bucket[16]"), ("n", "identity")]).unwrap().unwrap();
        let names: Vec<_> = spec.fields().iter().map(|field| (field.source_id, field.name.as_str())).collect();
        assert_eq!(names, [(1, "id_bucket"), (2, "n")]);
        assert!(super::tests::spec(&[]).unwrap().is_none());
    }

    #[test]
    fn a_partition_field_that_cannot_be_says_why() {
        let error = |field| spec(&[field]).unwrap_err().to_string();
        assert_eq!(
            error(("nope", "day")),
            "partition table t by day of `nope`: there is no such column. Try: one of id, n"
        );
        assert_eq!(error(("id", "day")), "partition table t by day of `id`: it is a string, which has no day");
    }
}
