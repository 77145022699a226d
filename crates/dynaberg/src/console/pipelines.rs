//! `/pipelines/NAME`: pipelines that are deployed onto a running `dev`.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Console;
use crate::failure::{Exit, Failure};
use crate::wiring::{Deployed, DeployedPipeline, Deployment};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// Whether one of this name gives way.
    #[serde(default)]
    pub replace: bool,
}

pub(super) async fn get(State(console): State<Console>, Path(name): Path<String>) -> Response {
    let found = deployed(&console).and_then(|deployed| deployed.get(&name));
    match found {
        Ok(Some(pipeline)) => Json(pipeline).into_response(),
        Ok(None) => (StatusCode::NOT_FOUND, Json(json!({ "message": format!("no pipeline {name} is deployed here") })))
            .into_response(),
        Err(failure) => refused(&failure),
    }
}

pub(super) async fn put(
    State(console): State<Console>,
    Path(name): Path<String>,
    Query(Replace { replace }): Query<Replace>,
    Json(pipeline): Json<DeployedPipeline>,
) -> Response {
    let put = match deployed(&console) {
        Ok(deployed) => deployed.put(&name, &pipeline, replace).await,
        Err(failure) => Err(failure),
    };
    match put {
        Ok(Deployment::Done) => Json(json!({})).into_response(),
        Ok(Deployment::Taken) => {
            let message = format!("a pipeline {name} is deployed here already");
            (StatusCode::CONFLICT, Json(json!({ "message": message }))).into_response()
        }
        Err(failure) => refused(&failure),
    }
}

pub(super) async fn delete(State(console): State<Console>, Path(name): Path<String>) -> Response {
    let removed = match deployed(&console) {
        Ok(deployed) => deployed.remove(&name).await,
        Err(failure) => Err(failure),
    };
    match removed {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failure) => refused(&failure),
    }
}

fn deployed(console: &Console) -> Result<&Deployed, Failure> {
    console.deployed.as_ref().ok_or_else(|| {
        Failure::new(Exit::Configuration, "this is `dynaberg run`, which runs the files that it was given")
            .advise("the console of `dynaberg dev`")
    })
}

fn refused(failure: &Failure) -> Response {
    let code = match failure.exit {
        Exit::Other => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    (code, Json(json!({ "message": failure.message() }))).into_response()
}
