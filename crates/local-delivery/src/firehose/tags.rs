//! TagDeliveryStream, UntagDeliveryStream and ListTagsForDeliveryStream.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::firehose::Call;
use crate::firehose::error::{self, Result};
use crate::firehose::stream::{Address, DeliveryStream};

const TAGS_MAX: usize = 50;

#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

type Tags = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Add {
    delivery_stream_name: String,
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Remove {
    delivery_stream_name: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct List {
    delivery_stream_name: String,
    exclusive_start_tag_key: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn add(call: &Call<'_>) -> Result<Value> {
    let request: Add = call.parse()?;
    let added = checked(&request.tags)?;
    let edit = move |tags: &mut Tags| {
        tags.extend(added);
        check_count(tags)
    };
    change(call, &request.delivery_stream_name, edit).await.map(|_| json!({}))
}

pub(super) async fn remove(call: &Call<'_>) -> Result<Value> {
    let request: Remove = call.parse()?;
    let edit = move |tags: &mut Tags| {
        tags.retain(|key, _| !request.tag_keys.contains(key));
        Ok(())
    };
    change(call, &request.delivery_stream_name, edit).await.map(|_| json!({}))
}

pub(super) async fn list(call: &Call<'_>) -> Result<Value> {
    let request: List = call.parse()?;
    let limit = request.limit.unwrap_or(TAGS_MAX);
    if !(1..=TAGS_MAX).contains(&limit) {
        return Err(error::invalid(format!("Limit must be between 1 and {TAGS_MAX}")));
    }
    let tags = change(call, &request.delivery_stream_name, |_| Ok(())).await?;
    let after = request.exclusive_start_tag_key.unwrap_or_default();
    let mut rest = tags.into_iter().filter(|(key, _)| *key > after);
    let listed: Vec<Value> =
        rest.by_ref().take(limit).map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    Ok(json!({ "Tags": listed, "HasMoreTags": rest.next().is_some() }))
}

/// Refuses tags that AWS would not keep.
pub(super) fn checked(tags: &[Tag]) -> Result<Tags> {
    let is_kept = |tag: &&Tag| {
        (1..=128).contains(&tag.key.chars().count())
            && tag.value.chars().count() <= 256
            && !tag.key.to_ascii_lowercase().starts_with("aws:")
    };
    if let Some(tag) = tags.iter().find(|tag| !is_kept(tag)) {
        return Err(error::invalid(format!("Tag `{}`: the key or its value is too long, or reserved", tag.key)));
    }
    let map: Tags = tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
    if map.len() < tags.len() {
        return Err(error::invalid("a tag key is given twice"));
    }
    check_count(&map)?;
    Ok(map)
}

fn check_count(tags: &Tags) -> Result<()> {
    match tags.len() {
        0..=TAGS_MAX => Ok(()),
        _ => Err(error::limit_exceeded(format!("a delivery stream has at most {TAGS_MAX} tags"))),
    }
}

/// Edits the tags of a delivery stream, and gives what they are then.
async fn change(
    call: &Call<'_>,
    name: &str,
    edit: impl FnOnce(&mut Tags) -> Result<()> + Send + 'static,
) -> Result<Tags> {
    let address = Address::of(call.caller, name)?;
    let edited = call.firehose.store.run(move |connection| {
        let number = DeliveryStream::get(connection, &address)?.number;
        let sql = "SELECT tags FROM delivery_stream WHERE number = ?";
        let text: String = connection.query_row(sql, [number], |row| row.get(0))?;
        let before: Tags = serde_json::from_str(&text)?;
        let mut tags = before.clone();
        edit(&mut tags)?;
        if tags != before {
            let sql = "UPDATE delivery_stream SET tags = ? WHERE number = ?";
            connection.execute(sql, rusqlite::params![json!(tags).to_string(), number])?;
        }
        Ok(tags)
    });
    edited.await
}
