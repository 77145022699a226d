//! The table that a pipeline wants: its columns, from the transform or from a sample of items.

use lake::TableCreation;
use pipeline::{Attributes, KeyAttribute};
use provision::resource::IcebergTable;
use serde_json::{Value, json};

use super::Lake;
use super::egress::Egress;
use crate::aws::Aws;
use crate::config::{Catalog, PipelineFile};
use crate::failure::{Exit, Failure, Outcome};
use crate::wiring::pipelines::{SAMPLE_ITEMS, function_of, target_of};

/// What is known of it before it is there.
pub struct Wanted {
    pub creation: TableCreation,
    pub summary: String,
    /// Names the SQL; empty without one.
    pub transform_id: String,
    pub egress: Egress,
}

/// Finds out what the table of `file` is to be.
pub async fn wanted(file: &PipelineFile, lake: &Lake, aws: &Aws) -> Outcome<Wanted> {
    let (table, keys) = pipeline::find_keys(&aws.config, &file.source_table).await?;
    let items = pipeline::sample_items(&aws.config, &table, SAMPLE_ITEMS).await?;
    let target = target_of(file);
    let named = |creation: TableCreation, transform_id: String, egress: Egress| {
        let summary = summary(&creation, &keys, file);
        Wanted { creation, summary, transform_id, egress }
    };
    if let Some(transform) = &file.transform {
        let existing = existing(lake, aws, &target).await;
        let attributes = transform.attributes(&keys, &items, existing.as_ref())?;
        let attributes = if items.is_empty() { assumed(file, attributes)? } else { attributes };
        let sql = transform.compile(&attributes, file.mode, existing.as_ref())?;
        let egress = Egress::of(&sql, transform, &attributes);
        return Ok(named(target.definition_for(&sql)?, sql.id().to_owned(), egress));
    }
    let items = match function_of(file, aws, &file.source_table)? {
        Some(lambda) => lambda.apply_to_items(&keys, &items).await?,
        None => items,
    };
    let egress = if file.lambda.is_some() { Egress::opaque() } else { Egress::everything() };
    Ok(named(target.definition(&keys, &items)?, String::new(), egress))
}

/// Types that nobody has seen are taken from the file's tests, or not at all.
fn assumed(file: &PipelineFile, attributes: Attributes) -> Outcome<Attributes> {
    let Some(transform) = &file.transform else { return Ok(attributes) };
    match transform.compile_leaky(&attributes, file.mode, None)? {
        Ok(_) => Ok(attributes),
        Err(problem) => {
            let table = &file.source_table;
            let message = format!("the table {table} has no items to tell the columns by; write one first: {problem}");
            Err(Failure::new(Exit::Configuration, message))
        }
    }
}

async fn existing(lake: &Lake, aws: &Aws, target: &pipeline::Target) -> Option<iceberg::table::Table> {
    let catalog = match lake {
        Lake::Rest(catalog) => catalog.clone(),
        Lake::TableBucket(name) => {
            let region = aws.region();
            let account = aws.services().await.ok()?.caller.account;
            Catalog::TableBucket { arn: format!("arn:aws:s3tables:{region}:{account}:bucket/{name}"), region }
        }
    };
    // A bucket that is not there yet has no table either.
    aws.lake(Some(&catalog)).await.ok()?.load_table(&target.table).await.ok()
}

fn summary(creation: &TableCreation, keys: &[KeyAttribute], file: &PipelineFile) -> String {
    let columns = creation.schema.as_struct().fields().len();
    let keys: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let partition: Vec<String> = file
        .partition
        .iter()
        .map(|field| match field.transform.as_str() {
            "identity" => field.column.clone(),
            transform => format!("{transform}({})", field.column),
        })
        .collect();
    let partition = if partition.is_empty() { String::new() } else { format!(", partition {}", partition.join(", ")) };
    format!("{columns} columns, key {}{partition}", keys.join(" and "))
}

impl Wanted {
    /// The table in a table bucket. Without `wanted`, it serves to look for it and to remove it.
    pub fn table(wanted: Option<Self>, table_bucket: String, file: &PipelineFile) -> IcebergTable {
        let (definition, summary) = match &wanted {
            Some(wanted) => (wanted.definition(), wanted.summary.clone()),
            None => (Value::Null, String::new()),
        };
        let (namespace, name) = (file.target.namespace.clone(), file.target.table.clone());
        IcebergTable { table_bucket, namespace, name, definition, summary }
    }

    /// As CreateTable of S3 Tables has it.
    fn definition(&self) -> Value {
        let schema = serde_json::to_value(&self.creation.schema).unwrap_or_default();
        let mut definition = json!({
            "schemaV2": {
                "type": "struct",
                "fields": schema["fields"],
                "identifier-field-ids": schema.get("identifier-field-ids").cloned().unwrap_or_else(|| json!([])),
            },
            "properties": self.creation.properties,
        });
        if let Some(spec) = &self.creation.partition_spec {
            definition["partitionSpec"] = serde_json::to_value(spec).unwrap_or_default();
        }
        definition
    }
}
