//! Tables whose changes go to Kinesis streams, and the faults that the real service may have.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use super::log::NewRecord;

/// The unit of `ApproximateCreationDateTime`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Precision {
    Millisecond,
    #[default]
    Microsecond,
}

impl Precision {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Millisecond => "MILLISECOND",
            Self::Microsecond => "MICROSECOND",
        }
    }

    pub(crate) fn of_micros(self, micros: i64) -> i64 {
        match self {
            Self::Millisecond => micros.div_euclid(1_000),
            Self::Microsecond => micros,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DestinationStatus {
    /// Written before the engine is asked to record changes; a crash between the two is settled at the next start.
    Enabling,
    Active,
    Disabled,
}

/// A Kinesis stream that takes the changes of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Destination {
    pub table_name: String,
    /// Tells a table from another one made under the same name later.
    pub table_id: Option<String>,
    /// The incarnation of the stream.
    pub stream: u64,
    pub stream_arn: String,
    pub precision: Precision,
    pub status: DestinationStatus,
}

impl Destination {
    pub(crate) fn takes(&self, table_name: &str) -> bool {
        self.table_name == table_name && self.status != DestinationStatus::Disabled
    }
}

/// A change as a record. All changes of an item have one partition key, so that they share a shard.
pub(crate) fn record_of(table_name: &str, keys: &str, json: &[u8]) -> NewRecord {
    let partition_key = format!("{:032X}", xxh3_128(format!("{table_name}\0{keys}").as_bytes()));
    let hash_key = super::hash_key_of(&partition_key);
    NewRecord::new(hash_key, &partition_key, json)
}

/// Repeats and swaps records, as Kinesis-for-DynamoDB may. What is repeated late is forgotten by a crash, which harms
/// nothing: it was delivered before.
pub(crate) struct Faults {
    /// Of a thousand records, how many are repeated and how many are swapped with the one before.
    per_mille: u64,
    late: VecDeque<(u64, NewRecord)>,
    seed: u64,
}

/// Repeated records that wait for a later delivery.
const LATE_MAX: usize = 64;

impl Faults {
    pub(crate) fn new(share: f64) -> Self {
        Self { per_mille: (share.clamp(0.0, 1.0) * 1_000.0) as u64, late: VecDeque::new(), seed: 0 }
    }

    /// Takes the records of one delivery and gives what is delivered instead.
    pub(crate) fn apply(&mut self, records: Vec<(u64, NewRecord)>) -> Vec<(u64, NewRecord)> {
        if self.per_mille == 0 || records.is_empty() {
            return records;
        }
        let mut delivered: Vec<(u64, NewRecord)> = Vec::with_capacity(records.len() + 1);
        // Half of what waits comes now, in front: behind newer changes of the same items.
        let due = self.late.len().div_ceil(2);
        delivered.extend(self.late.drain(..due));
        for (stream, record) in records {
            if self.strikes() {
                self.late.push_back((stream, record.clone()));
                self.late.drain(..self.late.len().saturating_sub(LATE_MAX));
            }
            delivered.push((stream, record));
            let last = delivered.len() - 1;
            if last > 0 && self.strikes() {
                delivered.swap(last - 1, last);
            }
        }
        delivered
    }

    fn strikes(&mut self) -> bool {
        self.seed = self.seed.wrapping_add(1);
        xxh3_64_with_seed(&self.seed.to_be_bytes(), 0x5eed) % 1_000 < self.per_mille
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_repeat_and_swap_but_lose_nothing() {
        let mut faults = Faults::new(0.1);
        let mut delivered = Vec::new();
        for number in 0..100u32 {
            let batch = (0..10).map(|at| (1, record_of("t", "{}", &(number * 10 + at).to_be_bytes()))).collect();
            delivered.extend(faults.apply(batch));
        }
        let numbers: Vec<u32> = delivered
            .iter()
            .map(|(_, record)| u32::from_be_bytes(*record.value.last_chunk().expect("four bytes")))
            .collect();
        let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
        assert_eq!(distinct.len(), 1_000, "nothing is lost");
        assert!(numbers.len() > 1_050, "some are there twice: {}", numbers.len());
        assert!(!numbers.is_sorted());
    }
}
