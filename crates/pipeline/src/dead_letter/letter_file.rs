//! The form of a file of letters: JSON lines, and beside them which items they are of.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use crate::change::{Position, RawRecord, SequenceNumber, ShardId};
use crate::dead_letter::StagedLetter;

/// What a letter is about, for those who do not read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterItem {
    /// The hash of the item's key in the table; `None` where the record does not tell its key, or no rows are replaced.
    pub key: Option<u128>,
    /// Which record of its batch it was.
    pub record: u64,
    /// The hash of the record's position; `None` in files of before it was kept.
    pub position: Option<u128>,
}

impl LetterItem {
    pub fn of(key: Option<u128>, record: u64, position: &Position) -> Self {
        Self { key, record, position: Some(xxh3_128(position.to_string().as_bytes())) }
    }
}

/// A letter as it was kept.
#[derive(Clone, Debug)]
pub struct HeldLetter {
    pub record: RawRecord,
    pub step: String,
    pub code: String,
    pub reason: String,
    pub rejected_at: Timestamp,
    /// The commit that it came with.
    pub commit_id: String,
}

impl HeldLetter {
    /// The item's key as DynamoDB writes it: `{"id": {"S": "7"}}`.
    pub fn key(&self) -> Option<Value> {
        let record: Value = serde_json::from_slice(&self.record.json).ok()?;
        record.pointer("/dynamodb/Keys").cloned()
    }
}

/// A line of the file. Its keys are what people grep for: they only grow.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    pipeline: String,
    shard: String,
    sequence_number: String,
    /// Which of the records that an aggregated record holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    part: Option<u32>,
    step: String,
    code: String,
    reason: String,
    /// When it was rejected.
    time: String,
    commit_id: String,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    record: Option<&'a RawValue>,
    /// A record that is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    record_base64: Option<String>,
}

pub(super) fn write_lines(pipeline: &str, commit_id: Uuid, time: Timestamp, letters: &[&StagedLetter]) -> Bytes {
    let mut text = Vec::new();
    for StagedLetter { letter, .. } in letters {
        let one_line = without_line_breaks(&letter.record.json);
        let record: Option<&RawValue> = serde_json::from_slice(&one_line).ok();
        let line = Line {
            pipeline: pipeline.to_owned(),
            shard: letter.position().shard.as_str().to_owned(),
            sequence_number: letter.position().sequence_number.as_str().to_owned(),
            part: Some(letter.position().part).filter(|part| *part > 0),
            step: letter.step.as_str().to_owned(),
            code: letter.code.to_owned(),
            reason: letter.reason.clone(),
            time: time.to_string(),
            commit_id: commit_id.to_string(),
            record_base64: record.is_none().then(|| BASE64_STANDARD.encode(&letter.record.json)),
            record,
        };
        serde_json::to_writer(&mut text, &line).expect("strings and checked JSON serialise");
        text.push(b'\n');
    }
    text.into()
}

/// Reads what [`write_lines`] wrote; `None` where it is something else.
pub(super) fn read_lines(bytes: &Bytes) -> Option<Vec<HeldLetter>> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(read_line).collect()
}

pub(super) fn read_line(line: &[u8]) -> Option<HeldLetter> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    let json = match (line.record, line.record_base64) {
        (Some(record), _) => Bytes::copy_from_slice(record.get().as_bytes()),
        (None, encoded) => BASE64_STANDARD.decode(encoded?).ok()?.into(),
    };
    let sequence_number = SequenceNumber::parse(&line.sequence_number)?;
    let position = Position { shard: ShardId::new(&line.shard), sequence_number, part: line.part.unwrap_or_default() };
    Some(HeldLetter {
        record: RawRecord { position, json },
        step: line.step,
        code: line.code,
        reason: line.reason,
        rejected_at: line.time.parse().ok()?,
        commit_id: line.commit_id,
    })
}

/// In JSON a line break stands between tokens only, where a space means the same.
fn without_line_breaks(json: &[u8]) -> Vec<u8> {
    json.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect()
}

/// A letter's item takes this many bytes: the hash of its key, or zeros, the number of its record, and the hash of its
/// position.
const ITEM_BYTES: usize = 40;
/// Begins the file. Files without it have no positions.
const MAGIC: &[u8; 8] = b"letters2";
const OLD_ITEM_BYTES: usize = 24;

pub(super) fn write_items(letters: &[&StagedLetter]) -> Bytes {
    let mut bytes = Vec::with_capacity(MAGIC.len() + letters.len() * ITEM_BYTES);
    bytes.extend_from_slice(MAGIC);
    for StagedLetter { item, .. } in letters {
        bytes.extend_from_slice(&item.key.unwrap_or_default().to_le_bytes());
        bytes.extend_from_slice(&item.record.to_le_bytes());
        bytes.extend_from_slice(&item.position.unwrap_or_default().to_le_bytes());
    }
    bytes.into()
}

/// Reads what [`write_items`] wrote; `None` where it is something else.
pub(super) fn read_items(bytes: &[u8]) -> Option<Vec<LetterItem>> {
    let (items, item_bytes) = match bytes.strip_prefix(MAGIC) {
        Some(items) => (items, ITEM_BYTES),
        None => (bytes, OLD_ITEM_BYTES),
    };
    let hash = |bytes: &[u8]| Some(u128::from_le_bytes(bytes.try_into().ok()?)).map(|hash| (hash != 0).then_some(hash));
    let item = |chunk: &[u8]| {
        let (key, rest) = chunk.split_at_checked(16)?;
        let (record, position) = rest.split_at_checked(8)?;
        let position = if position.is_empty() { None } else { hash(position)? };
        Some(LetterItem { key: hash(key)?, record: u64::from_le_bytes(record.try_into().ok()?), position })
    };
    items.chunks(item_bytes).map(item).collect()
}
