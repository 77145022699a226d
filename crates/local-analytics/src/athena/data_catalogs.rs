//! Data catalogs, and the databases and tables in them.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::athena::execution::without_nulls;
use crate::athena::failure::invalid;
use crate::athena::work_groups::{Tag, administrators_only};
use crate::athena::{Answer, Call};
use crate::catalogs::{self, CatalogName, DEFAULT_CATALOG};
use crate::json::seconds;
use crate::lakehouse::{Column, TableDescription};
use crate::own::{self, GlueTable};
use crate::store::Document;

const PAGE_MAX: usize = 50;

/// A name that somebody gave to a catalog of Glue; the name is the key. Kept as it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataCatalog {
    pub description: Option<String>,
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

impl Document for DataCatalog {
    const KIND: &'static str = "data catalog";
}

fn shown(name: &str, catalog: &DataCatalog) -> Value {
    without_nulls(json!({
        "Name": name,
        "Description": catalog.description,
        "Type": "GLUE",
        "Parameters": catalog.parameters,
        "Status": "CREATE_COMPLETE",
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        name: String,
        r#type: String,
        description: Option<String>,
        #[serde(default)]
        parameters: BTreeMap<String, String>,
        #[serde(default)]
        tags: Vec<Tag>,
    }
    let request: Request = call.parse()?;
    administrators_only(call)?;
    if request.r#type != "GLUE" {
        let message = format!("A data catalog of type {} cannot run here. Try: GLUE", request.r#type);
        return Err(invalid(message));
    }
    let id = request.parameters.get("catalog-id").ok_or_else(|| invalid("Parameters must have catalog-id"))?;
    if CatalogName::parse(Some(id), &call.region.account_id).is_none() {
        return Err(invalid(format!("catalog-id {id} does not exist")));
    }
    let tags = request.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    let catalog = DataCatalog { description: request.description, parameters: request.parameters, tags };
    let is_reserved = CatalogName::parse(Some(&request.name), &call.region.account_id).is_some();
    if is_reserved || !call.store().insert(&call.region.key(), &request.name, &catalog)? {
        return Err(invalid(format!("DataCatalog {} already exists", request.name)));
    }
    Ok(json!({ "DataCatalog": shown(&request.name, &catalog) }))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let Named { name } = call.parse()?;
    if let Some(catalog) = call.store().get(&call.region.key(), &name)? {
        return Ok(json!({ "DataCatalog": shown(&name, &catalog) }));
    }
    let catalog = resolve(call, Some(&name))?;
    let id = catalog.id(&call.region.account_id);
    let parameters = BTreeMap::from([("catalog-id".to_owned(), id)]);
    let catalog = DataCatalog { description: None, parameters, tags: BTreeMap::new() };
    Ok(json!({ "DataCatalog": shown(&name, &catalog) }))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let Named { name } = call.parse()?;
    administrators_only(call)?;
    let region = call.region.key();
    let Some(catalog) = call.store().get::<DataCatalog>(&region, &name)? else {
        return Err(not_found(&name));
    };
    call.store().delete::<DataCatalog>(&region, &name)?;
    Ok(json!({ "DataCatalog": shown(&name, &catalog) }))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let own = call.store().list::<DataCatalog>(&call.region.key(), "")?.into_iter().map(|(name, _)| name);
    let mut names: Vec<String> = std::iter::once(DEFAULT_CATALOG.to_owned()).chain(own).collect();
    names.sort();
    let shown = names.into_iter().map(|name| {
        let summary = json!({ "CatalogName": name, "Type": "GLUE", "Status": "CREATE_COMPLETE" });
        (name, summary)
    });
    super::paging::page(call, "DataCatalogsSummary", shown.collect(), PAGE_MAX)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    catalog_name: String,
    #[serde(default)]
    database_name: String,
    #[serde(default)]
    table_name: String,
    expression: Option<String>,
}

pub(super) fn list_databases(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = resolve(call, Some(&place.catalog_name))?;
    let databases = call.views().databases(&catalog)?.ok_or_else(|| not_found(&place.catalog_name))?;
    let shown = databases.into_iter().map(|name| (name.clone(), json!({ "Name": name, "Parameters": {} })));
    super::paging::page(call, "DatabaseList", shown.collect(), PAGE_MAX)
}

pub(super) fn get_database(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = resolve(call, Some(&place.catalog_name))?;
    let databases = call.views().databases(&catalog)?.ok_or_else(|| not_found(&place.catalog_name))?;
    let name = place.database_name.to_lowercase();
    match databases.contains(&name) {
        true => Ok(json!({ "Database": { "Name": name, "Parameters": {} } })),
        false => Err(metadata(format!("Database {name} not found"))),
    }
}

pub(super) fn list_table_metadata(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = resolve(call, Some(&place.catalog_name))?;
    if let Some(own) = call.views().own_tables(&catalog, &place.database_name)? {
        let is_meant =
            |name: &str| place.expression.as_ref().is_none_or(|expression| catalogs::matches(expression, name));
        let own = own.into_iter().filter(|(name, _)| is_meant(name));
        let shown = own.map(|(name, table)| (name, own_metadata(&table)));
        return super::paging::page(call, "TableMetadataList", shown.collect(), PAGE_MAX);
    }
    let tables = call.views().tables(&catalog, &place.database_name)?;
    let tables = tables.ok_or_else(|| metadata(format!("Database {} not found", place.database_name)))?;
    let is_meant = |table: &TableDescription| {
        place.expression.as_ref().is_none_or(|expression| catalogs::matches(expression, &table.name))
    };
    let shown = tables.iter().filter(|table| is_meant(table)).map(|table| (table.name.clone(), table_metadata(table)));
    super::paging::page(call, "TableMetadataList", shown.collect(), PAGE_MAX)
}

pub(super) fn get_table_metadata(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = resolve(call, Some(&place.catalog_name))?;
    if let Some(table) = call.views().own_table(&catalog, &place.database_name, &place.table_name)? {
        return Ok(json!({ "TableMetadata": own_metadata(&table) }));
    }
    match call.views().table(&catalog, &place.database_name, &place.table_name)? {
        Some(table) => Ok(json!({ "TableMetadata": table_metadata(&table) })),
        None => Err(metadata(format!("Table {}.{} not found", place.database_name, place.table_name))),
    }
}

/// A table or a view that the default catalog keeps itself.
fn own_metadata(table: &GlueTable) -> Value {
    let column = |column: Column| {
        without_nulls(json!({ "Name": column.name, "Type": column.type_name, "Comment": column.comment }))
    };
    let (keys, columns): (Vec<Column>, Vec<Column>) =
        own::columns(&table.input).into_iter().partition(|column| column.is_partition_key);
    let mut parameters = table.input.get("Parameters").cloned().unwrap_or_else(|| json!({}));
    let storage = table.input.get("StorageDescriptor").cloned().unwrap_or_default();
    for (name, value) in [
        ("location", &storage["Location"]),
        ("inputformat", &storage["InputFormat"]),
        ("outputformat", &storage["OutputFormat"]),
        ("serde.serialization.lib", &storage["SerdeInfo"]["SerializationLibrary"]),
    ] {
        if value.as_str().is_some_and(|text| !text.is_empty()) {
            parameters[name] = value.clone();
        }
    }
    json!({
        "Name": table.input.get("Name"),
        "CreateTime": seconds(table.created_ms),
        "LastAccessTime": seconds(table.updated_ms),
        "TableType": table.input.get("TableType").cloned().unwrap_or_else(|| "EXTERNAL_TABLE".into()),
        "Columns": columns.into_iter().map(column).collect::<Vec<_>>(),
        "PartitionKeys": keys.into_iter().map(column).collect::<Vec<_>>(),
        "Parameters": parameters,
    })
}

fn table_metadata(table: &TableDescription) -> Value {
    let column = |column: &Column| {
        without_nulls(json!({ "Name": column.name, "Type": column.type_name, "Comment": column.comment }))
    };
    // To Athena, the partitions of an Iceberg table are hidden, and its columns are all of the same kind.
    let columns: Vec<Value> = table.columns.iter().map(column).collect();
    json!({
        "Name": table.name,
        "CreateTime": seconds(table.created_ms),
        "LastAccessTime": seconds(table.modified_ms),
        "TableType": "EXTERNAL_TABLE",
        "Columns": columns,
        "PartitionKeys": [],
        "Parameters": {
            "EXTERNAL": "TRUE",
            "table_type": "ICEBERG",
            "location": table.location,
            "metadata_location": table.metadata_location.clone().unwrap_or_default(),
        },
    })
}

/// The catalog behind a name: one that somebody gave, or one that all have.
pub(super) fn resolve(call: &Call<'_>, name: Option<&str>) -> Result<CatalogName, AwsError> {
    let given = match name {
        Some(name) => call.store().get::<DataCatalog>(&call.region.key(), name)?,
        None => None,
    };
    let id = given.and_then(|catalog| catalog.parameters.get("catalog-id").cloned());
    CatalogName::parse(id.as_deref().or(name), &call.region.account_id)
        .ok_or_else(|| not_found(name.unwrap_or_default()))
}

fn not_found(name: &str) -> AwsError {
    invalid(format!("Catalog {name} does not exist. Try: s3tablescatalog/BUCKET or {DEFAULT_CATALOG}"))
}

fn metadata(message: String) -> AwsError {
    AwsError::bad_request("MetadataException", message)
}
