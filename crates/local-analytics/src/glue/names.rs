//! Catalogs, databases and tables, as far as the caller may know of them.

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::catalogs::{self, CatalogName, DEFAULT_DATABASE, Database, TABLE_BUCKETS};
use crate::glue::{Answer, Call, invalid, not_found, tables};
use crate::json::seconds;
use crate::lakehouse::{Column, TableDescription};

const PAGE_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Place {
    catalog_id: Option<String>,
    #[serde(default)]
    database_name: String,
    /// Of a database or a table, whichever the operation is about.
    #[serde(default)]
    name: String,
    #[serde(default)]
    table_name: String,
    expression: Option<String>,
}

pub(super) fn get_catalogs(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        parent_catalog_id: Option<String>,
        #[serde(default)]
        recursive: bool,
        #[serde(default)]
        include_root: bool,
    }
    let request: Request = call.parse()?;
    let buckets = || -> Result<Vec<CatalogName>, AwsError> {
        Ok(call.view().table_buckets()?.into_iter().map(CatalogName::TableBucket).collect())
    };
    let mut listed = match call.catalog(request.parent_catalog_id.as_deref())? {
        CatalogName::TableBuckets => buckets()?,
        CatalogName::TableBucket(_) => Vec::new(),
        CatalogName::Default if request.recursive => {
            [CatalogName::TableBuckets].into_iter().chain(buckets()?).collect()
        }
        CatalogName::Default => vec![CatalogName::TableBuckets],
    };
    if request.include_root {
        listed.insert(0, CatalogName::Default);
    }
    let shown = listed.iter().map(|catalog| (catalog.path(), catalog_shown(call, catalog)));
    page(call, "CatalogList", shown.collect())
}

pub(super) fn get_catalog(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = call.catalog(place.catalog_id.as_deref())?;
    let is_there = match &catalog {
        CatalogName::TableBucket(bucket) => call.view().table_buckets()?.contains(bucket),
        CatalogName::Default | CatalogName::TableBuckets => true,
    };
    match is_there {
        true => Ok(json!({ "Catalog": catalog_shown(call, &catalog) })),
        false => Err(not_found(format!("Catalog {} not found.", catalog.path()))),
    }
}

fn catalog_shown(call: &Call<'_>, catalog: &CatalogName) -> Value {
    let (account_id, region) = (&call.region.account_id, &call.region.name);
    let path = catalog.path();
    let slash = if path.is_empty() { "" } else { "/" };
    let mut shown = json!({
        "CatalogId": catalog.id(account_id),
        "Name": match catalog {
            CatalogName::Default => account_id.as_str(),
            CatalogName::TableBuckets => TABLE_BUCKETS,
            CatalogName::TableBucket(bucket) => bucket,
        },
        "ResourceArn": format!("arn:aws:glue:{region}:{account_id}:catalog{slash}{path}"),
        "Parameters": {},
    });
    let bucket = match catalog {
        CatalogName::Default => return shown,
        CatalogName::TableBuckets => "*",
        CatalogName::TableBucket(bucket) => bucket,
    };
    shown["FederatedCatalog"] = json!({
        "Identifier": format!("arn:aws:s3tables:{region}:{account_id}:bucket/{bucket}"),
        "ConnectionName": "aws:s3tables",
    });
    shown
}

pub(super) fn get_databases(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = call.catalog(place.catalog_id.as_deref())?;
    let databases = call.view().databases(&catalog)?;
    let databases = databases.ok_or_else(|| not_found(format!("Catalog {} not found.", catalog.path())))?;
    let shown: Result<Vec<(String, Value)>, AwsError> =
        databases.into_iter().map(|name| Ok((name.clone(), database_shown(call, &catalog, &name)?))).collect();
    page(call, "DatabaseList", shown?)
}

