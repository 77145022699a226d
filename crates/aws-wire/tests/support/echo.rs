//! Services that tell what reached them.

use async_trait::async_trait;
use aws_wire::{AwsError, Body, Caller, JsonService, JsonVersion, RestService, StreamingService, rest_json_error};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// Echoes, except for the operations `Fail`, whose body describes the error, and `Panic`.
pub struct EchoJson {
    pub target_prefix: &'static str,
    pub json_version: JsonVersion,
    pub error_namespace: Option<&'static str>,
}

#[async_trait]
impl JsonService for EchoJson {
    fn target_prefix(&self) -> &'static str {
        self.target_prefix
    }

    fn json_version(&self) -> JsonVersion {
        self.json_version
    }

    fn error_namespace(&self) -> Option<&'static str> {
        self.error_namespace
    }

    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        match operation {
            "Fail" => Err(described(&body)),
            "Panic" => panic!("scripted"),
            _ => Ok(echo(self.target_prefix, Some(caller), operation, &body).to_string().into()),
        }
    }
}

/// Holds each call until it is let go, and tells how far it came.
#[derive(Default)]
pub struct HeldJson {
    pub started: Notify,
    pub go: Notify,
    pub ended: Notify,
}

#[async_trait]
impl JsonService for HeldJson {
    fn target_prefix(&self) -> &'static str {
        "Held"
    }

    fn json_version(&self) -> JsonVersion {
        JsonVersion::V1_1
    }

    async fn call(&self, _caller: &Caller, _operation: &str, _body: Bytes) -> Result<Bytes, AwsError> {
        self.started.notify_one();
        self.go.notified().await;
        self.ended.notify_one();
        Ok(Bytes::from_static(b"{}"))
    }
}

/// Echoes, except for the paths `/fail` and `/panic`.
pub struct EchoRest(pub &'static str);

#[async_trait]
impl RestService for EchoRest {
    async fn call(&self, caller: &Caller, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        match parts.uri.path() {
            "/fail" => rest_json_error(&described(&body), &caller.request_id),
            "/panic" => panic!("scripted"),
            _ => {
                let target = format!("{} {}", parts.method, parts.uri);
                Response::new(echo(self.0, Some(caller), &target, &body).to_string().into())
            }
        }
    }
}

/// Counts the bytes it is sent.
pub struct EchoStream;

#[async_trait]
impl StreamingService for EchoStream {
    async fn call(&self, request: Request<Incoming>) -> Response<Body> {
        let (parts, mut incoming) = request.into_parts();
        let mut byte_count = 0;
        while let Some(Ok(frame)) = incoming.frame().await {
            byte_count += frame.data_ref().map_or(0, Bytes::len);
        }
        let target = format!("{} {}", parts.method, parts.uri.path());
        let answer = echo("s3", parts.extensions.get::<Caller>(), &target, byte_count.to_string().as_bytes());
        Response::new(Full::new(Bytes::from(answer.to_string())).map_err(|never| match never {}).boxed_unsync())
    }
}

fn echo(service: &str, caller: Option<&Caller>, operation: &str, body: &[u8]) -> Value {
    json!({
        "service": service,
        "operation": operation,
        "body": String::from_utf8_lossy(body),
        "arn": caller.map(|caller| &caller.identity.arn),
        "region": caller.map(|caller| &caller.region),
        "host": caller.map(|caller| &caller.host),
        "request_id": caller.map(|caller| &caller.request_id),
    })
}

fn described(body: &[u8]) -> AwsError {
    let description: Value = serde_json::from_slice(body).unwrap();
    let text = |name: &str| description[name].as_str().unwrap().to_owned();
    let status = StatusCode::from_u16(description["status"].as_u64().unwrap_or(400) as u16).unwrap();
    let mut error = AwsError::new(status, text("code"), text("message"));
    error.details = description["details"].as_object().cloned().unwrap_or_default();
    error
}
