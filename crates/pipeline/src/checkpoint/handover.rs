//! One stream takes over from another that has the same changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, read_positions};

/// How much of what the table has already is read again from the new stream: clocks differ, and changes take their time
/// on the way.
const HANDOVER_MARGIN_MS: i64 = 60_000;
/// For how long changes may still come that the table has from the stream before.
const HANDOVER_LASTS_MS: i64 = 300_000;

/// The stream that was read before this one. What both of them hold is recognised while the handover lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    pub incarnation: String,
    /// Its positions, as in a checkpoint: what it has given up to them is in the table.
    pub shards: BTreeMap<String, String>,
    /// Everything written to the source before this moment is in the table, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// It ends when the new stream is read up to this moment.
    pub until_ms: i64,
}

impl Checkpoint {
    /// Where the stream `incarnation` goes on: here, unless a stream of the other kind was read before. `complete_up_to_ms`
    /// is up to when the table has all changes.
    pub fn followed_by(&self, incarnation: &str, now_ms: i64, complete_up_to_ms: Option<i64>) -> Self {
        match is_switched(&self.incarnation, incarnation) {
            true => self.hand_over(incarnation, now_ms, complete_up_to_ms),
            false => self.clone(),
        }
    }

    pub fn handover(&self) -> Option<&Handover> {
        self.handover.as_ref()
    }

    /// A stream that was read before is read on from where it was left.
    fn hand_over(&self, incarnation: &str, now_ms: i64, complete_up_to_ms: Option<i64>) -> Self {
        let from_ms = match &self.handover {
            Some(last) => last.from_ms,
            None => complete_up_to_ms.map_or(0, |complete_ms| (complete_ms - HANDOVER_MARGIN_MS).max(0)),
        };
        let back = self.handover.as_ref().filter(|last| last.incarnation == incarnation);
        let shards = back.and_then(|last| read_positions(&last.shards)).unwrap_or_default();
        Self {
            incarnation: incarnation.to_owned(),
            shards,
            gaps: self.gaps.clone(),
            transform: self.transform.clone(),
            held: self.held.clone(),
            read_from_ms: Some(from_ms),
            handover: Some(Handover {
                incarnation: self.incarnation.clone(),
                shards: self.positions(),
                from_ms,
                until_ms: now_ms + HANDOVER_LASTS_MS,
            }),
        }
    }

    /// Forgets the stream that was read before.
    pub fn end_handover(&mut self) {
        self.handover = None;
    }
}

/// Whether a table that was filled from one kind of stream is to be filled from the other. Both have all changes; another
/// stream of the same kind may have begun later.
fn is_switched(before: &str, now: &str) -> bool {
    let is_kinesis = |incarnation: &str| incarnation.starts_with("arn:") && incarnation.contains(":kinesis:");
    let is_dynamodb = |incarnation: &str| incarnation.starts_with("arn:") && incarnation.contains(":dynamodb:");
    (is_kinesis(before) && is_dynamodb(now)) || (is_dynamodb(before) && is_kinesis(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Position, SequenceNumber, ShardId};

    const DYNAMODB: &str = "arn:aws:dynamodb:r:1:table/t/stream/l";
    const KINESIS: &str = "arn:aws:kinesis:r:1:stream/s@7";

    fn at(incarnation: &str, shard: &str, digits: &str) -> Checkpoint {
        let mut checkpoint = Checkpoint::of(incarnation);
        let sequence_number = SequenceNumber::parse(digits).unwrap();
        checkpoint.advance(&Position { shard: ShardId::new(shard), sequence_number, part: 0 });
        checkpoint
    }

    #[test]
    fn a_stream_that_was_read_before_goes_on_where_it_was_left() {
        let before = at(DYNAMODB, "d", "5");
        let switched = before.followed_by(KINESIS, 1_000_000, Some(900_000));
        assert_eq!((switched.incarnation.as_str(), switched.shards().count()), (KINESIS, 0));
        assert_eq!(switched.read_from_ms(), Some(840_000));
        assert_eq!(Checkpoint::from_text(&switched.to_text()).unwrap(), switched);

        let back = switched.followed_by(DYNAMODB, 1_100_000, Some(1_050_000));
        assert!(back.shards().eq(before.shards()));
        assert_eq!(back.handover().map(|last| (last.incarnation.as_str(), last.from_ms)), Some((KINESIS, 840_000)));
    }

    #[test]
    fn the_same_stream_and_another_of_its_kind_are_no_handover() {
        let before = at(DYNAMODB, "d", "5");
        assert_eq!(before.followed_by(DYNAMODB, 0, None), before);
        assert_eq!(before.followed_by("arn:aws:dynamodb:r:1:table/t/stream/m", 0, None), before);
        assert_eq!(Checkpoint::default().followed_by(KINESIS, 0, None), Checkpoint::default());
    }
}