pub(super) fn get_database(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = call.catalog(place.catalog_id.as_deref())?;
    let name = place.name.to_lowercase();
    if !call.view().databases(&catalog)?.is_some_and(|databases| databases.contains(&name)) {
        return Err(not_found(format!("Database {name} not found.")));
    }
    Ok(json!({ "Database": database_shown(call, &catalog, &name)? }))
}

fn database_shown(call: &Call<'_>, catalog: &CatalogName, name: &str) -> Result<Value, AwsError> {
    let account_id = &call.region.account_id;
    let mut shown = json!({ "Name": name, "Parameters": {}, "CatalogId": catalog.id(account_id) });
    if let CatalogName::TableBucket(bucket) = catalog {
        let identifier = format!("arn:aws:s3tables:{}:{account_id}:bucket/{bucket}|{name}", call.region.name);
        shown["FederatedDatabase"] = json!({ "Identifier": identifier, "ConnectionName": "aws:s3tables" });
        return Ok(shown);
    }
    let Some(database) = call.glue.store.get::<Database>(&call.region.key(), name)? else {
        if name == DEFAULT_DATABASE {
            shown["Description"] = "Default Hive database".into();
        }
        return Ok(shown);
    };
    shown["CreateTime"] = seconds(database.created_ms);
    shown["Parameters"] = json!(database.parameters);
    if let Some(description) = database.description {
        shown["Description"] = description.into();
    }
    if let Some(location) = database.location {
        shown["LocationUri"] = location.into();
    }
    if let Some(target) = database.target {
        let of = CatalogName::TableBucket(target.table_bucket);
        shown["TargetDatabase"] = json!({ "CatalogId": of.id(account_id), "DatabaseName": target.namespace });
    }
    Ok(shown)
}

pub(super) fn get_tables(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = call.catalog(place.catalog_id.as_deref())?;
    if let Some(own) = call.view().own_tables(&catalog, &place.database_name)? {
        let is_meant =
            |name: &str| place.expression.as_ref().is_none_or(|expression| catalogs::matches(expression, name));
        let own = own.into_iter().filter(|(name, _)| is_meant(name));
        let shown = own.map(|(name, table)| (name, tables::shown(call, &place.database_name, &table)));
        return page(call, "TableList", shown.collect());
    }
    let tables = call.view().tables(&catalog, &place.database_name)?;
    let tables = tables.ok_or_else(|| not_found(format!("Database {} not found.", place.database_name)))?;
    let is_meant = |table: &&TableDescription| {
        place.expression.as_ref().is_none_or(|expression| catalogs::matches(expression, &table.name))
    };
    let shown = tables
        .iter()
        .filter(is_meant)
        .map(|table| (table.name.clone(), table_shown(call, &catalog, &place.database_name, table)));
    page(call, "TableList", shown.collect())
}

pub(super) fn get_table(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = call.catalog(place.catalog_id.as_deref())?;
    if let Some(table) = call.view().own_table(&catalog, &place.database_name, &place.name)? {
        return Ok(json!({ "Table": tables::shown(call, &place.database_name, &table) }));
    }
    let table = find_table(call, &catalog, &place.database_name, &place.name)?;
    Ok(json!({ "Table": table_shown(call, &catalog, &place.database_name, &table) }))
}

/// One version: the others are in the table's own metadata.
pub(super) fn get_table_versions(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = call.catalog(place.catalog_id.as_deref())?;
    if let Some(table) = call.view().own_table(&catalog, &place.database_name, &place.table_name)? {
        let shown = tables::shown(call, &place.database_name, &table);
        return Ok(json!({ "TableVersions": [{ "VersionId": shown["VersionId"], "Table": shown }] }));
    }
    let table = find_table(call, &catalog, &place.database_name, &place.table_name)?;
    let shown = table_shown(call, &catalog, &place.database_name, &table);
    Ok(json!({ "TableVersions": [{ "Table": shown, "VersionId": "0" }] }))
}

