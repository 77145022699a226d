//! A Lambda function that records pass through before they are decoded.
//!
//! `contract` writes the event and reads the answer, in the shapes that Firehose uses for transformations; `record`
//! checks what the function made of a record; `client` invokes. Every record that goes in is accounted for: it comes
//! back, is dropped, or becomes a dead letter with the reason.

mod client;
mod contract;
mod handed;
mod record;

use std::sync::Arc;
use std::time::Duration;

use ambient::Ambient;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::try_join_all;
use tracing::warn;

use crate::change::RawRecord;
use crate::dead_letter::{DeadLetter, Step};
use crate::error::Result;
use crate::infer::KeyAttribute;

pub use client::{FunctionName, LambdaClient};
use contract::Verdict;
pub use handed::Handed;

/// The function says that it cannot make a row of the record.
const PROCESSING_FAILED: &str = "DYN421";
/// The function fails on the record: it crashes, takes too long, or answers with what cannot be read.
const FUNCTION_FAILED: &str = "DYN422";
/// The function does not account for the record once.
const UNACCOUNTED: &str = "DYN423";
/// What the function made of the record is not a change of the same item.
const NOT_A_CHANGE: &str = "DYN424";

/// Records of one event.
const RECORDS_MAX: usize = 500;
/// Bytes of one event's records. In base64 they are a third more, and the answer may be as long: Lambda takes 6 MiB.
const BYTES_MAX: usize = 3 << 20;
/// Events in the function at a time.
const CONCURRENCY: usize = 4;
/// How often a record is handed over, where the function does not account for it. Firehose tries again three times.
const TRIES_MAX: u32 = 4;
/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(100);

/// A function that takes an event and answers.
#[async_trait]
pub trait Function: Send + Sync {
    /// Fails where the function cannot be asked: it is not there, or it is throttled for long.
    async fn invoke(&self, event: Bytes) -> Result<Invoked>;
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invoked {
    Answered(Bytes),
    /// What the function, or Lambda for it, gives as the reason.
    Failed(String),
}

/// `[transform] lambda`.
#[derive(Clone)]
pub struct LambdaTransform {
    pub function: Arc<dyn Function>,
    /// Name or ARN, as declared.
    pub name: String,
    /// The stream that the records come from, as the function is told.
    pub source_arn: String,
    pub region: String,
    pub ambient: Ambient,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Settled {
    Kept(Bytes),
    Dropped,
    Rejected { code: &'static str, reason: String },
}

/// Records, by their places, that go in one event.
struct Part {
    places: Vec<usize>,
    tries: u32,
}

impl LambdaTransform {
    /// Says which transform rows come by, as the checkpoint keeps it.
    pub fn id(&self) -> String {
        format!("lambda:{}", self.name)
    }

    /// Has the function see all records but those of removed items, which have nothing but their keys.
    pub async fn apply<'a>(&self, records: &'a [RawRecord]) -> Result<Handed<'a>> {
        let places: Vec<usize> = (0..records.len()).filter(|&place| record::has_image(&records[place].json)).collect();
        let parts = parts(records, &places);
        let mut handed = Handed::untouched(records);
        for parts in parts.chunks(CONCURRENCY) {
            let settled = try_join_all(parts.iter().map(|places| self.settle(records, places.clone()))).await?;
            for (place, settled) in settled.into_iter().flatten() {
                let original = &records[place];
                match settled {
                    Settled::Kept(json) => handed.replace(place, json),
                    Settled::Dropped => handed.hold_back(place, record::keys_only(&original.json)),
                    Settled::Rejected { code, reason } => handed.reject(place, letter(original, code, reason)),
                }
            }
        }
        Ok(handed)
    }

    /// What the function makes of items, in DynamoDB JSON: the columns of a table that is to be made for them.
    pub async fn apply_to_items(
        &self,
        keys: &[KeyAttribute],
        items: &[serde_json::Value],
    ) -> Result<Vec<serde_json::Value>> {
        let records: Vec<RawRecord> =
            items.iter().zip(1..).map(|(item, number)| record::of_item(keys, item, number)).collect();
        let handed = self.apply(&records).await?;
        Ok(handed.kept().filter_map(record::new_image).collect())
    }

