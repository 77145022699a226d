//! The first metadata of a table.

use std::collections::HashMap;

use iceberg::spec::{FormatVersion, Schema, SortOrder, TableMetadata, TableMetadataBuilder, UnboundPartitionSpec};

use crate::catalog::error::{CatalogError, Result};
use crate::catalog::{Catalog, locations, schema_change};

/// What a table is created with. Field, spec and order ids are assigned afresh, as every catalog does.
#[derive(Debug)]
pub(crate) struct TableDefinition {
    pub schema: Schema,
    pub partition_spec: Option<UnboundPartitionSpec>,
    pub sort_order: Option<SortOrder>,
    pub properties: HashMap<String, String>,
}

impl Catalog {
    pub(super) fn first_metadata(&self, mut definition: TableDefinition, location: String) -> Result<TableMetadata> {
        locations::check_properties(&location, &definition.properties)?;
        schema_change::check_types(&definition.schema)?;
        // Not a property of the table, but how it begins.
        let format_version = match definition.properties.remove("format-version").as_deref() {
            None | Some("2") => FormatVersion::V2,
            Some("1") => FormatVersion::V1,
            Some("3") => FormatVersion::V3,
            Some(other) => return Err(CatalogError::invalid(format!("there is no format version {other}"))),
        };
        let spec = definition.partition_spec.unwrap_or_default();
        let order = definition.sort_order.unwrap_or_else(SortOrder::unsorted_order);
        let uuid = self.ambient.uuid();
        let built =
            TableMetadataBuilder::new(definition.schema, spec, order, location, format_version, definition.properties)
                .and_then(|builder| builder.assign_uuid(uuid).build());
        Ok(built.map_err(|error| CatalogError::invalid(error.message()))?.metadata)
    }
}
