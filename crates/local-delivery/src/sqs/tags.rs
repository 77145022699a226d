//! TagQueue, UntagQueue and ListQueueTags.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::sqs::error::{self, Result};
use crate::sqs::queue::{Address, Queue};
use crate::sqs::{Call, done};

const TAGS_MAX: usize = 50;
const KEY_LENGTH_MAX: usize = 128;
const VALUE_LENGTH_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    queue_url: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    tag_keys: Option<Vec<String>>,
}

pub(super) async fn list(call: &Call<'_>) -> Result<Value> {
    let tags = change(call, |_, _| Ok(())).await?;
    Ok(if tags.is_empty() { done() } else { json!({ "Tags": tags }) })
}

pub(super) async fn tag(call: &Call<'_>) -> Result<Value> {
    let added = |tags: &mut BTreeMap<String, String>, request: Request| {
        tags.extend(request.tags.ok_or_else(|| error::missing_parameter("Tags"))?);
        check(tags)
    };
    change(call, added).await.map(|_| done())
}

pub(super) async fn untag(call: &Call<'_>) -> Result<Value> {
    let removed = |tags: &mut BTreeMap<String, String>, request: Request| {
        let keys = request.tag_keys.ok_or_else(|| error::missing_parameter("TagKeys"))?;
        tags.retain(|key, _| !keys.contains(key));
        Ok(())
    };
    change(call, removed).await.map(|_| done())
}

/// Refuses tags that AWS would not keep.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<()> {
    if tags.len() > TAGS_MAX {
        return Err(error::invalid_parameter(format!("Too many tags added for the queue: at most {TAGS_MAX}.")));
    }
    let is_kept = |(key, value): (&String, &String)| {
        (1..=KEY_LENGTH_MAX).contains(&key.chars().count())
            && value.chars().count() <= VALUE_LENGTH_MAX
            && !key.to_ascii_lowercase().starts_with("aws:")
    };
    match tags.iter().find(|tag| !is_kept(*tag)) {
        Some((key, _)) => Err(error::invalid_value("Tags", key, "the key or its value is too long, or reserved.")),
        None => Ok(()),
    }
}

/// Edits the tags of the queue that the request names, and gives what they are then.
async fn change(
    call: &Call<'_>,
    edit: impl FnOnce(&mut BTreeMap<String, String>, Request) -> Result<()> + Send + 'static,
) -> Result<BTreeMap<String, String>> {
    let request: Request = call.parse()?;
    let address = Address::of_url(call.caller, request.queue_url.as_deref())?;
    let edited = call.sqs.store.run(move |connection| {
        let number = Queue::get(connection, &address)?.number;
        let text: String =
            connection.query_row("SELECT tags FROM queue WHERE number = ?", [number], |row| row.get(0))?;
        let before: BTreeMap<String, String> = serde_json::from_str(&text)?;
        let mut tags = before.clone();
        edit(&mut tags, request)?;
        if tags != before {
            let text = json!(tags).to_string();
            connection.execute("UPDATE queue SET tags = ? WHERE number = ?", rusqlite::params![text, number])?;
        }
        Ok(tags)
    });
    edited.await
}
