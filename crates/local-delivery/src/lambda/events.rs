//! Events that were accepted with 202: kept until a function has taken them, or they are given up.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::lambda::environment::Work;
use crate::lambda::function::Function;
use crate::lambda::function_name::Region;
use crate::lambda::service::{Service, blocking};
use crate::lambda::store::Event;

/// How often a failed event is tried again, and after how long.
const RETRY_AFTER_MS: [i64; 2] = [60_000, 120_000];
/// An event that a throttled function has not taken by then is given up.
const AGE_MS_MAX: i64 = 6 * 3_600_000;
/// How long a throttled event waits.
const THROTTLED_MS: i64 = 1_000;
/// Events on their way at a time.
const IN_FLIGHT_MAX: usize = 32;
/// How often due events are looked for where nobody calls.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Hands events to their functions until `shutdown`. What is underway then is tried again at the next start.
pub(crate) async fn run(service: &Service, shutdown: &CancellationToken) {
    let mut in_flight = JoinSet::new();
    let mut ids = HashSet::new();
    loop {
        for event in due(service).await {
            if in_flight.len() < IN_FLIGHT_MAX && ids.insert(event.id.clone()) {
                let service = service.clone();
                in_flight.spawn(async move {
                    let id = event.id.clone();
                    deliver(&service, event).await;
                    id
                });
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            Some(done) = in_flight.join_next() => {
                if let Ok(id) = done {
                    ids.remove(&id);
                }
            }
            () = service.events.notified() => {}
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
    }
}

async fn due(service: &Service) -> Vec<Event> {
    let (store, now_ms) = (service.store.clone(), service.ambient.now_ms());
    let due = blocking(move || Ok(store.due_events(now_ms, 2 * IN_FLIGHT_MAX)?)).await;
    due.unwrap_or_default()
}

async fn deliver(service: &Service, event: Event) {
    let region = Region::of_key(&event.region);
    let (store, key, name) = (service.store.clone(), event.region.clone(), event.function.clone());
    let function = blocking(move || Ok(store.get::<Function>(&key, &name)?)).await;
    let function = match function {
        Ok(Some(function)) => function,
        Ok(None) => return give_up(service, event, "its function is gone").await,
        Err(_) => return,
    };
    let work = Work { request_id: event.id.clone(), event: event.payload.clone(), client_context: None };
    match service.fleet.invoke(&region, &function, work).await {
        Ok(outcome) if !outcome.is_error => forget(service, event.id).await,
        Ok(outcome) => match RETRY_AFTER_MS.get(event.failures as usize) {
            Some(after_ms) => {
                let failures = event.failures + 1;
                put_off(service, Event { failures, ..event }, *after_ms).await;
            }
            None => {
                let error = String::from_utf8_lossy(&outcome.payload).into_owned();
                bury(service, &function, event, &error).await;
            }
        },
        Err(_) if service.ambient.now_ms() - event.received_ms < AGE_MS_MAX => {
            put_off(service, event, THROTTLED_MS).await;
        }
        Err(error) => bury(service, &function, event, &error.message).await,
    }
}

async fn put_off(service: &Service, event: Event, after_ms: i64) {
    let event = Event { due_ms: service.ambient.now_ms() + after_ms, ..event };
    let store = service.store.clone();
    // Where it cannot be written, the event stays due, and is tried earlier than it should be.
    let _ = blocking(move || Ok(store.put_event(&event)?)).await;
}

/// Sends the event to the function's dead-letter queue, where it has one, and forgets it.
async fn bury(service: &Service, function: &Function, event: Event, error: &str) {
    if let Some(queue) = &function.settings.dead_letter_queue {
        let attributes = [("RequestID", event.id.as_str()), ("ErrorCode", "200"), ("ErrorMessage", error)];
        let body = String::from_utf8_lossy(&event.payload);
        let region = Region::of_key(&event.region);
        if let Err(error) = service.neighbours.send_message(&region, queue, &body, &attributes).await {
            tracing::warn!(function = function.name, %error, "dead-letter queue refused an event; trying again");
            return put_off(service, event, THROTTLED_MS).await;
        }
        return forget(service, event.id).await;
    }
    give_up(service, event, error).await;
}

async fn give_up(service: &Service, event: Event, reason: &str) {
    tracing::warn!(function = event.function, request_id = event.id, reason, "event given up");
    forget(service, event.id).await;
}

async fn forget(service: &Service, id: String) {
    let store = service.store.clone();
    let _ = blocking(move || Ok(store.forget_event(&id)?)).await;
}
