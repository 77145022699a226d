//! Data cells filters: some columns of some rows, under a name.

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::lake_formation::resource::{ColumnWildcard, TableResource, catalog_name, columns_of, find_table};
use crate::lake_formation::{Answer, Call, invalid, not_found};
use crate::policy::{CellsFilter, TableId};
use crate::store::{Store, StoreError};

const EXPRESSION_CHARACTERS_MAX: usize = 2_048;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    table_catalog_id: Option<String>,
    database_name: String,
    table_name: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TableData {
    #[serde(flatten)]
    named: Named,
    #[serde(default)]
    row_filter: RowFilter,
    #[serde(default)]
    column_names: Vec<String>,
    column_wildcard: Option<ColumnWildcard>,
    version_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RowFilter {
    filter_expression: Option<String>,
    all_rows_wildcard: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    table_data: TableData,
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let Request { table_data } = call.parse()?;
    call.administrators_only()?;
    let filter = read(call, table_data)?;
    let is_new = write(call, |store| store.insert(&call.region.key(), &key(&filter.table, &filter.name), &filter))?;
    if is_new {
        return Ok(json!({}));
    }
    Err(AwsError::bad_request("AlreadyExistsException", format!("Data cells filter {} already exists", filter.name)))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let Request { table_data } = call.parse()?;
    call.administrators_only()?;
    let known = find(call, &table_data.named)?;
    if table_data.version_id.as_ref().is_some_and(|version| *version != known.version) {
        let message = "The data cells filter was changed meanwhile";
        return Err(AwsError::bad_request("ConcurrentModificationException", message));
    }
    let filter = read(call, table_data)?;
    write(call, |store| store.put(&call.region.key(), &key(&filter.table, &filter.name), &filter))?;
    Ok(json!({}))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let named: Named = call.parse()?;
    call.administrators_only()?;
    Ok(json!({ "DataCellsFilter": shown(&find(call, &named)?, &call.region.account_id) }))
}

/// Deletes a filter. Grants on it stay, and show nothing.
pub(super) fn delete(call: &Call<'_>) -> Answer {
    let named: Named = call.parse()?;
    call.administrators_only()?;
    let known = find(call, &named)?;
    write(call, |store| store.delete::<CellsFilter>(&call.region.key(), &key(&known.table, &known.name)))?;
    Ok(json!({}))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        table: Option<TableResource>,
    }
    let Request { table } = call.parse()?;
    call.administrators_only()?;
    let of = match &table {
        Some(table) => {
            let name = table.name.as_deref().unwrap_or_default();
            Some(find_table(call, table.catalog_id.as_deref(), &table.database_name, name)?.0)
        }
        None => None,
    };
    let policy = call.service.grants.policy(&call.region)?;
    let meant = policy.filters.iter().filter(|filter| of.as_ref().is_none_or(|of| filter.table == *of));
    let shown: Vec<Value> = meant.map(|filter| shown(filter, &call.region.account_id)).collect();
    Ok(json!({ "DataCellsFilters": shown }))
}

fn read(call: &Call<'_>, data: TableData) -> Result<CellsFilter, AwsError> {
    let named = &data.named;
    let (id, table) = find_table(call, named.table_catalog_id.as_deref(), &named.database_name, &named.table_name)?;
    let row_filter = match (data.row_filter.filter_expression, data.row_filter.all_rows_wildcard) {
        (Some(_), Some(_)) => return Err(invalid("RowFilter takes either FilterExpression or AllRowsWildcard")),
        (Some(expression), None) => Some(checked(expression)?),
        (None, _) => None,
    };
    let wildcard = data.column_wildcard;
    if !data.column_names.is_empty() && wildcard.is_some() {
        return Err(invalid("A data cells filter takes either ColumnNames or ColumnWildcard"));
    }
    let columns = match data.column_names.is_empty() {
        true if wildcard.is_none() => return Err(invalid("A data cells filter needs ColumnNames or ColumnWildcard")),
        true => None,
        false => Some(columns_of(&table, &data.column_names)?),
    };
    let excluded = columns_of(&table, &wildcard.unwrap_or_default().excluded_column_names)?;
    let version = call.service.ambient.uuid().to_string();
    Ok(CellsFilter { table: id, name: data.named.name, row_filter, columns, excluded, version })
}

/// A condition that can stand in a WHERE by itself. `TRUE` is all rows.
fn checked(expression: String) -> Result<String, AwsError> {
    if expression.chars().count() > EXPRESSION_CHARACTERS_MAX {
        return Err(invalid(format!("FilterExpression must have at most {EXPRESSION_CHARACTERS_MAX} characters")));
    }
    match query::parse_one(&format!("SELECT 1 FROM t WHERE {expression}")) {
        Ok(_) => Ok(expression),
        Err(error) => Err(invalid(format!("FilterExpression is not a condition: {error}"))),
    }
}

fn find(call: &Call<'_>, named: &Named) -> Result<CellsFilter, AwsError> {
    let catalog = catalog_name(call, named.table_catalog_id.as_deref())?;
    let id = find_table(call, named.table_catalog_id.as_deref(), &named.database_name, &named.table_name)
        .map_or_else(|_| TableId::new(&catalog, &named.database_name, &named.table_name), |(id, _)| id);
    let found = call.service.store.get(&call.region.key(), &key(&id, &named.name))?;
    found.ok_or_else(|| not_found(format!("Data cells filter {} not found", named.name)))
}

fn write<T>(call: &Call<'_>, work: impl FnOnce(&Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
    call.service.grants.change(&call.region, work)
}

fn key(table: &TableId, name: &str) -> String {
    format!("{}.{}.{}.{name}", table.catalog, table.database, table.table)
}

fn shown(filter: &CellsFilter, account_id: &str) -> Value {
    let row_filter = match &filter.row_filter {
        Some(expression) => json!({ "FilterExpression": expression }),
        None => json!({ "AllRowsWildcard": {} }),
    };
    let mut shown = json!({
        "TableCatalogId": format!("{account_id}:{}", filter.table.catalog),
        "DatabaseName": filter.table.database,
        "TableName": filter.table.table,
        "Name": filter.name,
        "RowFilter": row_filter,
        "VersionId": filter.version,
    });
    match &filter.columns {
        Some(columns) => shown["ColumnNames"] = json!(columns),
        None => shown["ColumnWildcard"] = json!({ "ExcludedColumnNames": filter.excluded }),
    }
    shown
}
