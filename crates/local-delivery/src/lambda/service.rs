//! What all operations share, and which path leads to which.

use std::sync::Arc;

use ambient::Ambient;
use async_trait::async_trait;
use aws_wire::{AwsError, Caller, RestService, rest_json_error};
use bytes::Bytes;
use http::{Method, Request, Response};
use tokio::sync::Notify;

use crate::lambda::fleet::Fleet;
use crate::lambda::mapping::operations as mappings;
use crate::lambda::mapping::pollers::Mappings;
use crate::lambda::neighbours::Neighbours;
use crate::lambda::request::{Answer, Call};
use crate::lambda::store::Store;
use crate::lambda::{concurrency, error, functions, invoke, tags};

/// The endpoint. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Service {
    pub store: Arc<Store>,
    pub fleet: Arc<Fleet>,
    pub neighbours: Neighbours,
    pub mappings: Arc<Mappings>,
    /// Woken when an event was accepted.
    pub events: Arc<Notify>,
    pub ambient: Ambient,
}

#[async_trait]
impl RestService for Service {
    async fn call(&self, caller: &Caller, request: Request<Bytes>) -> Response<Bytes> {
        let answer = match Call::new(caller, request) {
            Ok(call) => self.answer(call).await,
            Err(error) => Err(error),
        };
        let mut response = answer.unwrap_or_else(|error| rest_json_error(&error, &caller.request_id));
        if let Ok(request_id) = caller.request_id.parse() {
            response.headers_mut().insert("x-amzn-requestid", request_id);
        }
        response
    }
}

impl Service {
    async fn answer(&self, call: Call) -> Answer {
        let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
        // Those that wait for somebody else; the others only for the disk.
        match (&call.method, path.as_slice()) {
            (&Method::POST, ["functions"]) => functions::create(self, &call).await,
            (&Method::PUT, ["functions", name, "code"]) => functions::update_code(self, &call, name).await,
            (&Method::POST, ["functions", name, "invocations"]) => invoke::invoke(self, &call, name).await,
            (&Method::POST, ["event-source-mappings"]) => mappings::create(self, &call).await,
            _ => {
                let service = self.clone();
                blocking(move || service.answer_blocking(&call)).await
            }
        }
    }

    fn answer_blocking(&self, call: &Call) -> Answer {
        let [get, put, post, delete] =
            [Method::GET, Method::PUT, Method::POST, Method::DELETE].map(|m| m == call.method);
        let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
        match path[..] {
            ["functions"] if get => functions::list(self, call),
            ["functions", name] if get => functions::get(self, call, name),
            ["functions", name] if delete => functions::delete(self, call, name),
            ["functions", name, "configuration"] if get => functions::get_configuration(self, call, name),
            ["functions", name, "configuration"] if put => functions::update_configuration(self, call, name),
            ["functions", name, "versions"] if get => functions::list_versions(self, call, name),
            ["functions", name, "concurrency"] if put => concurrency::put(self, call, name),
            ["functions", name, "concurrency"] if get => concurrency::get(self, call, name),
            ["functions", name, "concurrency"] if delete => concurrency::delete(self, call, name),
            ["account-settings"] if get => concurrency::account_settings(self, call),
            ["event-source-mappings"] if get => mappings::list(self, call),
            ["event-source-mappings", uuid] if get => mappings::get(self, call, uuid),
            ["event-source-mappings", uuid] if put => mappings::update(self, call, uuid),
            ["event-source-mappings", uuid] if delete => mappings::delete(self, call, uuid),
            ["tags", arn] if get => tags::list(self, call, arn),
            ["tags", arn] if post => tags::tag(self, call, arn),
            ["tags", arn] if delete => tags::untag(self, call, arn),
            _ => Err(unknown(call)),
        }
    }
}

/// Does blocking work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AwsError> + Send + 'static,
) -> Result<T, AwsError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(error::internal(&panic)))
}

/// What is not served, by what it is about.
fn unknown(call: &Call) -> AwsError {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    let (what, instead) = match path[..] {
        ["functions", _, "versions"] => ("PublishVersion", "invoke $LATEST"),
        ["functions", _, "aliases", ..] => ("An alias", "the function's name, which means $LATEST"),
        ["functions", _, "policy", ..] => ("A function's policy", "leave it out: every caller may invoke"),
        ["functions", _, "event-invoke-config", ..] => ("EventInvokeConfig", "DeadLetterConfig"),
        ["functions", _, "url" | "urls"] => ("A function URL", "Invoke"),
        ["functions", _, "invoke-async" | "response-streaming-invocations"] => ("This kind of invocation", "Invoke"),
        ["layers", ..] => ("A layer", "put its files into the package"),
        _ => {
            let message =
                format!("{} /{} is not an operation of Lambda that this endpoint serves", call.method, path.join("/"));
            return AwsError::bad_request("UnknownOperationException", message);
        }
    };
    error::not_served(what, instead)
}
