//! `POST /dlq`: a running pipeline looks after its held letters.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use pipeline::{Action, Counts, Selection};
use serde::{Deserialize, Serialize};

use super::Console;

/// How long a pipeline may take to begin and to end.
const TIME_MAX: Duration = Duration::from_secs(600);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DlqRequest {
    pub pipeline: String,
    /// Release what is selected, rather than take it up.
    pub purge: bool,
    pub code: Option<String>,
    /// Moments, as RFC 3339 has them.
    pub since: Option<String>,
    pub until: Option<String>,
    pub limit: Option<u64>,
}

impl DlqRequest {
    pub fn new(pipeline: String, purge: bool, selection: Selection) -> Self {
        let Selection { code, since, until, limit } = selection;
        let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
        Self { pipeline, purge, code, since: text(since), until: text(until), limit }
    }

    fn selection(&self) -> Result<Selection, jiff::Error> {
        let moment = |text: &Option<String>| text.as_ref().map(|text| text.parse()).transpose();
        let (since, until) = (moment(&self.since)?, moment(&self.until)?);
        Ok(Selection { code: self.code.clone(), since, until, limit: self.limit })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DlqAnswer {
    #[serde(flatten)]
    pub counts: Counts,
    /// Letters that are held then, selected or not.
    pub held: u64,
}

pub(super) async fn look_after(State(console): State<Console>, Json(request): Json<DlqRequest>) -> Response {
    let refused = |code: StatusCode, message: String| (code, Json(serde_json::json!({ "message": message })));
    let pipelines = console.pipelines.list();
    let Some(running) = pipelines.iter().find(|running| running.name == request.pipeline) else {
        let names: Vec<_> = pipelines.iter().map(|running| running.name.as_str()).collect();
        let message = format!("no pipeline `{}` runs here, only: {}", request.pipeline, names.join(", "));
        return refused(StatusCode::NOT_FOUND, message).into_response();
    };
    let selection = match request.selection() {
        Ok(selection) => selection,
        Err(error) => return refused(StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let action = if request.purge { Action::Purge } else { Action::Redrive };
    let asked = tokio::time::timeout(TIME_MAX, running.desk.ask(action, selection)).await;
    match asked {
        Ok(Ok(outcome)) => Json(DlqAnswer { counts: outcome.counts, held: outcome.held }).into_response(),
        Ok(Err(error)) => refused(StatusCode::SERVICE_UNAVAILABLE, error.report()).into_response(),
        Err(_) => {
            let reason = running.status.not_ready().unwrap_or("it is busy".into());
            let message = format!("pipeline `{}` did not get to it: {reason}", request.pipeline);
            refused(StatusCode::SERVICE_UNAVAILABLE, message).into_response()
        }
    }
}
