//! What tells a change from others: its item, its time, its images.

use bytes::Bytes;
use simd_json::{Buffers, Tape};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use crate::decode::record::read_time;
use crate::decode::tape::{Json, Members};

/// One change, as far as order needs it. Images are hashed so that equal items have equal hashes, in whatever order
/// their attributes come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub key: u128,
    pub event: u128,
    pub created_us: i64,
    /// 0 where there is none.
    pub old: u64,
    pub new: u64,
    /// What happened to which item: the same in every stream.
    pub content: u128,
}

pub(super) enum Reading {
    Change(Origin),
    OtherTable,
    NoChange,
}

/// Reads records one after the other.
pub(super) struct OriginReader {
    /// The parser works in place, so it gets a copy.
    scratch: Vec<u8>,
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Default for OriginReader {
    fn default() -> Self {
        Self { scratch: Vec::new(), buffers: Buffers::default(), tape: Tape(Vec::new()) }
    }
}

impl OriginReader {
    /// Records that name another table than `table` are told apart; those that name none belong to it.
    pub fn read(&mut self, json: &Bytes, table: Option<&str>) -> Reading {
        self.scratch.clear();
        self.scratch.extend_from_slice(json);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let reading = match simd_json::fill_tape(&mut self.scratch, &mut self.buffers, &mut tape) {
            Ok(()) => read_record(Json::root(&tape.0), table).unwrap_or(Reading::NoChange),
            Err(_) => Reading::NoChange,
        };
        self.tape = tape.reset();
        reading
    }
}

fn read_record(root: Json<'_>, table: Option<&str>) -> Option<Reading> {
    let mut event_name = "";
    let mut event_id = None;
    let mut change = None;
    for (name, value) in root.members()? {
        match name {
            "eventName" => event_name = value.as_str()?,
            "eventID" => event_id = value.as_str(),
            "dynamodb" => change = value.members(),
            "tableName" if value.as_str() != table && table.is_some() => return Some(Reading::OtherTable),
            _ => {}
        }
    }
    let mut keys = None;
    let (mut old, mut new) = (0, 0);
    let (mut created, mut precision) = (None, None);
    for (name, value) in change? {
        match name {
            "Keys" => keys = value.members(),
            "OldImage" => old = value.members().map_or(0, hash_members),
            "NewImage" => new = value.members().map_or(0, hash_members),
            "ApproximateCreationDateTime" => created = Some(value),
            "ApproximateCreationDateTimePrecision" => precision = value.as_str(),
            _ => {}
        }
    }
    let key = key_of(keys?);
    let created_us = read_time(created?, precision)?;
    let content = xxh3_128(&[&key.to_be_bytes()[..], &new.to_be_bytes(), event_name.as_bytes()].concat());
    // A record without an id is told from others by what it says.
    let event = match event_id {
        Some(event_id) => xxh3_128(event_id.as_bytes()),
        None => xxh3_128(&[&content.to_be_bytes()[..], &old.to_be_bytes(), &created_us.to_be_bytes()].concat()),
    };
    Some(Reading::Change(Origin { key, event, created_us, old, new, content }))
}

/// 128 bits, as two items must never be taken for one.
fn key_of(keys: Members<'_>) -> u128 {
    let attribute = |(name, value): (&str, Json<'_>)| {
        let text = value.only_member().and_then(|(kind, text)| Some(format!("{name}\0{kind}\0{}", text.as_str()?)));
        xxh3_128(text.unwrap_or_default().as_bytes())
    };
    keys.map(attribute).fold(0, u128::wrapping_add)
}

/// Of all members, in whatever order.
fn hash_members(members: Members<'_>) -> u64 {
    members.fold(1, |sum, (name, value)| sum.wrapping_add(hash_pair(name, hash_value(name, value))))
}

fn hash_pair(name: &str, value: u64) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(name.as_bytes());
    hasher.update(&[0xff]);
    hasher.update(&value.to_be_bytes());
    hasher.digest()
}

/// `name` is what the value stands under: a set has no order.
fn hash_value(name: &str, value: Json<'_>) -> u64 {
    if let Some(text) = value.as_str() {
        return xxh3_64(text.as_bytes());
    }
    if let Some(members) = value.members() {
        return hash_members(members);
    }
    if let Some(elements) = value.elements() {
        let hashes = elements.map(|element| hash_value("", element));
        return match name {
            "SS" | "NS" | "BS" => hashes.fold(2, u64::wrapping_add),
            _ => hashes.fold(3, |hash: u64, element| xxh3_64(&[hash.to_be_bytes(), element.to_be_bytes()].concat())),
        };
    }
    xxh3_64(format!("{:?}", value.as_static()).as_bytes())
}
