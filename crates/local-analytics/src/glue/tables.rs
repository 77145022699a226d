//! External tables and views, as Glue's clients make, change and remove them.

use aws_wire::{Action, AwsError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::catalogs::CatalogName;
use crate::glue::{Answer, Call, invalid, not_found};
use crate::grants;
use crate::json::{internal, seconds};
use crate::own::{GlueTable, OwnError};
use crate::policy::{self, TableId};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    catalog_id: Option<String>,
    database_name: String,
    /// Of the table to remove.
    #[serde(default)]
    name: String,
    #[serde(default)]
    table_input: Map<String, Value>,
    #[serde(default)]
    tables_to_delete: Vec<String>,
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let database = own_database(call, request.catalog_id.as_deref(), &request.database_name)?;
    may(call, Action::CreateTable, &database, "", "Create Table")?;
    match call.own().create(&database, request.table_input).map_err(refused)? {
        true => Ok(json!({})),
        false => Err(AwsError::bad_request("AlreadyExistsException", "Table already exists.")),
    }
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let database = own_database(call, request.catalog_id.as_deref(), &request.database_name)?;
    let name = request.table_input.get("Name").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    may(call, Action::Alter, &database, &name, "Alter")?;
    call.own().update(&database, request.table_input).map_err(refused)?;
    Ok(json!({}))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let database = own_database(call, request.catalog_id.as_deref(), &request.database_name)?;
    delete_one(call, &database, &request.name)?;
    Ok(json!({}))
}

pub(super) fn batch_delete(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let database = own_database(call, request.catalog_id.as_deref(), &request.database_name)?;
    let mut errors = Vec::new();
    for name in request.tables_to_delete {
        if let Err(error) = delete_one(call, &database, &name) {
            let detail = json!({ "ErrorCode": error.code, "ErrorMessage": error.message });
            errors.push(json!({ "TableName": name, "ErrorDetail": detail }));
        }
    }
    Ok(json!({ "Errors": errors }))
}

fn delete_one(call: &Call<'_>, database: &str, name: &str) -> Result<(), AwsError> {
    let name = name.to_lowercase();
    if call.view().own_table(&CatalogName::Default, database, &name)?.is_none() {
        return Err(not_found(format!("Table {name} not found.")));
    }
    may(call, Action::Drop, database, &name, "Drop")?;
    call.own().delete(database, &name).map_err(refused)
}

/// A table as Glue shows it.
pub(super) fn shown(call: &Call<'_>, database: &str, table: &GlueTable) -> Value {
    let mut shown = Value::Object(table.input.clone());
    for (name, value) in [
        ("DatabaseName", database.to_lowercase().into()),
        ("CatalogId", call.region.account_id.as_str().into()),
        ("CreateTime", seconds(table.created_ms)),
        ("UpdateTime", seconds(table.updated_ms)),
        ("CreatedBy", table.created_by.as_str().into()),
        ("IsRegisteredWithLakeFormation", false.into()),
        ("VersionId", table.version.to_string().into()),
    ] {
        shown[name] = value;
    }
    for (name, default) in [("Parameters", json!({})), ("PartitionKeys", json!([])), ("Retention", 0.into())] {
        if shown[name].is_null() {
            shown[name] = default;
        }
    }
    shown
}

/// The name of a database that keeps tables itself, in lower case.
pub(super) fn own_database(call: &Call<'_>, catalog_id: Option<&str>, name: &str) -> Result<String, AwsError> {
    let name = name.to_lowercase();
    if call.catalog(catalog_id)? != CatalogName::Default {
        return Err(invalid("Glue changes no table bucket here. Try: aws s3tables create-table"));
    }
    if !call.view().databases(&CatalogName::Default)?.is_some_and(|databases| databases.contains(&name)) {
        return Err(not_found(format!("Database {name} not found.")));
    }
    match crate::own::database(&call.glue.store, &call.region, &name)? {
        Some(_) => Ok(name),
        None => Err(invalid(format!("Database {name} is a resource link. Try: aws s3tables create-table"))),
    }
}

/// Refuses callers who may not do that to a table, or to a database where no table is named.
pub(super) fn may(call: &Call<'_>, action: Action, database: &str, table: &str, what: &str) -> Result<(), AwsError> {
    let policy = call.glue.grants.policy(&call.region)?;
    let id = TableId::new(&CatalogName::Default, database, table);
    match policy::decide(&policy, grants::principal(&call.caller.identity), action, &id).is_allowed() {
        true => Ok(()),
        false => {
            let on = if table.is_empty() { database } else { table };
            let message = format!("Insufficient Lake Formation permission(s): Required {what} on {on}");
            Err(AwsError::bad_request("AccessDeniedException", message))
        }
    }
}

pub(super) fn refused(error: OwnError) -> AwsError {
    match error {
        OwnError::Store(error) => internal("InternalServiceException", &error),
        OwnError::Invalid(message) => invalid(message),
        OwnError::Missing(what) => not_found(format!("{what} not found.")),
    }
}
