//! Shard iterators, of DynamoDB Streams and of Kinesis: opaque tokens that carry their position, so that the service keeps no state for them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const SEED: u64 = u64::from_be_bytes(*b"iterator");
const BODY_BYTES: usize = 36;
const TOKEN_BYTES: usize = BODY_BYTES + 8;
/// No record has it: the oldest record there is when the iterator is used.
const HORIZON: u128 = 0;

/// Where a reader stands in a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardIterator {
    /// The incarnation of the stream.
    pub stream: u64,
    pub shard: u32,
    pub position: Position,
    pub issued_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// Follows the trimming of the shard.
    TrimHorizon,
    /// The record with this number, or the first one after it.
    From(u128),
}

impl ShardIterator {
    pub(crate) fn encode(self) -> String {
        let mut token = [0; TOKEN_BYTES];
        let position = match self.position {
            Position::TrimHorizon => HORIZON,
            Position::From(sequence) => sequence,
        };
        token[..8].copy_from_slice(&self.stream.to_be_bytes());
        token[8..12].copy_from_slice(&self.shard.to_be_bytes());
        token[12..28].copy_from_slice(&position.to_be_bytes());
        token[28..36].copy_from_slice(&self.issued_ms.to_be_bytes());
        let checksum = xxh3_64_with_seed(&token[..BODY_BYTES], SEED);
        token[BODY_BYTES..].copy_from_slice(&checksum.to_be_bytes());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Reads a token; nothing where it is not one of ours.
    pub(crate) fn decode(token: &str) -> Option<Self> {
        let bytes: [u8; TOKEN_BYTES] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (body, checksum) = bytes.split_at(BODY_BYTES);
        if xxh3_64_with_seed(body, SEED).to_be_bytes() != checksum {
            return None;
        }
        let position = match u128::from_be_bytes(body[12..28].try_into().ok()?) {
            HORIZON => Position::TrimHorizon,
            sequence => Position::From(sequence),
        };
        Some(Self {
            stream: u64::from_be_bytes(body[..8].try_into().ok()?),
            shard: u32::from_be_bytes(body[8..12].try_into().ok()?),
            position,
            issued_ms: i64::from_be_bytes(body[28..36].try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITERATOR: ShardIterator = ShardIterator {
        stream: 7,
        shard: 3,
        position: Position::From(100_000_000_000_000_000_042),
        issued_ms: 1_795_331_536_123,
    };

    #[test]
    fn a_token_carries_its_position() {
        assert_eq!(ShardIterator::decode(&ITERATOR.encode()), Some(ITERATOR));
        let horizon = ShardIterator { position: Position::TrimHorizon, ..ITERATOR };
        assert_eq!(ShardIterator::decode(&horizon.encode()), Some(horizon));
    }

    #[test]
    fn a_token_with_a_changed_character_is_refused() {
        let token = ITERATOR.encode();
        for (at, _) in token.char_indices() {
            let other = if &token[at..=at] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert_eq!(ShardIterator::decode(&changed), None, "{changed}");
        }
        assert_eq!(ShardIterator::decode(""), None);
        assert_eq!(ShardIterator::decode("not a token"), None);
    }
}
