//! The console port: `/health`, `/ready`, `/status`, `/wait` and `/metrics` of a running `dev` or `run`.

mod delivery_streams;
mod dlq;
mod document;
mod pipelines;

use std::time::Duration;

use ambient::Ambient;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use local_delivery::Firehose;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use dlq::{DlqAnswer, DlqRequest};
pub use document::{StatusDocument, WaitDocument};

use crate::watch::Measurements;
use crate::wiring::{Deployed, Roster};

/// What the console shows.
#[derive(Clone)]
pub struct Console {
    pipelines: Roster,
    /// Where pipelines may be deployed onto it.
    deployed: Option<Deployed>,
    /// Where there are delivery streams.
    firehose: Option<Firehose>,
    ready_lag: Duration,
    ambient: Ambient,
    metrics: Measurements,
}

impl Console {
    pub fn new(pipelines: Roster, ready_lag: Duration, metrics: Measurements, ambient: Ambient) -> Self {
        Self { pipelines, deployed: None, firehose: None, ready_lag, ambient, metrics }
    }

    /// The same, where pipelines may be deployed.
    pub fn with_deployed(self, deployed: Deployed) -> Self {
        Self { deployed: Some(deployed), ..self }
    }

    /// The same, where there are delivery streams beside the pipelines.
    pub fn with_firehose(self, firehose: Firehose) -> Self {
        Self { firehose: Some(firehose), ..self }
    }

    /// Answers until `shutdown`.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let router = Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .route("/status", get(status))
            .route("/wait", get(wait))
            .route("/metrics", get(metrics))
            .route("/pipelines/{name}", get(pipelines::get).put(pipelines::put).delete(pipelines::delete))
            .route("/dlq", post(dlq::look_after))
            .with_state(self);
        let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the console ended");
        }
    }

    async fn document(&self) -> StatusDocument {
        let delivery_streams = match &self.firehose {
            Some(firehose) => delivery_streams::list(firehose, self.ambient.now_ms()).await,
            None => Vec::new(),
        };
        StatusDocument::new(&self.pipelines.list(), delivery_streams, self.ambient.now(), self.ready_lag)
    }
}

async fn health() -> impl IntoResponse {
    Json(serde_json::json!({ "status": "alive", "version": env!("CARGO_PKG_VERSION") }))
}

/// 200 when every pipeline is running within the lag allowed and has lost nothing; else 503 with the reasons.
async fn ready(State(console): State<Console>) -> impl IntoResponse {
    let document = console.document().await;
    let code = if document.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(serde_json::json!({ "ready": document.ready, "reasons": document.reasons() })))
}

async fn status(State(console): State<Console>) -> impl IntoResponse {
    Json(console.document().await)
}

async fn metrics(State(console): State<Console>) -> impl IntoResponse {
    console.metrics.text()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitQuery {
    timeout_ms: u64,
    /// This one, in place of the pipelines.
    delivery_stream: Option<String>,
}

/// Answers once everything written to the sources before the call is committed, or when time is up.
async fn wait(State(console): State<Console>, Query(query): Query<WaitQuery>) -> Response {
    let patience = Duration::from_millis(query.timeout_ms);
    let waiting = match &query.delivery_stream {
        None => wait_for_pipelines(&console, patience).await,
        Some(name) => match delivery_streams::wait(console.firehose.as_ref(), name, patience).await {
            Ok(waiting) => waiting,
            Err(refusal) => return refusal,
        },
    };
    Json(WaitDocument { done: waiting.is_empty(), waiting, status: console.document().await }).into_response()
}

/// Those that are not there when time is up.
async fn wait_for_pipelines(console: &Console, patience: Duration) -> Vec<String> {
    let since = console.ambient.now();
    let pipelines = console.pipelines.list();
    let all = async {
        for pipeline in &pipelines {
            pipeline.complete_up_to(since).await;
        }
    };
    if tokio::time::timeout(patience, all).await.is_ok() {
        return Vec::new();
    }
    let waiting = pipelines.iter().filter(|pipeline| !pipeline.is_complete_up_to(since));
    waiting.map(|running| running.name.clone()).collect()
}
