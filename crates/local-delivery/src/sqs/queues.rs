//! CreateQueue, DeleteQueue, GetQueueUrl, ListQueues and PurgeQueue.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::sqs::error::{self, Result};
use crate::sqs::queue::{Address, FIFO_SUFFIX, NAME_LENGTH_MAX, Queue, is_name};
use crate::sqs::settings::Settings;
use crate::sqs::{Call, done, redrive, tags};

/// How many queues one answer of ListQueues holds.
const LISTED_MAX: usize = 1_000;

/// How soon after a purge the next one is refused.
const PURGE_PAUSE_MS: i64 = 60_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateQueue {
    queue_name: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// In lower case in the service's model, and nowhere else.
    #[serde(default, rename = "tags")]
    tags: BTreeMap<String, String>,
}

pub(super) async fn create(call: &Call<'_>) -> Result<Value> {
    let request: CreateQueue = call.parse()?;
    let name = request.queue_name.ok_or_else(|| error::missing_parameter("QueueName"))?;
    check_name(&name, &request.attributes)?;
    tags::check(&request.tags)?;
    let address = Address::of_name(call.caller, &name);
    let (url, now) = (address.url(&call.caller.host), call.now_ms());
    let created = call.sqs.store.run(move |connection| {
        if let Some(queue) = Queue::find(connection, &address)? {
            return match queue.settings.difference(&request.attributes, address.is_fifo())? {
                Some(attribute) => Err(error::queue_name_exists(attribute)),
                None => Ok(()),
            };
        }
        let mut settings = Settings::default();
        settings.change(&request.attributes, address.is_fifo())?;
        redrive::check_target(connection, &address, &settings)?;
        Queue::insert(connection, &address, &settings, &json!(request.tags).to_string(), now)
    });
    created.await?;
    Ok(json!({ "QueueUrl": url }))
}

fn check_name(name: &str, attributes: &BTreeMap<String, String>) -> Result<()> {
    let wants_fifo = attributes.get("FifoQueue").is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    if wants_fifo && (!is_name(name) || !name.ends_with(FIFO_SUFFIX)) {
        return Err(error::invalid_parameter(format!(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with \
             .fifo suffix and be 1 to {NAME_LENGTH_MAX} in length."
        )));
    }
    if !is_name(name) || (name.ends_with(FIFO_SUFFIX) && !wants_fifo) {
        return Err(error::invalid_parameter(format!(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to {NAME_LENGTH_MAX} in length"
        )));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OneQueue {
    queue_url: Option<String>,
}

pub(super) async fn delete(call: &Call<'_>) -> Result<Value> {
    let request: OneQueue = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let deleted = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        queue.delete(connection)?;
        Ok(queue.number)
    });
    // Whoever waits for its messages hears that it is gone.
    let queue = deleted.await?;
    call.sqs.arrivals.announce(queue);
    call.sqs.in_flight.forget(queue);
    Ok(done())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueUrl {
    queue_name: Option<String>,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

pub(super) async fn url(call: &Call<'_>) -> Result<Value> {
    let request: GetQueueUrl = call.parse()?;
    let name = request.queue_name.ok_or_else(|| error::missing_parameter("QueueName"))?;
    if request.owner.is_some_and(|owner| owner != call.caller.identity.account_id) {
        return Err(error::queue_does_not_exist());
    }
    let address = Address::of_name(call.caller, &name);
    let url = address.url(&call.caller.host);
    call.sqs.store.run(move |connection| Queue::get(connection, &address)).await?;
    Ok(json!({ "QueueUrl": url }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) async fn list(call: &Call<'_>) -> Result<Value> {
    let request: ListQueues = call.parse()?;
    let page = Page::new(request.max_results, request.next_token)?;
    let (of, after, max) = (Address::of_name(call.caller, ""), page.after.clone(), page.len_max + 1);
    let listed =
        call.sqs.store.run(move |connection| Queue::list(connection, &of, &request.queue_name_prefix, &after, max));
    Ok(page.answer("QueueUrls", listed.await?.into_iter().map(|queue| queue.address).collect(), call))
}

/// A page of queues.
pub(super) struct Page {
    /// The name that the page before ended with.
    pub after: String,
    pub len_max: usize,
    continues: bool,
}

impl Page {
    pub fn new(max_results: Option<usize>, next_token: Option<String>) -> Result<Self> {
        let len_max = max_results.unwrap_or(LISTED_MAX);
        if !(1..=LISTED_MAX).contains(&len_max) {
            return Err(error::invalid_value("MaxResults", len_max, "Must be between 1 and 1000, if provided."));
        }
        let after = match next_token {
            None => String::new(),
            Some(token) if is_name(&token) => token,
            Some(token) => return Err(error::invalid_value("NextToken", token, "It is not one that was given out.")),
        };
        Ok(Self { after, len_max, continues: max_results.is_some() })
    }

    /// `queues` may be one more than the page holds: there is another page then. Without MaxResults there is one only.
    pub fn answer(&self, member: &str, mut queues: Vec<Address>, call: &Call<'_>) -> Value {
        let has_more = self.continues && queues.len() > self.len_max;
        queues.truncate(self.len_max);
        let mut answer = serde_json::Map::new();
        if let Some(last) = queues.last().filter(|_| has_more) {
            answer.insert("NextToken".into(), last.name.clone().into());
        }
        let urls: Vec<_> = queues.iter().map(|address| address.url(&call.caller.host)).collect();
        answer.insert(member.to_owned(), json!(urls));
        Value::Object(answer)
    }
}

pub(super) async fn purge(call: &Call<'_>) -> Result<Value> {
    let request: OneQueue = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let now = call.now_ms();
    let purged = call.sqs.store.run(move |connection| {
        let queue = Queue::get(connection, &address)?;
        if queue.purged_at.is_some_and(|before| now - before < PURGE_PAUSE_MS) {
            return Err(error::purge_in_progress(&address.name));
        }
        connection.execute("DELETE FROM message WHERE queue = ?", [queue.number])?;
        connection.execute("UPDATE queue SET purged_at = ? WHERE number = ?", [now, queue.number])?;
        Ok(())
    });
    purged.await?;
    Ok(done())
}
