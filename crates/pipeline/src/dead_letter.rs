//! Records that cannot become rows: kept whole, with the reason, before the checkpoint moves over them.

mod object_store;

use async_trait::async_trait;

use crate::change::{Position, RawRecord};
use crate::error::{Error, ErrorKind, Result};

pub use object_store::ObjectStoreDeadLetters;

/// The stage that refused a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Decode,
    Transform,
}

impl Step {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Transform => "transform",
        }
    }
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

/// For a pipeline without `[dead_letters]`: nothing is dropped silently, so the first rejected record stops it.
pub struct NoDeadLetters;

#[async_trait]
impl DeadLetterQueue for NoDeadLetters {
    async fn send(&mut self, letters: &[DeadLetter]) -> Result<()> {
        let Some(letter) = letters.first() else { return Ok(()) };
        let (code, reason, position) = (letter.code, &letter.reason, letter.position());
        Err(Error::new(
            ErrorKind::Misconfigured,
            format!(
                "record {position} was rejected ({code}: {reason}) and there is no place to keep it. \
                 Try: `[dead_letters] errors = \"s3://BUCKET/PREFIX/\"` in the pipeline file"
            ),
        ))
    }
}
