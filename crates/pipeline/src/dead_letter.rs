//! Records that cannot become rows: kept whole, with the reason, before the checkpoint moves over them.

use async_trait::async_trait;

use crate::change::{Position, RawRecord};
use crate::error::Result;

/// The stage that refused a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Decode,
    Transform,
}

/// A rejected record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub record: RawRecord,
    pub step: Step,
    /// Stable: `DYN401`…
    pub code: &'static str,
    /// What was wrong, with the attribute's name but never its value.
    pub reason: String,
}

impl DeadLetter {
    pub fn position(&self) -> &Position {
        &self.record.position
    }
}

#[async_trait]
pub trait DeadLetterQueue: Send {
    /// Returns once the letters are durable. A letter's id is its position: sending twice is harmless.
    async fn send(&mut self, letters: &[DeadLetter]) -> Result<()>;
}
