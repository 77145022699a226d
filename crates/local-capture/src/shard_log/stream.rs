//! A stream and its shards as values: routing, rotation, closing and expiry, without storage or clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Smaller numbers would have less than the 21 digits that AWS promises.
pub(crate) const SEQUENCE_NUMBER_MIN: u128 = 100_000_000_000_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum StreamViewType {
    KeysOnly,
    NewImage,
    OldImage,
    NewAndOldImages,
}

impl StreamViewType {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "KEYS_ONLY" => Some(Self::KeysOnly),
            "NEW_IMAGE" => Some(Self::NewImage),
            "OLD_IMAGE" => Some(Self::OldImage),
            "NEW_AND_OLD_IMAGES" => Some(Self::NewAndOldImages),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::KeysOnly => "KEYS_ONLY",
            Self::NewImage => "NEW_IMAGE",
            Self::OldImage => "OLD_IMAGE",
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }

    pub(crate) fn shows_new_image(self) -> bool {
        matches!(self, Self::NewImage | Self::NewAndOldImages)
    }

    pub(crate) fn shows_old_image(self) -> bool {
        matches!(self, Self::OldImage | Self::NewAndOldImages)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum StreamStatus {
    /// Written before the engine is asked to record changes; a crash between the two is settled at the next start.
    Enabling,
    Enabled,
    Disabled {
        at_ms: i64,
    },
}

/// One incarnation of a table's stream. Enabling it again makes another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub id: u64,
    pub table_name: String,
    /// Tells a table from another one made under the same name later.
    pub table_id: Option<String>,
    pub label: String,
    pub view_type: StreamViewType,
    /// As in the table's description: `[{"AttributeName", "KeyType"}]`.
    pub key_schema: serde_json::Value,
    pub created_ms: i64,
    pub status: StreamStatus,
    /// How many shards are open while the stream is enabled.
    pub open_shard_count: u32,
    /// No record to come has a smaller number.
    pub next_sequence: u128,
    #[serde(skip)]
    pub shards: BTreeMap<u32, Shard>,
}

/// One shard. Its records are ordered; a key's records go to one open shard at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shard {
    pub index: u32,
    /// The part of the keys it takes, inherited from its parent.
    pub slot: u32,
    pub id: String,
    pub parent_id: Option<String>,
    pub opened_ms: i64,
    pub starting: u128,
    pub closed: Option<Closed>,
    /// The number of its last record.
    pub last: Option<u128>,
    /// The number of the last record that retention has taken.
    pub trimmed: Option<u128>,
    /// When the oldest record it still holds arrived.
    pub oldest_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub at_ms: i64,
    pub ending: u128,
}

impl Shard {
    pub(crate) fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// The number after the last record: where `LATEST` stands.
    pub(crate) fn end(&self) -> u128 {
        self.last.map_or(self.starting, |last| last + 1)
    }
}

impl Stream {
    pub(crate) fn is_writable(&self) -> bool {
        !matches!(self.status, StreamStatus::Disabled { .. })
    }

    pub(crate) fn arn(&self, account: &str, region: &str) -> String {
        let Self { table_name, label, .. } = self;
        format!("arn:aws:dynamodb:{region}:{account}:table/{table_name}/stream/{label}")
    }

    pub(crate) fn partition_key(&self) -> Option<&str> {
        let elements = self.key_schema.as_array()?;
        let hash = elements.iter().find(|element| element["KeyType"] == "HASH")?;
        hash["AttributeName"].as_str()
    }

    /// Opens the first generation of shards.
    pub(crate) fn open_shards(&mut self, now_ms: i64) {
        for slot in 0..self.open_shard_count {
            self.open_shard(now_ms, slot, None);
        }
    }

    /// The open shard that takes the key with this hash.
    pub(crate) fn route(&self, key_hash: u64) -> Option<u32> {
        let slot = (key_hash % u64::from(self.open_shard_count.max(1))) as u32;
        let shard = self.shards.values().rev().find(|shard| shard.slot == slot && shard.is_open())?;
        Some(shard.index)
    }

    /// The number of the next record, given the one the engine drew.
    pub(crate) fn take_sequence(&mut self, drawn: u128) -> u128 {
        let sequence = drawn.max(self.next_sequence);
        self.next_sequence = sequence + 1;
        sequence
    }

    /// Closes the open shards that are due and opens a child of each. Tells whether anything changed.
    pub(crate) fn rotate(&mut self, now_ms: i64, age_ms_max: i64) -> bool {
        if !self.is_writable() {
            return false;
        }
        let is_due = |shard: &&Shard| shard.is_open() && now_ms - shard.opened_ms >= age_ms_max;
        let due: Vec<u32> = self.shards.values().filter(is_due).map(|shard| shard.index).collect();
        for index in &due {
            let Some((slot, parent_id)) = self.close_shard(now_ms, *index) else { continue };
            self.open_shard(now_ms, slot, Some(parent_id));
        }
        !due.is_empty()
    }

    /// Closes every open shard: the stream takes no more records but stays readable.
    pub(crate) fn disable(&mut self, now_ms: i64) {
        let open: Vec<u32> = self.shards.values().filter(|shard| shard.is_open()).map(|shard| shard.index).collect();
        for index in open {
            self.close_shard(now_ms, index);
        }
        self.status = StreamStatus::Disabled { at_ms: now_ms };
    }

    fn close_shard(&mut self, now_ms: i64, index: u32) -> Option<(u32, String)> {
        let shard = self.shards.get_mut(&index)?;
        let ending = shard.last.unwrap_or(shard.starting);
        shard.closed = Some(Closed { at_ms: now_ms, ending });
        // A child's first number is greater than its parent's last, even if neither ever holds a record.
        self.next_sequence = self.next_sequence.max(ending + 1);
        Some((shard.slot, shard.id.clone()))
    }

    fn open_shard(&mut self, now_ms: i64, slot: u32, parent_id: Option<String>) {
        let index = self.shards.last_key_value().map_or(0, |(index, _)| index + 1);
        let shard = Shard {
            index,
            slot,
            id: shard_id(self.id, index, now_ms),
            parent_id,
            opened_ms: now_ms,
            starting: self.next_sequence,
            closed: None,
            last: None,
            trimmed: None,
            oldest_ms: None,
        };
        self.shards.insert(index, shard);
    }
}

/// Sorts by age as text: `shardId-` + 20 digits of opening time + `-` + 8 hexadecimal digits.
fn shard_id(stream_id: u64, index: u32, opened_ms: i64) -> String {
    let mut seed = [0; 12];
    seed[..8].copy_from_slice(&stream_id.to_be_bytes());
    seed[8..].copy_from_slice(&index.to_be_bytes());
    format!("shardId-{:020}-{:08x}", opened_ms.max(0), xxh3_64(&seed) as u32)
}
