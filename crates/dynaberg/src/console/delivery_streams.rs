//! Delivery streams of `dev`, as `/status` shows them and `/wait` waits for one.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use local_delivery::Firehose;
use serde_json::json;

use super::document::DeliveryStreamDocument;

/// How often a delivery stream is looked at that somebody waits for.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn list(firehose: &Firehose, now_ms: i64) -> Vec<DeliveryStreamDocument> {
    match firehose.accounts().await {
        Ok(accounts) => accounts.iter().map(|account| DeliveryStreamDocument::new(account, now_ms)).collect(),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "list the delivery streams");
            Vec::new()
        }
    }
}

/// Waits until the delivery stream has let go of everything that it had taken before the call. Gives its name where time
/// is up before.
pub(super) async fn wait(firehose: Option<&Firehose>, name: &str, patience: Duration) -> Result<Vec<String>, Response> {
    let refused = |status: StatusCode, message: String| (status, Json(json!({ "message": message }))).into_response();
    let failed = |error: &dyn std::error::Error| refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let missing = || refused(StatusCode::NOT_FOUND, format!("there is no delivery stream {name} here"));
    let firehose = firehose.ok_or_else(missing)?;
    let last = firehose.last_taken(name).await.map_err(|error| failed(&error))?.ok_or_else(missing)?;
    let has_let_go = async {
        while !firehose.has_let_go(name, last).await.map_err(|error| failed(&error))? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    match tokio::time::timeout(patience, has_let_go).await {
        Ok(outcome) => outcome.map(|()| Vec::new()),
        Err(_) => Ok(vec![name.to_owned()]),
    }
}