/// Tables of the default catalog alone, as on AWS, by a part of their name.
pub(super) fn search_tables(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        search_text: Option<String>,
    }
    let Request { search_text } = call.parse()?;
    let text = search_text.unwrap_or_default().trim_matches(['"', '*']).to_lowercase();
    let mut found = Vec::new();
    for database in call.view().databases(&CatalogName::Default)?.unwrap_or_default() {
        for (name, table) in call.view().own_tables(&CatalogName::Default, &database)?.unwrap_or_default() {
            if name.contains(&text) {
                found.push((format!("{database}/{name}"), tables::shown(call, &database, &table)));
            }
        }
    }
    page(call, "TableList", found)
}

pub(super) fn get_partition_indexes(call: &Call<'_>) -> Answer {
    let place: Place = call.parse()?;
    let catalog = call.catalog(place.catalog_id.as_deref())?;
    if call.view().own_table(&catalog, &place.database_name, &place.table_name)?.is_none() {
        find_table(call, &catalog, &place.database_name, &place.table_name)?;
    }
    Ok(json!({ "PartitionIndexDescriptorList": [] }))
}

pub(super) fn find_table(
    call: &Call<'_>,
    catalog: &CatalogName,
    database: &str,
    name: &str,
) -> Result<TableDescription, AwsError> {
    let found = call.view().table(catalog, database, name)?;
    found.ok_or_else(|| not_found(format!("Entity Not Found: table {database}.{name}")))
}

fn table_shown(call: &Call<'_>, catalog: &CatalogName, database: &str, table: &TableDescription) -> Value {
    let column = |column: &Column| {
        let mut shown = json!({ "Name": column.name, "Type": column.type_name });
        if let Some(comment) = &column.comment {
            shown["Comment"] = comment.as_str().into();
        }
        shown
    };
    let columns: Vec<Value> = table.columns.iter().map(column).collect();
    let mut parameters = Map::new();
    parameters.insert("table_type".to_owned(), "ICEBERG".into());
    parameters.insert("EXTERNAL".to_owned(), "TRUE".into());
    if let Some(location) = &table.metadata_location {
        parameters.insert("metadata_location".to_owned(), location.as_str().into());
    }
    json!({
        "Name": table.name,
        "DatabaseName": database.to_lowercase(),
        "CatalogId": catalog.id(&call.region.account_id),
        "Owner": call.region.account_id,
        "CreateTime": seconds(table.created_ms),
        "UpdateTime": seconds(table.modified_ms),
        "Retention": 0,
        "TableType": "EXTERNAL_TABLE",
        "StorageDescriptor": {
            "Columns": columns,
            "Location": table.location,
            "Compressed": false,
            "NumberOfBuckets": 0,
            "SerdeInfo": {},
            "SortColumns": [],
            "StoredAsSubDirectories": false,
        },
        "PartitionKeys": [],
        "Parameters": parameters,
        "IsRegisteredWithLakeFormation": true,
        "VersionId": "0",
    })
}

/// One page of a list, in the order that it has.
pub(super) fn page(call: &Call<'_>, name: &str, items: Vec<(String, Value)>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page {
        next_token: Option<String>,
        max_results: Option<usize>,
    }
    let Page { next_token, max_results } = call.parse()?;
    let count_max = max_results.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let start = match next_token.as_deref() {
        None | Some("") => 0,
        Some(token) => match items.iter().position(|(key, _)| key == token) {
            Some(last) => last + 1,
            None => return Err(invalid("NextToken is not one of this list")),
        },
    };
    let is_last = start + count_max >= items.len();
    let page: Vec<(String, Value)> = items.into_iter().skip(start).take(count_max).collect();
    let mut answer = json!({});
    if let Some((last, _)) = page.last().filter(|_| !is_last) {
        answer["NextToken"] = last.as_str().into();
    }
    answer[name] = page.into_iter().map(|(_, value)| value).collect();
    Ok(answer)
}
