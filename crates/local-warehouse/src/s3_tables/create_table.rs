//! CreateTable: a table with or without a schema.

use std::collections::{BTreeMap, HashMap};

use aws_wire::AwsError;
use iceberg::spec::{NestedField, NestedFieldRef, Schema, SortOrder, UnboundPartitionSpec};
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
    schema_v2: Option<IcebergSchemaV2>,
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

/// Columns of any type, in Iceberg's own JSON. Schemas are numbered by the table.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct IcebergSchemaV2 {
    r#type: String,
    fields: Vec<Value>,
    #[serde(default)]
    identifier_field_ids: Vec<i32>,
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

/// Each commit leaves a metadata file that lists all snapshots. What S3 Tables does about them is not documented; here the
/// last twenty stay, unless the table's owner asks for something else.
const METADATA_FILES: [(&str, &str); 2] =
    [("write.metadata.delete-after-commit.enabled", "true"), ("write.metadata.previous-versions-max", "20")];

fn definition(metadata: IcebergMetadata) -> Result<TableDefinition, AwsError> {
    let schema = match (metadata.schema, metadata.schema_v2) {
        (Some(schema), None) => schema.into_schema_v2(),
        (None, Some(schema)) => schema,
        _ => return Err(error::bad_request("The metadata must have either schema or schemaV2")),
    };
    let mut properties = metadata.properties;
    for (name, value) in METADATA_FILES {
        properties.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    Ok(TableDefinition {
        schema: schema.into_schema()?,
        partition_spec: metadata.partition_spec,
        sort_order: metadata.write_order,
        properties,
    })
}

impl IcebergSchema {
    /// Columns without an id get the next free one, in order.
    fn into_schema_v2(self) -> IcebergSchemaV2 {
        let mut next_id = self.fields.iter().filter_map(|field| field.id).max().unwrap_or(0);
        let numbered = self.fields.into_iter().map(|field| {
            let id = field.id.unwrap_or_else(|| {
                next_id += 1;
                next_id
            });
            json!({ "id": id, "name": field.name, "type": field.r#type, "required": field.required })
        });
        IcebergSchemaV2 { r#type: "struct".to_owned(), fields: numbered.collect(), identifier_field_ids: Vec::new() }
    }
}

impl IcebergSchemaV2 {
    fn into_schema(self) -> Result<Schema, AwsError> {
        if self.r#type != "struct" {
            return Err(error::bad_request(format!("The type of a schema must be struct, not {}", self.r#type)));
        }
        if self.fields.is_empty() {
            return Err(error::bad_request("The schema must have at least one field"));
        }
        let fields: Vec<NestedFieldRef> = self.fields.into_iter().map(field).collect::<Result<_, _>>()?;
        let schema = Schema::builder().with_fields(fields).with_identifier_field_ids(self.identifier_field_ids).build();
        schema.map_err(|cause| error::bad_request(format!("The schema is not valid: {}", cause.message())))
    }
}

/// Reads one column. Iceberg's own reader does not say which one is wrong.
fn field(json: Value) -> Result<NestedFieldRef, AwsError> {
    serde_json::from_value::<NestedField>(json.clone()).map(Into::into).map_err(|_| {
        let name = json["name"].as_str().unwrap_or("without a name");
        error::bad_request(format!(
            "The column {name} is not valid: it needs id, name, required and a type of Iceberg, which {} is not",
            json["type"]
        ))
    })
}
