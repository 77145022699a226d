//! Namespaces: list, create, get, exists, drop.

use std::collections::BTreeMap;

use aws_wire::Action;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::{CatalogError, Entity, Namespace, NewNamespace, TableBucketArn};
use crate::governance::Reach;
use crate::iceberg_rest::error::RestError;
use crate::iceberg_rest::{Answer, Call, paging};
use crate::rest;

#[derive(Deserialize)]
struct CreateNamespaceRequest {
    namespace: Vec<String>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

pub(super) fn list(call: &Call<'_>, bucket: &TableBucketArn) -> Answer {
    if let Some(parent) = call.parameter("parent").filter(|parent| !parent.is_empty()) {
        call.catalog().namespace(bucket, parent)?;
        // It exists, and namespaces have one level.
        return Ok(rest::json(StatusCode::OK, &json!({ "namespaces": [] })));
    }
    let page = paging::request(call)?;
    let mut namespaces = call.catalog().namespaces(bucket, &page)?;
    let next = paging::cut(&page, &mut namespaces, |namespace| namespace.name.clone());
    let is_seen = |namespace: &&Namespace| call.sees(bucket, Reach::Namespace(Action::Describe, &namespace.name));
    let names: Vec<[&str; 1]> = namespaces.iter().filter(is_seen).map(|namespace| [namespace.name.as_str()]).collect();
    Ok(rest::json(StatusCode::OK, &json!({ "namespaces": names, "next-page-token": next })))
}

pub(super) fn create(call: &Call<'_>, bucket: &TableBucketArn) -> Answer {
    let request: CreateNamespaceRequest = call.body()?;
    let [name] = request.namespace.as_slice() else {
        return Err(RestError::bad_request("S3 Tables has namespaces of exactly one level"));
    };
    if let Some(property) = request.properties.keys().find(|property| *property != "owner") {
        return Err(RestError::bad_request(format!(
            "S3 Tables keeps no namespace property but owner, so not {property}"
        )));
    }
    let owner = request.properties.get("owner").map(String::as_str);
    let new = NewNamespace { name, created_by: call.account(), owner };
    let namespace = call.catalog().create_namespace(bucket, &new)?;
    Ok(rest::json(StatusCode::OK, &body(&namespace)))
}

pub(super) fn get(call: &Call<'_>, bucket: &TableBucketArn, name: &str) -> Answer {
    Ok(rest::json(StatusCode::OK, &body(&call.catalog().namespace(bucket, name)?)))
}

pub(super) fn exists(call: &Call<'_>, bucket: &TableBucketArn, name: &str) -> Answer {
    call.catalog().namespace(bucket, name)?;
    Ok(rest::empty(StatusCode::NO_CONTENT))
}

pub(super) fn delete(call: &Call<'_>, bucket: &TableBucketArn, name: &str) -> Answer {
    call.catalog().delete_namespace(bucket, name)?;
    Ok(rest::empty(StatusCode::NO_CONTENT))
}

/// The one level of a namespace in a request body.
pub(super) fn single_level(levels: &[String]) -> Result<&str, RestError> {
    match levels {
        [name] => Ok(name),
        levels => Err(CatalogError::NotFound(Entity::Namespace, levels.join(".")).into()),
    }
}

fn body(namespace: &Namespace) -> Value {
    json!({ "namespace": [namespace.name], "properties": { "owner": namespace.owner } })
}
