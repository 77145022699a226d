//! GetQueueAttributes and SetQueueAttributes.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::sqs::error::{self, Result};
use crate::sqs::queue::{Address, Queue};
use crate::sqs::settings;
use crate::sqs::{Call, done, redrive};

/// What a queue is asked about itself and nobody sets.
const MEASURED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributes {
    queue_url: Option<String>,
    #[serde(default)]
    attribute_names: Vec<String>,
}

pub(super) async fn get(call: &Call<'_>) -> Result<Value> {
    let request: GetQueueAttributes = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let names = request.attribute_names;
    let is_known = |name: &str| name == "All" || MEASURED.contains(&name) || settings::is_known(name);
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        return Err(error::unknown_attribute(unknown));
    }
    let now = call.now_ms();
    let read = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        queue.expire_messages(connection, now)?;
        let mut attributes = measure(connection, &queue, now)?;
        attributes.extend(queue.settings.shown(address.is_fifo()).map(|(name, value)| (name.into(), value.into())));
        Ok(attributes)
    });
    let mut attributes = read.await?;
    attributes.retain(|name, _| names.iter().any(|wanted| wanted == "All" || wanted == name));
    Ok(if attributes.is_empty() { done() } else { json!({ "Attributes": attributes }) })
}

fn measure(connection: &Connection, queue: &Queue, now: i64) -> Result<Map<String, Value>> {
    let count = |condition: &str| -> Result<String> {
        let sql = format!("SELECT count(*) FROM message WHERE queue = ? AND {condition}");
        let count: i64 = connection.prepare_cached(&sql)?.query_row([queue.number, now], |row| row.get(0))?;
        Ok(count.to_string())
    };
    let visible = count("visible_at <= ?")?;
    let in_flight = count("visible_at > ? AND is_received")?;
    let delayed = count("visible_at > ? AND NOT is_received")?;
    let seconds = |ms: i64| (ms / 1_000).to_string();
    let (created, modified) = (seconds(queue.created_at), seconds(queue.modified_at));
    let values = [visible, delayed, in_flight, created, modified, queue.address.arn()];
    Ok(MEASURED.into_iter().map(str::to_owned).zip(values.map(Value::String)).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetQueueAttributes {
    queue_url: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
}

pub(super) async fn set(call: &Call<'_>) -> Result<Value> {
    let request: SetQueueAttributes = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let attributes = request.attributes.ok_or_else(|| error::missing_parameter("Attributes"))?;
    let now = call.now_ms();
    let changed = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        let mut settings = queue.settings.clone();
        settings.change(&attributes, address.is_fifo())?;
        redrive::check_target(connection, &address, &settings)?;
        queue.save_settings(connection, &settings, now)?;
        Ok(queue.number)
    });
    // A shorter retention or another redrive policy may matter to whoever waits.
    call.sqs.arrivals.announce(changed.await?);
    Ok(done())
}
