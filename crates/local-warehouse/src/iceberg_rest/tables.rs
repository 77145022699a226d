//! Tables: list, create, load, exists, commit, rename, drop.

use std::collections::{BTreeMap, HashSet};

use aws_wire::Action;
use bytes::Bytes;
use http::{Response, StatusCode};
use iceberg::TableIdent;
use iceberg_catalog_rest::{CommitTableRequest, CreateTableRequest, RenameTableRequest};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::catalog::{
    CommitRequest, LoadedMetadata, NewTable, Table, TableBucketArn, TableDefinition, TableName, TableRename,
};
use crate::governance::Reach;
use crate::iceberg_rest::error::RestError;
use crate::iceberg_rest::namespaces::single_level;
use crate::iceberg_rest::{Answer, Call, paging};
use crate::rest;

pub(super) fn list(call: &Call<'_>, bucket: &TableBucketArn, namespace: &str) -> Answer {
    let page = paging::request(call)?;
    let mut tables = call.catalog().tables(bucket, Some(namespace), &page)?;
    let next = paging::cut(&page, &mut tables, |table| table.name.to_string());
    let is_seen = |table: &&Table| call.sees(bucket, Reach::Table(Action::Describe, &table.name));
    let identifiers: Vec<Value> = tables
        .iter()
        .filter(is_seen)
        .map(|table| json!({ "namespace": [table.name.namespace], "name": table.name.name }))
        .collect();
    Ok(rest::json(StatusCode::OK, &json!({ "identifiers": identifiers, "next-page-token": next })))
}

pub(super) fn create(call: &Call<'_>, bucket: &TableBucketArn, namespace: &str) -> Answer {
    let request: CreateTableRequest = call.body()?;
    if request.stage_create == Some(true) {
        return Err(RestError::bad_request("S3 Tables does not serve staged creation (stage-create)"));
    }
    if let Some(location) = request.location {
        return Err(RestError::bad_request(format!("S3 Tables chooses a table's location itself, so not {location}")));
    }
    let name = TableName { namespace: namespace.to_owned(), name: request.name };
    let definition = TableDefinition {
        schema: request.schema,
        partition_spec: request.partition_spec,
        sort_order: request.write_order,
        properties: request.properties,
    };
    let new = NewTable { bucket, name: &name, created_by: call.account(), tags: BTreeMap::new() };
    let (table, loaded) = call.catalog().create_table(&new, Some(definition))?;
    let loaded = loaded.ok_or_else(|| RestError::bad_request("The table was created without metadata"))?;
    load_response(call, bucket, &table.location(), &loaded, &loaded.json)
}

pub(super) fn load(call: &Call<'_>, bucket: &TableBucketArn, namespace: &str, name: &str) -> Answer {
    let (table, loaded) = call.catalog().load_table(bucket, &table_name(namespace, name))?;
    match call.parameter("snapshots") {
        None | Some("all") => load_response(call, bucket, &table.location(), &loaded, &loaded.json),
        Some("refs") => load_response(call, bucket, &table.location(), &loaded, &only_refs(&loaded)?),
        Some(other) => Err(RestError::bad_request(format!("snapshots must be all or refs, not {other}"))),
    }
}

pub(super) fn exists(call: &Call<'_>, bucket: &TableBucketArn, namespace: &str, name: &str) -> Answer {
    call.catalog().table(bucket, &table_name(namespace, name))?;
    Ok(rest::empty(StatusCode::NO_CONTENT))
}

pub(super) fn commit(call: &Call<'_>, bucket: &TableBucketArn, namespace: &str, name: &str) -> Answer {
    let request: CommitTableRequest = call.body()?;
    let name = table_name(namespace, name);
    if let Some(identifier) = &request.identifier
        && identifier_name(identifier)? != name
    {
        return Err(RestError::bad_request(format!("The commit is for {identifier:?}, but was sent to {name}")));
    }
    let request = CommitRequest {
        requirements: request.requirements,
        updates: request.updates,
        committed_by: call.account().to_owned(),
    };
    let committed = call.catalog().commit(bucket, &name, request)?;
    let body = CommitResponse { metadata_location: &committed.location, metadata: &committed.json };
    Ok(rest::json(StatusCode::OK, &body))
}

