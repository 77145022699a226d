//! Records that cannot become rows: kept whole, with the reason, before the checkpoint moves over them, and taken up
//! again once they can.
//!
//! Letters of a batch are staged in files under the id of its commit; the checkpoint that the commit stores names the
//! files ([`Held`]), so that a letter is held only if its commit landed. A redrive is a commit, too: it takes letters
//! up and releases them in one, asked for at the [`Desk`] or, with [`Retries`], by itself. The [`Guard`] sees to it that none of them puts an older state over a newer one.

mod desk;
mod guard;
mod held;
mod letter_file;
mod lines;
mod object_store;
mod queue;
mod redrive;
mod retries;
mod sqs;

use async_trait::async_trait;
use uuid::Uuid;

use crate::change::{Position, RawRecord};
use crate::error::{Error, ErrorKind, Result};

pub use desk::{Action, Desk, Outcome, Request};
pub use held::{Held, HeldFile};
pub use letter_file::{HeldLetter, LetterItem};
pub use object_store::ObjectStoreDeadLetters;
pub use queue::LetterQueue;
pub use redrive::{Counts, OpenLetter, Preview, Selection, preview};
pub use retries::Retries;
pub use sqs::SqsClient;

pub(crate) use guard::{Guard, Order, Place};
pub(crate) use redrive::{Letters, Settled, Settling, records_of, see};
pub(crate) use retries::letters_due;

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

/// A letter on its way to a file.
#[derive(Clone, Debug)]
pub struct StagedLetter {
    pub letter: DeadLetter,
    pub item: LetterItem,
}

/// Letters that one commit staged together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// Its name, as the checkpoint has it: `DYN404/2026/11/22/14/COMMIT-ID.jsonl`.
    pub path: String,
    pub letters: u32,
    /// Whether a queue is still to be told of them.
    pub is_to_be_announced: bool,
}

#[async_trait]
pub trait DeadLetterQueue: Send {
    /// Returns once the letters are durable, in files that no other commit has: one for each code.
    async fn stage(&mut self, commit_id: Uuid, letters: &[StagedLetter]) -> Result<Vec<StagedFile>>;

    /// Tells a queue, where there is one, of the letters of a file that is held now. It may be told twice.
    async fn announce(&mut self, path: &str) -> Result<()>;

    /// Which items the letters of a file are of, line by line; none where somebody deleted the file.
    async fn items(&mut self, path: &str) -> Result<Vec<LetterItem>>;

    /// The letters of a file, line by line; none where somebody deleted the file, as the rules of a bucket may.
    async fn read(&mut self, path: &str) -> Result<Vec<HeldLetter>>;

    /// One letter of a file, without those after it; `None` where it is not there.
    async fn letter(&mut self, path: &str, line: u32) -> Result<Option<HeldLetter>> {
        Ok(self.read(path).await?.into_iter().nth(line as usize))
    }

    /// Deletes a file of which no letter is held any more. One that is gone already is fine.
    async fn remove(&mut self, path: &str) -> Result<()>;
}

/// For a pipeline without `[dead_letters]`: nothing is dropped silently, so the first rejected record stops it.
pub struct NoDeadLetters;

#[async_trait]
impl DeadLetterQueue for NoDeadLetters {
    async fn stage(&mut self, _commit_id: Uuid, letters: &[StagedLetter]) -> Result<Vec<StagedFile>> {
        let Some(StagedLetter { letter, .. }) = letters.first() else { return Ok(Vec::new()) };
        let (code, reason, position) = (letter.code, &letter.reason, letter.position());
        Err(Error::new(
            ErrorKind::Misconfigured,
            format!(
                "record {position} was rejected ({code}: {reason}) and there is no place to keep it. \
                 Try: `[dead_letters] errors = \"s3://BUCKET/PREFIX/\"` in the pipeline file"
            ),
        ))
    }

    async fn announce(&mut self, path: &str) -> Result<()> {
        Err(no_place(path))
    }

    async fn items(&mut self, path: &str) -> Result<Vec<LetterItem>> {
        Err(no_place(path))
    }

    async fn read(&mut self, path: &str) -> Result<Vec<HeldLetter>> {
        Err(no_place(path))
    }

    async fn remove(&mut self, path: &str) -> Result<()> {
        Err(no_place(path))
    }
}

fn no_place(path: &str) -> Error {
    Error::new(
        ErrorKind::Misconfigured,
        format!(
            "look after the held letters of {path}: the pipeline file does not say any more where they are. \
             Try: `[dead_letters] errors = \"s3://BUCKET/PREFIX/\"` as it was"
        ),
    )
}
