//! How a record lies in the log: `stream u64 | shard u32 | sequence u128` → length of the partition key, key, data.
//!
//! The time of arrival is not stored: it is part of the sequence number.

use fjall::Slice;

/// A record to be put. Cheap to clone.
#[derive(Clone)]
pub(crate) struct NewRecord {
    /// Where it belongs in the range of hash keys.
    pub hash_key: u128,
    /// As it will be stored.
    pub value: Slice,
    /// Data and partition key, as AWS counts them.
    pub bytes: usize,
}

/// Of the partition key's length.
const LENGTH_BYTES: usize = 2;

impl NewRecord {
    pub(crate) fn new(hash_key: u128, partition_key: &str, data: &[u8]) -> Self {
        let mut value = Vec::with_capacity(LENGTH_BYTES + partition_key.len() + data.len());
        value.extend_from_slice(&(partition_key.len() as u16).to_be_bytes());
        value.extend_from_slice(partition_key.as_bytes());
        value.extend_from_slice(data);
        Self { hash_key, bytes: partition_key.len() + data.len(), value: Slice::from(value) }
    }
}

pub(in crate::kinesis) fn partition_key_of(value: &[u8]) -> &str {
    split(value).and_then(|(key, _)| std::str::from_utf8(key).ok()).unwrap_or_default()
}

pub(in crate::kinesis) fn data_of(value: &[u8]) -> &[u8] {
    split(value).map_or(&[], |(_, data)| data)
}

fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = value.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

pub(super) fn key(stream: u64, shard: u32, sequence: u128) -> [u8; 28] {
    let mut key = [0; 28];
    key[..8].copy_from_slice(&stream.to_be_bytes());
    key[8..12].copy_from_slice(&shard.to_be_bytes());
    key[12..].copy_from_slice(&sequence.to_be_bytes());
    key
}

pub(super) fn sequence_of(key: &[u8]) -> u128 {
    key.last_chunk().map_or(0, |sequence| u128::from_be_bytes(*sequence))
}