pub(super) fn rename(call: &Call<'_>, bucket: &TableBucketArn) -> Answer {
    let request: RenameTableRequest = call.body()?;
    let from = identifier_name(&request.source)?;
    let to = identifier_name(&request.destination)?;
    let rename = TableRename { to: &to, version_token: None, renamed_by: call.account() };
    call.catalog().rename_table(bucket, &from, &rename)?;
    Ok(rest::empty(StatusCode::NO_CONTENT))
}

pub(super) fn delete(call: &Call<'_>, bucket: &TableBucketArn, namespace: &str, name: &str) -> Answer {
    let name = table_name(namespace, name);
    call.catalog().table(bucket, &name)?;
    let is_purge = call.parameter("purgeRequested").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !is_purge {
        return Err(RestError::bad_request(
            "S3 Tables drops a table only together with its files: purgeRequested=true",
        ));
    }
    call.catalog().delete_table(bucket, &name, None)?;
    Ok(rest::empty(StatusCode::NO_CONTENT))
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct CommitResponse<'a> {
    metadata_location: &'a str,
    metadata: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct LoadResponse<'a> {
    metadata_location: &'a str,
    metadata: &'a RawValue,
    config: BTreeMap<&'static str, &'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    storage_credentials: Vec<StorageCredential<'a>>,
}

#[derive(Serialize)]
struct StorageCredential<'a> {
    prefix: String,
    config: BTreeMap<&'static str, &'a str>,
}

/// A table with what a client needs to reach its files.
fn load_response(
    call: &Call<'_>,
    bucket: &TableBucketArn,
    location: &str,
    loaded: &LoadedMetadata,
    metadata: &RawValue,
) -> Result<Response<Bytes>, RestError> {
    let mut config = BTreeMap::from([
        ("s3.endpoint", call.service.s3_endpoint.as_str()),
        ("s3.path-style-access", "true"),
        ("s3.region", bucket.region.as_str()),
        ("client.region", bucket.region.as_str()),
    ]);
    let mut storage_credentials = Vec::new();
    if let Some(vended) = call.service.vended.as_ref().filter(|_| asks_for_credentials(call) && may_have_them(call)) {
        config.insert("s3.access-key-id", &vended.access_key_id);
        config.insert("s3.secret-access-key", &vended.secret_access_key);
        storage_credentials.push(StorageCredential { prefix: format!("{location}/"), config: config.clone() });
    }
    let body = LoadResponse { metadata_location: &loaded.location, metadata, config, storage_credentials };
    Ok(rest::json(StatusCode::OK, &body))
}

/// What is vended are the service's own credentials, which open every table.
fn may_have_them(call: &Call<'_>) -> bool {
    call.caller.identity.is_administrator
}

fn asks_for_credentials(call: &Call<'_>) -> bool {
    let asked = call.request.headers().get("x-iceberg-access-delegation").and_then(|value| value.to_str().ok());
    asked.is_some_and(|asked| asked.split(',').any(|mechanism| mechanism.trim() == "vended-credentials"))
}

/// The metadata with those snapshots only that a branch or tag names.
fn only_refs(loaded: &LoadedMetadata) -> Result<Box<RawValue>, RestError> {
    let mut metadata: Value = serde_json::from_str(loaded.json.get()).map_err(|error| RestError::internal(&error))?;
    let refs = metadata["refs"].as_object().into_iter().flatten();
    let named: HashSet<i64> = refs.filter_map(|(_, target)| target["snapshot-id"].as_i64()).collect();
    if let Some(snapshots) = metadata["snapshots"].as_array_mut() {
        snapshots.retain(|snapshot| snapshot["snapshot-id"].as_i64().is_some_and(|id| named.contains(&id)));
    }
    serde_json::value::to_raw_value(&metadata).map_err(|error| RestError::internal(&error))
}

fn table_name(namespace: &str, name: &str) -> TableName {
    TableName { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn identifier_name(identifier: &TableIdent) -> Result<TableName, RestError> {
    let namespace = single_level(identifier.namespace())?;
    Ok(table_name(namespace, identifier.name()))
}
