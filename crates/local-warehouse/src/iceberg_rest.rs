//! The Iceberg REST catalog, as S3 Tables serves it beneath `/iceberg/v1`.
//!
//! A warehouse is a table bucket, the prefix its URL-encoded ARN. Namespaces have one level; there are no views, no
//! staged creation, no registration and no commit over several tables.

mod config;
mod error;
mod governed;
mod namespaces;
mod paging;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_wire::{Caller, RestService};
use bytes::Bytes;
use http::{Method, Request, Response};
use serde::de::DeserializeOwned;

use crate::catalog::{Catalog, TableBucketArn};
use crate::governance::{Governance, Reach};
use crate::iceberg_rest::error::RestError;
use crate::rest;

/// Credentials for S3 that clients get with a table, where they ask for some.
#[derive(Clone)]
pub struct VendedCredentials {
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl std::fmt::Debug for VendedCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VendedCredentials").finish_non_exhaustive()
    }
}

/// The catalog's endpoint.
#[derive(Clone, Debug)]
pub(crate) struct IcebergRest {
    catalog: Arc<Catalog>,
    governance: Governance,
    s3_endpoint: String,
    vended: Option<VendedCredentials>,
}

/// A request, taken apart.
struct Call<'a> {
    service: &'a IcebergRest,
    caller: &'a Caller,
    query: BTreeMap<String, String>,
    request: &'a Request<Bytes>,
}

type Answer = Result<Response<Bytes>, RestError>;

impl IcebergRest {
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        governance: Governance,
        s3_endpoint: &str,
        vended: Option<VendedCredentials>,
    ) -> Self {
        Self { catalog, governance, s3_endpoint: s3_endpoint.to_owned(), vended }
    }

    fn answer(&self, caller: &Caller, request: &Request<Bytes>) -> Answer {
        let segments =
            rest::segments(request.uri().path()).ok_or_else(|| RestError::bad_request("The path is not UTF-8"))?;
        let query = rest::query(request.uri()).ok_or_else(|| RestError::bad_request("The query is not UTF-8"))?;
        let call = Call { service: self, caller, query, request };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["iceberg", "v1", rest @ ..] => route(&call, request.method(), rest),
            _ => Err(RestError::no_route(request.method(), request.uri().path())),
        }
    }
}

#[async_trait]
impl RestService for IcebergRest {
    async fn call(&self, caller: &Caller, request: Request<Bytes>) -> Response<Bytes> {
        let (service, owned) = (self.clone(), caller.clone());
        let is_head = request.method() == Method::HEAD;
        let answer = tokio::task::spawn_blocking(move || service.answer(&owned, &request)).await;
        let answer = answer.unwrap_or_else(|panic| Err(RestError::internal(&panic)));
        let mut response = answer.unwrap_or_else(|error| error.response());
        if is_head {
            *response.body_mut() = Bytes::new();
        }
        if let Ok(request_id) = caller.request_id.parse() {
            response.headers_mut().insert("x-amzn-requestid", request_id);
        }
        response
    }
}

fn route(call: &Call<'_>, method: &Method, segments: &[&str]) -> Answer {
    if *segments == ["config"] && method == Method::GET {
        return config::get(call);
    }
    let (bucket, rest) = prefix(segments)?;
    governed::check(call, method, &bucket, rest)?;
    match (method.as_str(), rest) {
        ("GET", ["namespaces"]) => namespaces::list(call, &bucket),
        ("POST", ["namespaces"]) => namespaces::create(call, &bucket),
        ("GET", ["namespaces", namespace]) => namespaces::get(call, &bucket, namespace),
        ("HEAD", ["namespaces", namespace]) => namespaces::exists(call, &bucket, namespace),
        ("DELETE", ["namespaces", namespace]) => namespaces::delete(call, &bucket, namespace),
        ("GET", ["namespaces", namespace, "tables"]) => tables::list(call, &bucket, namespace),
        ("POST", ["namespaces", namespace, "tables"]) => tables::create(call, &bucket, namespace),
        ("GET", ["namespaces", namespace, "tables", name]) => tables::load(call, &bucket, namespace, name),
        ("HEAD", ["namespaces", namespace, "tables", name]) => tables::exists(call, &bucket, namespace, name),
        ("POST", ["namespaces", namespace, "tables", name]) => tables::commit(call, &bucket, namespace, name),
        ("DELETE", ["namespaces", namespace, "tables", name]) => tables::delete(call, &bucket, namespace, name),
        ("POST", ["tables", "rename"]) => tables::rename(call, &bucket),
        (_, ["namespaces", _, "views", ..] | ["views", ..]) => Err(RestError::not_served("views")),
        ("POST", ["namespaces", _, "properties"]) => Err(RestError::not_served("changes of namespace properties")),
        ("POST", ["namespaces", _, "register"]) => Err(RestError::not_served("registration of existing tables")),
        ("POST", ["transactions", "commit"]) => Err(RestError::not_served("commits over several tables")),
        ("POST", ["namespaces", _, "tables", _, "metrics"]) => Err(RestError::not_served("reports of metrics")),
        _ => Err(RestError::no_route(method, &segments.join("/"))),
    }
}

/// The table bucket that the first segment names. Some clients decode the prefix that they were given, which leaves the
/// ARN's slash in the path, and some encode it once more.
fn prefix<'a, 'p>(segments: &'a [&'p str]) -> Result<(TableBucketArn, &'a [&'p str]), RestError> {
    let [first, rest @ ..] = segments else { return Err(RestError::bad_request("The path has no prefix")) };
    if first.starts_with("arn:") && first.ends_with(":bucket") {
        let [name, rest @ ..] = rest else { return Err(RestError::bad_request("The prefix is not a whole ARN")) };
        return Ok((TableBucketArn::parse(&format!("{first}/{name}"))?, rest));
    }
    let decoded = percent_encoding::percent_decode_str(first).decode_utf8_lossy();
    Ok((TableBucketArn::parse(&decoded)?, rest))
}

impl Call<'_> {
    /// Tells whether the caller may reach for something, as lists ask.
    fn sees(&self, bucket: &TableBucketArn, reach: Reach<'_>) -> bool {
        self.service.governance.allows(&self.caller.identity, bucket, reach)
    }

    fn catalog(&self) -> &Catalog {
        &self.service.catalog
    }

    fn body<T: DeserializeOwned>(&self) -> Result<T, RestError> {
        rest::parse_body(self.request.body()).map_err(RestError::bad_request)
    }

    fn account(&self) -> &str {
        &self.caller.identity.account_id
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}
