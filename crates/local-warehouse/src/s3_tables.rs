//! Amazon S3 Tables: restJson1 over the catalog.
//!
//! One file per noun of the API. What belongs to policies, replication and metrics is refused by name.

mod create_table;
mod error;
mod governed;
mod maintenance;
mod namespaces;
mod paging;
mod table_buckets;
mod tables;
mod tags;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_wire::{AwsError, Caller, RestService};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::catalog::{Catalog, refuse_placeholder};
use crate::governance::Governance;
use crate::rest;

/// The S3 Tables endpoint.
#[derive(Clone, Debug)]
pub(crate) struct S3Tables {
    catalog: Arc<Catalog>,
    governance: Governance,
}

/// A request, taken apart.
struct Call<'a> {
    catalog: &'a Catalog,
    governance: &'a Governance,
    caller: &'a Caller,
    query: BTreeMap<String, String>,
    request: &'a Request<Bytes>,
}

type Answer = Result<Response<Bytes>, AwsError>;

impl S3Tables {
    pub(crate) fn new(catalog: Arc<Catalog>, governance: Governance) -> Self {
        Self { catalog, governance }
    }

    fn answer(&self, caller: &Caller, request: &Request<Bytes>) -> Answer {
        let segments =
            rest::segments(request.uri().path()).ok_or_else(|| error::bad_request("The path is not UTF-8"))?;
        let query = rest::query(request.uri()).ok_or_else(|| error::bad_request("The query is not UTF-8"))?;
        let call = Call { catalog: &self.catalog, governance: &self.governance, caller, query, request };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        governed::check(&call, request.method(), &segments)?;
        route(&call, request.method(), &segments)
    }
}

#[async_trait]
impl RestService for S3Tables {
    async fn call(&self, caller: &Caller, request: Request<Bytes>) -> Response<Bytes> {
        let (service, owned) = (self.clone(), caller.clone());
        let answer = tokio::task::spawn_blocking(move || service.answer(&owned, &request)).await;
        let answer = answer.unwrap_or_else(|panic| Err(error::internal(&panic)));
        let mut response = answer.unwrap_or_else(|error| error::response(&error));
        if let Ok(request_id) = caller.request_id.parse() {
            response.headers_mut().insert("x-amzn-requestid", request_id);
        }
        response
    }
}

fn route(call: &Call<'_>, method: &Method, segments: &[&str]) -> Answer {
    let [get, put, post, delete] = [Method::GET, Method::PUT, Method::POST, Method::DELETE].map(|m| m == *method);
    match *segments {
        ["buckets"] if put => table_buckets::create(call),
        ["buckets"] if get => table_buckets::list(call),
        ["buckets", arn] if get => table_buckets::get(call, arn),
        ["buckets", arn] if delete => table_buckets::delete(call, arn),
        ["buckets", arn, "encryption"] if get => table_buckets::get_encryption(call, arn),
        ["buckets", arn, "maintenance"] if get => maintenance::get_bucket(call, arn),
        ["buckets", arn, "maintenance", r#type] if put => maintenance::put_bucket(call, arn, r#type),
        ["namespaces", arn] if put => namespaces::create(call, arn),
        ["namespaces", arn] if get => namespaces::list(call, arn),
        ["namespaces", arn, namespace] if get => namespaces::get(call, arn, namespace),
        ["namespaces", arn, namespace] if delete => namespaces::delete(call, arn, namespace),
        ["tables", arn, namespace] if put => create_table::create(call, arn, namespace),
        ["tables", arn] if get => tables::list(call, arn),
        ["get-table"] if get => tables::get(call),
        ["tables", arn, namespace, name] if delete => tables::delete(call, arn, namespace, name),
        ["tables", arn, namespace, name, "rename"] if put => tables::rename(call, arn, namespace, name),
        ["tables", arn, namespace, name, "encryption"] if get => tables::get_encryption(call, arn, namespace, name),
        ["tables", arn, namespace, name, "metadata-location"] if get => {
            tables::get_metadata_location(call, arn, namespace, name)
        }
        ["tables", arn, namespace, name, "metadata-location"] if put => {
            tables::update_metadata_location(call, arn, namespace, name)
        }
        ["tables", arn, namespace, name, "maintenance"] if get => maintenance::get(call, arn, namespace, name),
        ["tables", arn, namespace, name, "maintenance", r#type] if put => {
            maintenance::put(call, arn, namespace, name, r#type)
        }
        ["tables", arn, namespace, name, "maintenance-job-status"] if get => {
            maintenance::job_status(call, arn, namespace, name)
        }
        ["tag", arn] if get => tags::list(call, arn),
        ["tag", arn] if post => tags::tag(call, arn),
        ["tag", arn] if delete => tags::untag(call, arn),
        _ => Err(error::not_served(method, segments)),
    }
}

impl Call<'_> {
    /// The body, in which nothing unknown and no placeholder may stand.
    fn body<T: DeserializeOwned>(&self) -> Result<T, AwsError> {
        refuse_placeholder(&String::from_utf8_lossy(self.request.body()))?;
        rest::parse_body(self.request.body()).map_err(error::bad_request)
    }

    fn account(&self) -> &str {
        &self.caller.identity.account_id
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

fn ok(body: &serde_json::Value) -> Answer {
    Ok(rest::json(StatusCode::OK, body))
}

fn no_content() -> Answer {
    Ok(rest::empty(StatusCode::NO_CONTENT))
}

/// Milliseconds since the epoch as S3 Tables writes times.
fn date_time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default()
}
