//! The Runtime API: how a function's process takes events and answers them. One listener a process, on loopback.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// AWS's limit of a result.
pub(crate) const RESPONSE_BYTES_MAX: usize = 6_291_556;

/// What is read of a result that is too long, so that its sender gets to see the answer.
const BODY_BYTES_MAX: usize = 4 * RESPONSE_BYTES_MAX;

/// One event on its way to the process.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub request_id: String,
    pub event: Bytes,
    pub function_arn: String,
    /// Milliseconds since the epoch.
    pub deadline_ms: i64,
    pub client_context: Option<String>,
    pub reply: oneshot::Sender<Reply>,
}

/// What the process said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Response(Bytes),
    /// `{"errorMessage", "errorType", "stackTrace"}`.
    Error(Bytes),
    TooLarge(usize),
}

/// The listener of one process. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    pub address: SocketAddr,
    invocations: mpsc::Sender<Invocation>,
    /// What the process says before it takes its first event: nothing, or why it cannot.
    initialized: mpsc::Receiver<Result<(), Bytes>>,
    server: tokio::task::JoinHandle<()>,
}

struct Exchange {
    invocations: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    initialized: mpsc::Sender<Result<(), Bytes>>,
    current: Mutex<Option<(String, oneshot::Sender<Reply>)>>,
}

impl RuntimeApi {
    pub(crate) async fn listen() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (invocations, incoming) = mpsc::channel(1);
        let (initialized_tx, initialized) = mpsc::channel(1);
        let exchange = Exchange {
            invocations: tokio::sync::Mutex::new(incoming),
            initialized: initialized_tx,
            current: Mutex::new(None),
        };
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(Arc::new(exchange));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::warn!(%error, "the Runtime API of a function ended");
            }
        });
        Ok(Self { address, invocations, initialized, server })
    }

    /// Completes when the process asks for its first event; with its own description of why not, where it cannot.
    /// Cancel-safe.
    pub(crate) async fn initialized(&mut self) -> Result<(), Bytes> {
        self.initialized.recv().await.unwrap_or_else(|| Err(Bytes::new()))
    }

    /// Hands an event to the process, which takes it as soon as it asks.
    pub(crate) async fn hand(&self, invocation: Invocation) {
        // Where the server is gone the reply is dropped, which its receiver sees.
        let _ = self.invocations.send(invocation).await;
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(exchange): State<Arc<Exchange>>) -> Response {
    // Only the first one is waited for; the rest find the channel full or unread.
    let _ = exchange.initialized.try_send(Ok(()));
    let Some(invocation) = exchange.invocations.lock().await.recv().await else {
        return refused(StatusCode::FORBIDDEN, "InvalidStateTransition", "The function has no more events");
    };
    let Invocation { request_id, event, function_arn, deadline_ms, client_context, reply } = invocation;
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    set("content-type", "application/json");
    set("lambda-runtime-aws-request-id", &request_id);
    set("lambda-runtime-deadline-ms", &deadline_ms.to_string());
    set("lambda-runtime-invoked-function-arn", &function_arn);
    set(
        "lambda-runtime-trace-id",
        &format!("Root=1-{:08x}-{:0>24.24};Sampled=0", deadline_ms / 1000, request_id.replace('-', "")),
    );
    if let Some(context) = &client_context {
        set("lambda-runtime-client-context", context);
    }
    *exchange.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((request_id, reply));
    (headers, event).into_response()
}

async fn response(State(exchange): State<Arc<Exchange>>, Path(id): Path<String>, body: Bytes) -> Response {
    if body.len() > RESPONSE_BYTES_MAX {
        let answer = refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            &format!("Exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."),
        );
        return exchange.settle(&id, Reply::TooLarge(body.len())).map_or_else(|unknown| unknown, |()| answer);
    }
    exchange.settle(&id, Reply::Response(body)).map_or_else(|unknown| unknown, |()| accepted())
}

async fn error(State(exchange): State<Arc<Exchange>>, Path(id): Path<String>, body: Bytes) -> Response {
    exchange.settle(&id, Reply::Error(body)).map_or_else(|unknown| unknown, |()| accepted())
}

async fn init_error(State(exchange): State<Arc<Exchange>>, body: Bytes) -> Response {
    let _ = exchange.initialized.try_send(Err(body));
    accepted()
}

impl Exchange {
    /// Gives the reply to whoever waits for it. An event is answered once.
    #[expect(clippy::result_large_err, reason = "it is the answer of the caller")]
    fn settle(&self, id: &str, reply: Reply) -> Result<(), Response> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match current.take() {
            Some((expected, waiting)) if expected == id => {
                // Nobody waits any more where the time was up.
                let _ = waiting.send(reply);
                Ok(())
            }
            other => {
                *current = other;
                Err(refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"))
            }
        }
    }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, [(CONTENT_TYPE, "application/json")], r#"{"status":"OK"}"#).into_response()
}

fn refused(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = serde_json::json!({ "errorMessage": message, "errorType": kind }).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
