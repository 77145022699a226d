//! Records that a table has no place for: the delivery stream puts them into error objects.
//!
//! Nothing of them is held in the table's checkpoint, and so nothing is read back.

use async_trait::async_trait;
use local_delivery::{Rejected, TableDelivery};
use pipeline::{DeadLetterQueue, HeldLetter, LetterItem, Result, StagedFile, StagedLetter};
use uuid::Uuid;

use super::source::buffer_error;

pub struct Refusals(pub TableDelivery);

#[async_trait]
impl DeadLetterQueue for Refusals {
    async fn stage(&mut self, _commit_id: Uuid, letters: &[StagedLetter]) -> Result<Vec<StagedFile>> {
        let rejected = |staged: &StagedLetter| {
            let letter = &staged.letter;
            let number = letter.record.position.sequence_number.as_str().parse().ok()?;
            Some(Rejected { number, code: code_of(letter.code), message: letter.reason.clone() })
        };
        self.0.refuse(letters.iter().filter_map(rejected).collect()).await.map_err(buffer_error)?;
        Ok(Vec::new())
    }

    async fn announce(&mut self, _path: &str) -> Result<()> {
        Ok(())
    }

    async fn items(&mut self, _path: &str) -> Result<Vec<LetterItem>> {
        Ok(Vec::new())
    }

    async fn read(&mut self, _path: &str) -> Result<Vec<HeldLetter>> {
        Ok(Vec::new())
    }

    async fn remove(&mut self, _path: &str) -> Result<()> {
        Ok(())
    }
}

/// What Firehose calls the reason for which a record was rejected.
fn code_of(code: &str) -> &'static str {
    match code {
        "DYN401" | "DYN402" => "Iceberg.InvalidRecordFormat",
        "DYN403" => "Iceberg.UniqueKeysNotFound",
        "DYN409" => "Iceberg.MissingColumnWithinRecord",
        _ => "Iceberg.SchemaTypeMismatch",
    }
}
