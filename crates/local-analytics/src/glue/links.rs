//! Databases of the default catalog. Those with a target are resource links to a namespace.

use std::collections::BTreeMap;

use aws_wire::{Action, AwsError};
use serde::Deserialize;
use serde_json::json;

use crate::catalogs::{CatalogName, Database, Target};
use crate::glue::{Answer, Call, invalid, not_found};
use crate::grants;
use crate::policy::{self, TableId};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DatabaseInput {
    name: String,
    description: Option<String>,
    location_uri: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    target_database: Option<TargetDatabase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TargetDatabase {
    catalog_id: Option<String>,
    database_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    catalog_id: Option<String>,
    /// Of the database to change or delete.
    #[serde(default)]
    name: String,
    database_input: Option<DatabaseInput>,
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let (request, input) = request(call)?;
    own_catalog(call, &request)?;
    let name = input.name.clone();
    let database = database(call, input)?;
    let is_new = call.own().create_database(&name, &database).map_err(super::tables::refused)?;
    match is_new {
        true => Ok(json!({})),
        false => Err(AwsError::bad_request("AlreadyExistsException", "Database already exists.")),
    }
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let (request, input) = request(call)?;
    own_catalog(call, &request)?;
    let name = request.name.to_lowercase();
    let earlier = find(call, &name)?;
    let changed = Database { created_ms: earlier.created_ms, ..database(call, input)? };
    call.glue.store.put(&call.region.key(), &name, &changed)?;
    Ok(json!({}))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    own_catalog(call, &request)?;
    let name = request.name.to_lowercase();
    match call.own().delete_database(&name).map_err(super::tables::refused)? {
        true => Ok(json!({})),
        false => Err(not_found(format!("Database {name} not found."))),
    }
}

fn request(call: &Call<'_>) -> Result<(Request, DatabaseInput), AwsError> {
    let mut request: Request = call.parse()?;
    let input = request.database_input.take().ok_or_else(|| invalid("DatabaseInput is missing"))?;
    Ok((request, input))
}

fn find(call: &Call<'_>, name: &str) -> Result<Database, AwsError> {
    let found = call.glue.store.get(&call.region.key(), name)?;
    found.ok_or_else(|| not_found(format!("Database {name} not found.")))
}

/// Refuses what would change a table bucket, and callers who may not create databases.
fn own_catalog(call: &Call<'_>, request: &Request) -> Result<(), AwsError> {
    if call.catalog(request.catalog_id.as_deref())? != CatalogName::Default {
        return Err(invalid("Glue changes no table bucket here. Try: aws s3tables create-namespace"));
    }
    let policy = call.glue.grants.policy(&call.region)?;
    let principal = grants::principal(&call.caller.identity);
    let catalog = TableId::new(&CatalogName::Default, "", "");
    match policy::decide(&policy, principal, Action::CreateDatabase, &catalog).is_allowed() {
        true => Ok(()),
        false => Err(AwsError::bad_request(
            "AccessDeniedException",
            "Insufficient Lake Formation permission(s): Required Create Database on Catalog",
        )),
    }
}

fn database(call: &Call<'_>, input: DatabaseInput) -> Result<Database, AwsError> {
    let target = input.target_database.map(|target| link(call, &target)).transpose()?;
    Ok(Database {
        description: input.description,
        location: input.location_uri,
        parameters: input.parameters,
        target,
        created_ms: call.glue.ambient.now_ms(),
    })
}

fn link(call: &Call<'_>, to: &TargetDatabase) -> Result<Target, AwsError> {
    let CatalogName::TableBucket(table_bucket) = call.catalog(to.catalog_id.as_deref())? else {
        return Err(invalid("A resource link leads to a database of s3tablescatalog/BUCKET"));
    };
    let namespace = to.database_name.to_lowercase();
    let namespaces = call.glue.lakehouse.namespaces(&call.region, &table_bucket)?.unwrap_or_default();
    match namespaces.contains(&namespace) {
        true => Ok(Target { table_bucket, namespace }),
        false => Err(not_found(format!("Database {namespace} not found."))),
    }
}