    /// Invokes until each of the records is settled.
    async fn settle(&self, records: &[RawRecord], places: Vec<usize>) -> Result<Vec<(usize, Settled)>> {
        let mut settled = Vec::with_capacity(places.len());
        let mut parts = vec![Part { places, tries: 0 }];
        while let Some(mut part) = parts.pop() {
            part.tries += 1;
            let event = contract::event(self, part.places.iter().map(|&place| &records[place]));
            let answer = match self.function.invoke(event).await? {
                Invoked::Answered(answer) => {
                    let ids: Vec<String> =
                        part.places.iter().map(|&place| records[place].position.to_string()).collect();
                    contract::read(&answer, &ids)
                }
                Invoked::Failed(reason) => Err(reason),
            };
            let verdicts = match answer {
                Ok(verdicts) => verdicts,
                Err(reason) => {
                    warn!(function = self.name, records = part.places.len(), reason, "function failed");
                    self.after_failure(part, reason, &mut parts, &mut settled).await;
                    continue;
                }
            };
            let mut unaccounted = Vec::new();
            for (&place, verdict) in part.places.iter().zip(verdicts) {
                match verdict {
                    Verdict::Unaccounted(_) if part.tries < TRIES_MAX => unaccounted.push(place),
                    verdict => settled.push((place, settle(&records[place], verdict))),
                }
            }
            if !unaccounted.is_empty() {
                self.pause(part.tries).await;
                parts.push(Part { places: unaccounted, ..part });
            }
        }
        Ok(settled)
    }

    /// Parts what the function failed on, so that one bad record keeps no other; alone it has a last chance.
    async fn after_failure(
        &self,
        part: Part,
        reason: String,
        parts: &mut Vec<Part>,
        settled: &mut Vec<(usize, Settled)>,
    ) {
        if let [place] = part.places[..] {
            if part.tries < TRIES_MAX {
                self.pause(part.tries).await;
                parts.push(part);
            } else {
                settled.push((place, Settled::Rejected { code: FUNCTION_FAILED, reason }));
            }
            return;
        }
        let (first, second) = part.places.split_at(part.places.len() / 2);
        for half in [second, first] {
            // Whoever is alone now was tried in company.
            let tries = if half.len() == 1 { TRIES_MAX - 2 } else { 0 };
            parts.push(Part { places: half.to_vec(), tries });
        }
    }

    async fn pause(&self, tries: u32) {
        tokio::time::sleep(PAUSE * 2_u32.pow(tries.min(TRIES_MAX))).await;
    }
}

fn settle(original: &RawRecord, verdict: Verdict) -> Settled {
    match verdict {
        Verdict::Ok(data) => match record::check(&original.json, &data) {
            Ok(()) => Settled::Kept(data),
            Err(reason) => Settled::Rejected { code: NOT_A_CHANGE, reason },
        },
        Verdict::Dropped => Settled::Dropped,
        Verdict::ProcessingFailed => Settled::Rejected {
            code: PROCESSING_FAILED,
            reason: "the function answers ProcessingFailed for the record".to_owned(),
        },
        Verdict::Unaccounted(reason) => Settled::Rejected { code: UNACCOUNTED, reason },
    }
}

/// Parts records into events.
fn parts(records: &[RawRecord], places: &[usize]) -> Vec<Vec<usize>> {
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for &place in places {
        let len = records[place].json.len();
        match parts.last_mut() {
            Some(part) if part.len() < RECORDS_MAX && bytes + len <= BYTES_MAX => {
                part.push(place);
                bytes += len;
            }
            _ => {
                parts.push(vec![place]);
                bytes = len;
            }
        }
    }
    parts
}

fn letter(original: &RawRecord, code: &'static str, reason: String) -> DeadLetter {
    // A copy of its own: the record's bytes are a slice of all that one poll gave.
    let json = Bytes::copy_from_slice(&original.json);
    let record = RawRecord { position: original.position.clone(), json };
    DeadLetter { record, step: Step::Transform, code, reason }
}

#[cfg(test)]
mod tests;
