//! GetTable, ListTables, DeleteTable, RenameTable, Get- and UpdateTableMetadataLocation, GetTableEncryption.

use aws_wire::{Action, AwsError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::{Table, TableArn, TableBucketArn, TableName, TableRename, refuse_placeholder};
use crate::governance::Reach;
use crate::s3_tables::{Answer, Call, date_time, error, governed, no_content, ok, paging, table_buckets};

pub(super) fn get(call: &Call<'_>) -> Answer {
    let [bucket, namespace, name] = ["tableBucketARN", "namespace", "name"].map(|member| call.parameter(member));
    let table = match (call.parameter("tableArn"), bucket, namespace, name) {
        (Some(arn), None, None, None) => call.catalog.table_by_arn(&TableArn::parse(arn)?)?,
        (None, Some(arn), Some(namespace), Some(name)) => find(call, arn, namespace, name)?,
        _ => {
            return Err(error::bad_request(
                "GetTable takes either tableArn, or tableBucketARN with namespace and name",
            ));
        }
    };
    if !governed::allows(call, &table.arn.bucket, Reach::WholeTable(&table.name)) {
        return Err(governed::denied(call));
    }
    ok(&json!({
        "name": table.name.name,
        "type": "customer",
        "tableARN": table.arn.to_string(),
        "namespace": [table.name.namespace],
        "namespaceId": table.namespace_id,
        "versionToken": table.version_token,
        "metadataLocation": table.metadata_location,
        "warehouseLocation": table.location(),
        "createdAt": date_time(table.created_ms),
        "createdBy": table.created_by,
        "modifiedAt": date_time(table.modified_ms),
        "modifiedBy": table.modified_by,
        "ownerAccountId": table.arn.bucket.account,
        "format": "ICEBERG",
        "tableBucketId": table.bucket_id,
    }))
}

pub(super) fn list(call: &Call<'_>, arn: &str) -> Answer {
    let arn = TableBucketArn::parse(arn)?;
    let page = paging::request(call, "maxTables")?;
    let tables = call.catalog.tables(&arn, call.parameter("namespace"), &page)?;
    ok(&paging::response(
        &page,
        "tables",
        tables,
        |table| table.name.to_string(),
        |table| governed::allows(call, &arn, Reach::Table(Action::Describe, &table.name)).then(|| summary(table)),
    ))
}

pub(super) fn delete(call: &Call<'_>, arn: &str, namespace: &str, name: &str) -> Answer {
    let (arn, name) = (TableBucketArn::parse(arn)?, table_name(namespace, name)?);
    call.catalog.delete_table(&arn, &name, call.parameter("versionToken"))?;
    no_content()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RenameTableRequest {
    new_namespace_name: Option<String>,
    new_name: Option<String>,
    version_token: Option<String>,
}

pub(super) fn rename(call: &Call<'_>, arn: &str, namespace: &str, name: &str) -> Answer {
    let (arn, name) = (TableBucketArn::parse(arn)?, table_name(namespace, name)?);
    let request: RenameTableRequest = call.body()?;
    if request.new_name.is_none() && request.new_namespace_name.is_none() {
        return Err(error::bad_request("RenameTable takes newName, newNamespaceName or both"));
    }
    let to = TableName {
        namespace: request.new_namespace_name.unwrap_or_else(|| name.namespace.clone()),
        name: request.new_name.unwrap_or_else(|| name.name.clone()),
    };
    let version_token = request.version_token.as_deref();
    let rename = TableRename { to: &to, version_token, renamed_by: call.account() };
    call.catalog.rename_table(&arn, &name, &rename)?;
    no_content()
}

pub(super) fn get_encryption(call: &Call<'_>, arn: &str, namespace: &str, name: &str) -> Answer {
    find(call, arn, namespace, name)?;
    ok(&table_buckets::encryption())
}

pub(super) fn get_metadata_location(call: &Call<'_>, arn: &str, namespace: &str, name: &str) -> Answer {
    let table = find(call, arn, namespace, name)?;
    ok(&json!({
        "versionToken": table.version_token,
        "metadataLocation": table.metadata_location,
        "warehouseLocation": table.location(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateTableMetadataLocationRequest {
    version_token: String,
    metadata_location: String,
}

pub(super) fn update_metadata_location(call: &Call<'_>, arn: &str, namespace: &str, name: &str) -> Answer {
    let (arn, name) = (TableBucketArn::parse(arn)?, table_name(namespace, name)?);
    let request: UpdateTableMetadataLocationRequest = call.body()?;
    let table = call.catalog.update_metadata_location(
        &arn,
        &name,
        &request.version_token,
        &request.metadata_location,
        call.account(),
    )?;
    ok(&json!({
        "name": table.name.name,
        "tableARN": table.arn.to_string(),
        "namespace": [table.name.namespace],
        "versionToken": table.version_token,
        "metadataLocation": table.metadata_location,
    }))
}

fn find(call: &Call<'_>, arn: &str, namespace: &str, name: &str) -> Result<Table, AwsError> {
    Ok(call.catalog.table(&TableBucketArn::parse(arn)?, &table_name(namespace, name)?)?)
}

pub(super) fn table_name(namespace: &str, name: &str) -> Result<TableName, AwsError> {
    refuse_placeholder(namespace)?;
    refuse_placeholder(name)?;
    Ok(TableName { namespace: namespace.to_owned(), name: name.to_owned() })
}

fn summary(table: &Table) -> Value {
    json!({
        "namespace": [table.name.namespace],
        "name": table.name.name,
        "type": "customer",
        "tableARN": table.arn.to_string(),
        "createdAt": date_time(table.created_ms),
        "modifiedAt": date_time(table.modified_ms),
        "namespaceId": table.namespace_id,
        "tableBucketId": table.bucket_id,
    })
}
