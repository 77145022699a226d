//! CreateTable: a table with or without a schema.

use std::collections::{BTreeMap, HashMap};

use aws_wire::AwsError;
use iceberg::spec::{Schema, SortOrder, UnboundPartitionSpec};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::{NewTable, TableBucketArn, TableDefinition, TableName};
use crate::s3_tables::table_buckets::{
    EncryptionConfiguration, StorageClassConfiguration, check_encryption, check_storage_class,
};
use crate::s3_tables::{Answer, Call, error, ok, tags};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateTableRequest {
    name: String,
    format: String,
    metadata: Option<TableMetadata>,
    encryption_configuration: Option<EncryptionConfiguration>,
    storage_class_configuration: Option<StorageClassConfiguration>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableMetadata {
    iceberg: IcebergMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IcebergMetadata {
    schema: Option<IcebergSchema>,
    schema_v2: Option<Value>,
    /// As in Iceberg's own JSON.
    partition_spec: Option<UnboundPartitionSpec>,
    write_order: Option<SortOrder>,
    #[serde(default)]
    properties: HashMap<String, String>,
}

/// Columns of primitive types.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IcebergSchema {
    fields: Vec<SchemaField>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaField {
    id: Option<i32>,
    name: String,
    r#type: String,
    #[serde(default)]
    required: bool,
}

pub(super) fn create(call: &Call<'_>, arn: &str, namespace: &str) -> Answer {
    let bucket = TableBucketArn::parse(arn)?;
    let request: CreateTableRequest = call.body()?;
    if request.format != "ICEBERG" {
        return Err(error::bad_request(format!("The format must be ICEBERG, not {}", request.format)));
    }
    check_encryption(request.encryption_configuration.as_ref())?;
    check_storage_class(request.storage_class_configuration.as_ref())?;
    tags::check(&request.tags)?;
    let definition = request.metadata.map(|metadata| definition(metadata.iceberg)).transpose()?;
    let name = TableName { namespace: namespace.to_owned(), name: request.name };
    let new = NewTable { bucket: &bucket, name: &name, created_by: call.account(), tags: request.tags };
    let (table, _) = call.catalog.create_table(&new, definition)?;
    ok(&json!({ "tableARN": table.arn.to_string(), "versionToken": table.version_token }))
}

fn definition(metadata: IcebergMetadata) -> Result<TableDefinition, AwsError> {
    let schema = match (metadata.schema, metadata.schema_v2) {
        (Some(schema), None) => flat_schema(&schema),
        (None, Some(schema)) => schema,
        _ => return Err(error::bad_request("The metadata must have either schema or schemaV2")),
    };
    let schema: Schema = serde_json::from_value(schema)
        .map_err(|cause| error::bad_request(format!("The schema is not valid: {cause}")))?;
    if schema.as_struct().fields().is_empty() {
        return Err(error::bad_request("The schema must have at least one field"));
    }
    Ok(TableDefinition {
        schema,
        partition_spec: metadata.partition_spec,
        sort_order: metadata.write_order,
        properties: metadata.properties,
    })
}

/// Iceberg's JSON for columns of primitive types; those without an id get the next free one, in order.
fn flat_schema(schema: &IcebergSchema) -> Value {
    let mut next_id = schema.fields.iter().filter_map(|field| field.id).max().unwrap_or(0);
    let fields: Vec<Value> = schema
        .fields
        .iter()
        .map(|field| {
            let id = field.id.unwrap_or_else(|| {
                next_id += 1;
                next_id
            });
            json!({ "id": id, "name": field.name, "type": field.r#type, "required": field.required })
        })
        .collect();
    json!({ "type": "struct", "schema-id": 0, "fields": fields })
}
