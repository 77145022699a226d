//! A committed change as the record that GetRecords sends; `kinesis` renders it for a Kinesis stream.

mod kinesis;

use dynoxide::types::{AttributeValue, Item, item_size, normalize_dynamo_number};
use serde::Serialize;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::outbox::OutboxRow;
use crate::shard_log::stream::StreamViewType;

/// A change, parsed as far as routing and rendering need it. The images stay text.
pub(crate) struct Change<'row> {
    row: &'row OutboxRow,
    /// Places a key on a shard: the same for equal keys, however their numbers are written.
    pub key_hash: u64,
    keys_bytes: usize,
    new_bytes: usize,
    old_bytes: usize,
}

impl<'row> Change<'row> {
    /// Reads a row of the outbox; nothing where the write changed nothing, since AWS records none.
    pub(crate) fn read(row: &'row OutboxRow, partition_key: Option<&str>) -> serde_json::Result<Option<Self>> {
        let keys: Item = serde_json::from_str(&row.keys)?;
        let new_image = parse_image(row.new_image.as_deref())?;
        let old_image = parse_image(row.old_image.as_deref())?;
        if let (Some(new_image), Some(old_image)) = (&new_image, &old_image)
            && is_same_item(new_image, old_image)
        {
            return Ok(None);
        }
        let key_hash = partition_key.and_then(|name| keys.get(name)).map_or(0, hash_key);
        Ok(Some(Self {
            row,
            key_hash,
            keys_bytes: item_size(&keys),
            new_bytes: new_image.as_ref().map_or(0, item_size),
            old_bytes: old_image.as_ref().map_or(0, item_size),
        }))
    }

    /// The record's JSON, ready to be sent.
    pub(crate) fn render(&self, region: &str, view_type: StreamViewType, sequence: u128) -> Vec<u8> {
        let row = self.row;
        let new_image = row.new_image.as_deref().filter(|_| view_type.shows_new_image());
        let old_image = row.old_image.as_deref().filter(|_| view_type.shows_old_image());
        let size_bytes =
            self.keys_bytes + new_image.map_or(0, |_| self.new_bytes) + old_image.map_or(0, |_| self.old_bytes);
        let record = Record {
            event_id: row.event_id.clone().unwrap_or_else(|| event_id(region, &row.table_name, sequence)),
            event_name: &row.event_name,
            event_version: "1.1",
            event_source: "aws:dynamodb",
            aws_region: region,
            dynamodb: StreamRecord {
                approximate_creation_date_time: row.created_at,
                keys: raw(&row.keys),
                new_image: new_image.map(raw),
                old_image: old_image.map(raw),
                sequence_number: sequence.to_string(),
                size_bytes,
                stream_view_type: view_type.as_str(),
            },
            // Only the sweep of expired items names an identity, and it is always this one.
            user_identity: row
                .user_identity
                .is_some()
                .then_some(UserIdentity { principal_id: "dynamodb.amazonaws.com", identity_type: "Service" }),
        };
        serde_json::to_vec(&record).expect("a record of strings, numbers and raw JSON serialises")
    }
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(rename = "eventID")]
    event_id: String,
    #[serde(rename = "eventName")]
    event_name: &'a str,
    #[serde(rename = "eventVersion")]
    event_version: &'a str,
    #[serde(rename = "eventSource")]
    event_source: &'a str,
    #[serde(rename = "awsRegion")]
    aws_region: &'a str,
    dynamodb: StreamRecord<'a>,
    #[serde(rename = "userIdentity", skip_serializing_if = "Option::is_none")]
    user_identity: Option<UserIdentity>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamRecord<'a> {
    /// Whole seconds, as on AWS.
    approximate_creation_date_time: i64,
    keys: &'a serde_json::value::RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_image: Option<&'a serde_json::value::RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_image: Option<&'a serde_json::value::RawValue>,
    sequence_number: String,
    size_bytes: usize,
    stream_view_type: &'a str,
}

/// On the wire of the Streams API both names are capitalised; a Lambda event has them in lower case.
#[derive(Serialize)]
struct UserIdentity {
    #[serde(rename = "PrincipalId")]
    principal_id: &'static str,
    #[serde(rename = "Type")]
    identity_type: &'static str,
}

fn raw(json: &str) -> &serde_json::value::RawValue {
    serde_json::from_str(json).expect("the text was parsed as an item before")
}

fn parse_image(json: Option<&str>) -> serde_json::Result<Option<Item>> {
    json.map(serde_json::from_str).transpose()
}

/// For a row without an id of its own: the same record always gets the same id.
fn event_id(region: &str, table_name: &str, sequence: u128) -> String {
    let mut hasher = Xxh3::new();
    hasher.update(region.as_bytes());
    hasher.update(table_name.as_bytes());
    hasher.update(&sequence.to_be_bytes());
    format!("{:032x}", hasher.digest128())
}

fn hash_key(value: &AttributeValue) -> u64 {
    match value {
        AttributeValue::S(text) => xxh3_64(text.as_bytes()),
        AttributeValue::N(number) => xxh3_64(normalize_dynamo_number(number).as_bytes()),
        AttributeValue::B(bytes) => xxh3_64(bytes),
        // No other type can be a key.
        _ => 0,
    }
}

/// Whether two items hold the same values: sets in any order, numbers by value.
fn is_same_item(left: &Item, right: &Item) -> bool {
    left.len() == right.len()
        && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| is_same_value(value, other)))
}

fn is_same_value(left: &AttributeValue, right: &AttributeValue) -> bool {
    use AttributeValue::{BS, L, M, N, NS, SS};
    match (left, right) {
        (N(left), N(right)) => is_same_number(left, right),
        (NS(left), NS(right)) => {
            sorted(left.iter().map(|number| normalize_dynamo_number(number)))
                == sorted(right.iter().map(|number| normalize_dynamo_number(number)))
        }
        (SS(left), SS(right)) => sorted(left.iter()) == sorted(right.iter()),
        (BS(left), BS(right)) => sorted(left.iter()) == sorted(right.iter()),
        (L(left), L(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_same_value(left, right))
        }
        (M(left), M(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| is_same_value(value, other)))
        }
        (left, right) => left == right,
    }
}

fn is_same_number(left: &str, right: &str) -> bool {
    left == right || normalize_dynamo_number(left) == normalize_dynamo_number(right)
}

fn sorted<T: Ord>(members: impl Iterator<Item = T>) -> Vec<T> {
    let mut members: Vec<T> = members.collect();
    members.sort_unstable();
    members
}
