//! Partitions of external tables. Those of Iceberg tables are in their own metadata: Glue knows none.

use aws_wire::{Action, AwsError, Decision};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::catalogs::CatalogName;
use crate::glue::tables::{may, own_database, refused};
use crate::glue::{Answer, Call, invalid, names, not_found};
use crate::grants;
use crate::json::seconds;
use crate::own::{self, GluePartition};
use crate::policy::{self, TableId};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    catalog_id: Option<String>,
    database_name: String,
    table_name: String,
    expression: Option<String>,
    #[serde(default)]
    partition_values: Vec<String>,
    #[serde(default)]
    partition_value_list: Vec<String>,
    #[serde(default)]
    partition_input: Map<String, Value>,
    #[serde(default)]
    partition_input_list: Vec<Map<String, Value>>,
    #[serde(default)]
    partitions_to_get: Vec<Values>,
    #[serde(default)]
    partitions_to_delete: Vec<Values>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Values {
    values: Vec<String>,
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let mut partitions = readable(call, &request)?;
    if let Some(expression) = request.expression.as_deref().filter(|text| !text.trim().is_empty()) {
        let table = call.own().table(&request.database_name.to_lowercase(), &request.table_name.to_lowercase());
        let columns = own::partition_columns(&table.map_err(refused)?.input);
        let fields: Option<Vec<_>> =
            columns.iter().map(|column| query::hive_column(&column.name, &column.type_name, None)).collect();
        let fields = fields.ok_or_else(|| invalid("Expression: the table has partition keys of unknown types"))?;
        let values: Vec<Vec<Option<String>>> =
            partitions.iter().map(|partition| partition.values().into_iter().map(Some).collect()).collect();
        let matching = query::matching(expression, &fields, &values);
        let mut matching = matching.map_err(|error| invalid(format!("Expression: {error}")))?.into_iter();
        partitions.retain(|_| matching.next().unwrap_or(false));
    }
    let shown = partitions.iter().map(|partition| (json!(partition.values()).to_string(), shown(&request, partition)));
    names::page(call, "Partitions", shown.collect())
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let wanted =
        if request.partition_values.is_empty() { &request.partition_value_list } else { &request.partition_values };
    let partitions = readable(call, &request)?;
    let found = partitions.iter().find(|partition| partition.values() == *wanted);
    let found = found.ok_or_else(|| not_found("Cannot find partition."))?;
    Ok(json!({ "Partition": shown(&request, found) }))
}

pub(super) fn batch_get(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let partitions = readable(call, &request)?;
    let is_wanted = |values: &Vec<String>| request.partitions_to_get.iter().any(|wanted| wanted.values == *values);
    let found = partitions.iter().filter(|partition| is_wanted(&partition.values()));
    Ok(
        json!({ "Partitions": found.map(|partition| shown(&request, partition)).collect::<Vec<_>>(), "UnprocessedKeys": [] }),
    )
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let (database, name) = changed(call, &request)?;
    match call.own().put_partition(&database, &name, request.partition_input, false).map_err(refused)? {
        true => Ok(json!({})),
        false => Err(AwsError::bad_request("AlreadyExistsException", "Partition already exists.")),
    }
}

pub(super) fn batch_create(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let (database, name) = changed(call, &request)?;
    let mut errors = Vec::new();
    for input in request.partition_input_list {
        let values = input.get("Values").cloned().unwrap_or_else(|| json!([]));
        let made = call.own().put_partition(&database, &name, input, false).map_err(refused);
        let error = match made {
            Ok(true) => continue,
            Ok(false) => json!({ "ErrorCode": "AlreadyExistsException", "ErrorMessage": "Partition already exists." }),
            Err(error) => json!({ "ErrorCode": error.code, "ErrorMessage": error.message }),
        };
        errors.push(json!({ "PartitionValues": values, "ErrorDetail": error }));
    }
    Ok(json!({ "Errors": errors }))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let (database, name) = changed(call, &request)?;
    if !call.own().delete_partition(&database, &name, &request.partition_value_list).map_err(refused)? {
        return Err(not_found("Cannot find partition."));
    }
    call.own().put_partition(&database, &name, request.partition_input, true).map_err(refused)?;
    Ok(json!({}))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let (database, name) = changed(call, &request)?;
    match call.own().delete_partition(&database, &name, &request.partition_values).map_err(refused)? {
        true => Ok(json!({})),
        false => Err(not_found("Cannot find partition.")),
    }
}

pub(super) fn batch_delete(call: &Call<'_>) -> Answer {
    let request: Request = call.parse()?;
    let (database, name) = changed(call, &request)?;
    let mut errors = Vec::new();
    for Values { values } in &request.partitions_to_delete {
        if !call.own().delete_partition(&database, &name, values).map_err(refused)? {
            let detail = json!({ "ErrorCode": "EntityNotFoundException", "ErrorMessage": "Cannot find partition." });
            errors.push(json!({ "PartitionValues": values, "ErrorDetail": detail }));
        }
    }
    Ok(json!({ "Errors": errors }))
}

/// The partitions of a table, for those who may read all of its rows.
fn readable(call: &Call<'_>, request: &Request) -> Result<Vec<GluePartition>, AwsError> {
    let catalog = call.catalog(request.catalog_id.as_deref())?;
    let (database, name) = (request.database_name.to_lowercase(), request.table_name.to_lowercase());
    if call.view().own_table(&catalog, &database, &name)?.is_none() {
        names::find_table(call, &catalog, &database, &name)?;
        return Ok(Vec::new());
    }
    let policy = call.glue.grants.policy(&call.region)?;
    let id = TableId::new(&CatalogName::Default, &database, &name);
    match policy::decide(&policy, grants::principal(&call.caller.identity), Action::Select, &id) {
        Decision::WHOLE => Ok(own::partitions(&call.glue.store, &call.region, &database, &name)?),
        _ => {
            let message = format!("Insufficient Lake Formation permission(s): Required Select on {name}");
            Err(AwsError::bad_request("AccessDeniedException", message))
        }
    }
}

/// The database and the table whose partitions are changed, in lower case, for those who may.
fn changed(call: &Call<'_>, request: &Request) -> Result<(String, String), AwsError> {
    let database = own_database(call, request.catalog_id.as_deref(), &request.database_name)?;
    let name = request.table_name.to_lowercase();
    may(call, Action::Alter, &database, &name, "Alter")?;
    Ok((database, name))
}

fn shown(request: &Request, partition: &GluePartition) -> Value {
    let mut shown = Value::Object(partition.input.clone());
    shown["DatabaseName"] = request.database_name.to_lowercase().into();
    shown["TableName"] = request.table_name.to_lowercase().into();
    shown["CreationTime"] = seconds(partition.created_ms);
    if shown["Parameters"].is_null() {
        shown["Parameters"] = json!({});
    }
    shown
}
