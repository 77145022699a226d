//! What grants are on, as the API writes it.

use std::collections::BTreeSet;

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalogs::{self, CatalogName};
use crate::lake_formation::{Call, invalid, not_found};
use crate::lakehouse::TableDescription;
use crate::own;
use crate::policy::{Granted, TableId};

/// One of the members stands there.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Resource {
    catalog: Option<CatalogResource>,
    database: Option<DatabaseResource>,
    table: Option<TableResource>,
    table_with_columns: Option<ColumnsResource>,
    data_location: Option<LocationResource>,
    data_cells_filter: Option<FilterResource>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CatalogResource {
    id: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DatabaseResource {
    catalog_id: Option<String>,
    name: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TableResource {
    pub catalog_id: Option<String>,
    pub database_name: String,
    pub name: Option<String>,
    table_wildcard: Option<Value>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ColumnsResource {
    catalog_id: Option<String>,
    database_name: String,
    name: String,
    #[serde(default)]
    column_names: Vec<String>,
    column_wildcard: Option<ColumnWildcard>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ColumnWildcard {
    #[serde(default)]
    pub excluded_column_names: Vec<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LocationResource {
    resource_arn: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterResource {
    table_catalog_id: Option<String>,
    database_name: String,
    table_name: String,
    name: String,
}

impl Resource {
    /// The resource by its real names; a link stands for what it leads to. It must exist.
    pub(super) fn find(&self, call: &Call<'_>) -> Result<Granted, AwsError> {
        if let Some(catalog) = &self.catalog {
            return Ok(Granted::Catalog { catalog: catalog_name(call, catalog.id.as_deref())?.path() });
        }
        if let Some(database) = &self.database {
            let catalog = catalog_name(call, database.catalog_id.as_deref())?;
            let name = database.name.to_lowercase();
            check_database(call, &catalog, &name)?;
            return Ok(Granted::Database { catalog: catalog.path(), database: name });
        }
        if let Some(table) = &self.table {
            return match (&table.name, &table.table_wildcard) {
                (Some(name), None) => {
                    let (id, _) = find_table(call, table.catalog_id.as_deref(), &table.database_name, name)?;
                    Ok(Granted::Table(id))
                }
                (None, Some(_)) => {
                    let catalog = catalog_name(call, table.catalog_id.as_deref())?;
                    let id = place(call, &catalog, &table.database_name, "")?;
                    Ok(Granted::AllTables { catalog: id.catalog, database: id.database })
                }
                _ => Err(invalid("A table resource must have either Name or TableWildcard")),
            };
        }
        if let Some(table) = &self.table_with_columns {
            return table.find(call);
        }
        if let Some(location) = &self.data_location {
            return Ok(Granted::DataLocation { arn: location.resource_arn.clone() });
        }
        if let Some(filter) = &self.data_cells_filter {
            let (id, _) =
                find_table(call, filter.table_catalog_id.as_deref(), &filter.database_name, &filter.table_name)?;
            let policy = call.service.grants.policy(&call.region)?;
            let is_there = policy.filters.iter().any(|known| known.table == id && known.name == filter.name);
            return match is_there {
                true => Ok(Granted::CellsFilter(id, filter.name.clone())),
                false => Err(not_found(format!("Data cells filter {} not found", filter.name))),
            };
        }
        Err(invalid(
            "Resource is mandatory, of a kind that is served: Catalog, Database, Table, TableWithColumns, DataLocation or DataCellsFilter",
        ))
    }
}

impl ColumnsResource {
    fn find(&self, call: &Call<'_>) -> Result<Granted, AwsError> {
        let (id, table) = find_table(call, self.catalog_id.as_deref(), &self.database_name, &self.name)?;
        match (self.column_names.is_empty(), &self.column_wildcard) {
            (false, None) => Ok(Granted::Columns(id, columns_of(&table, &self.column_names)?)),
            (true, Some(wildcard)) => {
                let excluded = columns_of(&table, &wildcard.excluded_column_names)?;
                Ok(if excluded.is_empty() { Granted::Table(id) } else { Granted::AllColumnsBut(id, excluded) })
            }
            _ => Err(invalid("A table with columns must have either ColumnNames or ColumnWildcard")),
        }
    }
}

/// Names of columns in lower case; each must be one of the table's.
pub(super) fn columns_of(table: &TableDescription, names: &[String]) -> Result<BTreeSet<String>, AwsError> {
    let known: BTreeSet<String> = table.columns.iter().map(|column| column.name.to_lowercase()).collect();
    let names: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
    match names.iter().find(|name| !known.contains(*name)) {
        Some(unknown) => Err(invalid(format!("Column {unknown} does not exist in table {}", table.name))),
        None => Ok(names),
    }
}

/// A table that exists, by its real names.
pub(super) fn find_table(
    call: &Call<'_>,
    catalog_id: Option<&str>,
    database: &str,
    name: &str,
) -> Result<(TableId, TableDescription), AwsError> {
    let catalog = catalog_name(call, catalog_id)?;
    let id = place(call, &catalog, database, name)?;
    let found = match CatalogName::parse(Some(&id.catalog), &call.region.account_id) {
        Some(CatalogName::TableBucket(bucket)) => {
            call.service.lakehouse.table(&call.region, &bucket, &id.database, &id.table)?
        }
        _ => own_table(call, &id)?,
    };
    let table = found.ok_or_else(|| not_found(format!("Table {database}.{name} not found")))?;
    Ok((id, table))
}

/// A table or a view that the default catalog keeps itself.
fn own_table(call: &Call<'_>, id: &TableId) -> Result<Option<TableDescription>, AwsError> {
    let found = own::table(&call.service.store, &call.region, &id.database, &id.table)?;
    Ok(found.map(|table| TableDescription {
        name: id.table.clone(),
        location: String::new(),
        metadata_location: None,
        created_ms: table.created_ms,
        modified_ms: table.updated_ms,
        columns: own::columns(&table.input),
    }))
}

pub(super) fn catalog_name(call: &Call<'_>, id: Option<&str>) -> Result<CatalogName, AwsError> {
    let found = CatalogName::parse(id, &call.region.account_id);
    found.ok_or_else(|| not_found(format!("Catalog {} not found", id.unwrap_or_default())))
}

fn place(call: &Call<'_>, catalog: &CatalogName, database: &str, table: &str) -> Result<TableId, AwsError> {
    check_database(call, catalog, &database.to_lowercase())?;
    let target = catalogs::namespace(&call.service.store, &call.region, catalog, database)?;
    Ok(match target {
        Some(target) => TableId::new(&CatalogName::TableBucket(target.table_bucket), &target.namespace, table),
        None => TableId::new(catalog, database, table),
    })
}

fn check_database(call: &Call<'_>, catalog: &CatalogName, name: &str) -> Result<(), AwsError> {
    let is_there = match catalog {
        CatalogName::TableBuckets => false,
        CatalogName::TableBucket(bucket) => {
            let namespaces = call.service.lakehouse.namespaces(&call.region, bucket)?;
            namespaces.is_some_and(|namespaces| namespaces.iter().any(|namespace| namespace == name))
        }
        CatalogName::Default => {
            let found = call.service.store.get::<catalogs::Database>(&call.region.key(), name)?;
            found.is_some() || name == catalogs::DEFAULT_DATABASE
        }
    };
    if is_there { Ok(()) } else { Err(not_found(format!("Database {name} not found"))) }
}

/// A resource as ListPermissions shows it.
pub(super) fn shown(granted: &Granted, account_id: &str) -> Value {
    let catalog_id = |path: &str| if path.is_empty() { account_id.to_owned() } else { format!("{account_id}:{path}") };
    let columns =
        |id: &TableId| json!({ "CatalogId": catalog_id(&id.catalog), "DatabaseName": id.database, "Name": id.table });
    match granted {
        Granted::Catalog { catalog } => json!({ "Catalog": { "Id": catalog_id(catalog) } }),
        Granted::Database { catalog, database } => {
            json!({ "Database": { "CatalogId": catalog_id(catalog), "Name": database } })
        }
        Granted::Table(id) => json!({ "Table": columns(id) }),
        Granted::AllTables { catalog, database } => json!({
            "Table": { "CatalogId": catalog_id(catalog), "DatabaseName": database, "TableWildcard": {} },
        }),
        Granted::Columns(id, names) => {
            let mut table = columns(id);
            table["ColumnNames"] = json!(names);
            json!({ "TableWithColumns": table })
        }
        Granted::AllColumnsBut(id, names) => {
            let mut table = columns(id);
            table["ColumnWildcard"] = json!({ "ExcludedColumnNames": names });
            json!({ "TableWithColumns": table })
        }
        Granted::DataLocation { arn } => json!({ "DataLocation": { "CatalogId": account_id, "ResourceArn": arn } }),
        Granted::CellsFilter(id, name) => json!({
            "DataCellsFilter": {
                "TableCatalogId": catalog_id(&id.catalog),
                "DatabaseName": id.database,
                "TableName": id.table,
                "Name": name,
            },
        }),
    }
}

/// As requests name the kind, for a filter on a list.
pub(super) fn kind(granted: &Granted) -> &'static str {
    match granted {
        Granted::Catalog { .. } => "CATALOG",
        Granted::Database { .. } => "DATABASE",
        Granted::DataLocation { .. } => "DATA_LOCATION",
        Granted::Table(_) | Granted::AllTables { .. } | Granted::Columns(..) | Granted::AllColumnsBut(..) => "TABLE",
        Granted::CellsFilter(..) => "DATA_CELLS_FILTER",
    }
}
