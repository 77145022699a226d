//! Tells that the gateway runs, and what it serves.

use bytes::Bytes;
use http::{Response, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};

/// The second is where scripts for other local stacks look.
const PATHS: [&str; 2] = ["/_dynaberg/health", "/_localstack/health"];

pub(crate) fn is_health_path(path: &str) -> bool {
    PATHS.contains(&path)
}

pub(crate) fn health(service_names: &[&str]) -> Response<Bytes> {
    let services: Map<String, Value> = service_names.iter().map(|name| ((*name).into(), "running".into())).collect();
    let body = json!({"status": "running", "services": services});
    Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_string().into())
        .expect("the parts of a response are well-formed")
}
