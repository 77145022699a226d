//! Invoke: now and with an answer, later, or not at all.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_TYPE};

use crate::lambda::environment::Work;
use crate::lambda::error;
use crate::lambda::function_name::LATEST;
use crate::lambda::functions::find;
use crate::lambda::request::{Answer, Call, no_content};
use crate::lambda::service::{Service, blocking};
use crate::lambda::store::Event;

/// AWS's limits of an event.
const SYNCHRONOUS_BYTES_MAX: usize = 6_291_456;
const ASYNCHRONOUS_BYTES_MAX: usize = 1_048_576;

pub(crate) async fn invoke(service: &Service, call: &Call, name: &str) -> Answer {
    for header in ["x-amz-tenant-id", "x-amz-durable-execution-name"] {
        if call.header(header).is_some() {
            return Err(error::not_served(&format!("The header {header}"), "leave it out"));
        }
    }
    let function = find(service, call, name)?;
    let event = if call.body.is_empty() { Bytes::from_static(b"{}") } else { call.body.clone() };
    let kind = call.header("x-amz-invocation-type").unwrap_or("RequestResponse");
    let bytes_max = if kind == "Event" { ASYNCHRONOUS_BYTES_MAX } else { SYNCHRONOUS_BYTES_MAX };
    if event.len() > bytes_max {
        return Err(error::request_too_large(event.len(), bytes_max));
    }
    if let Err(problem) = serde_json::from_slice::<serde::de::IgnoredAny>(&event) {
        return Err(error::bad_content(format!("Could not parse request body into json: {problem}")));
    }
    match kind {
        "DryRun" => no_content(),
        "Event" => {
            let now_ms = service.ambient.now_ms();
            let event = Event {
                id: call.request_id.clone(),
                region: call.region.key(),
                function: function.name,
                payload: event,
                received_ms: now_ms,
                failures: 0,
                due_ms: now_ms,
            };
            let store = service.store.clone();
            blocking(move || Ok(store.put_event(&event)?)).await?;
            service.events.notify_one();
            Ok(with_status(StatusCode::ACCEPTED, Bytes::new()))
        }
        "RequestResponse" => {
            let shows_log = match call.header("x-amz-log-type") {
                None | Some("None") => false,
                Some("Tail") => true,
                Some(other) => {
                    return Err(error::constraint(
                        other,
                        "logType",
                        "Member must satisfy enum value set: [Tail, None]",
                    ));
                }
            };
            let work = Work { request_id: call.request_id.clone(), event, client_context: client_context(call)? };
            let outcome = service.fleet.invoke(&call.region, &function, work).await?;
            let mut response = with_status(StatusCode::OK, outcome.payload);
            let headers = response.headers_mut();
            headers.insert("x-amz-executed-version", LATEST.parse().expect("a version is ASCII"));
            if outcome.is_error {
                headers.insert("x-amz-function-error", "Unhandled".parse().expect("a word is ASCII"));
            }
            if shows_log {
                let tail = BASE64_STANDARD.encode(outcome.log_tail);
                headers.insert("x-amz-log-result", tail.parse().expect("base64 is ASCII"));
            }
            Ok(response)
        }
        other => {
            let rule = "Member must satisfy enum value set: [Event, RequestResponse, DryRun]";
            Err(error::constraint(other, "invocationType", rule))
        }
    }
}

/// The JSON that a client sends beside the event, base64 in a header.
fn client_context(call: &Call) -> Result<Option<String>, aws_wire::AwsError> {
    let Some(header) = call.header("x-amz-client-context") else { return Ok(None) };
    let decoded = BASE64_STANDARD.decode(header).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let context = decoded.filter(|text| serde_json::from_str::<serde_json::Map<_, _>>(text).is_ok());
    match context {
        // A header of the Runtime API carries it, so it stands on one line.
        Some(text) => Ok(Some(text.replace(['\n', '\r'], " "))),
        None => Err(error::bad_content("Client context must be a valid Base64-encoded JSON object.")),
    }
}

fn with_status(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("a media type is ASCII"));
    response
}
