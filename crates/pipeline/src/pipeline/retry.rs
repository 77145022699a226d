//! Held letters that are tried again by themselves.

use lake::RowChanges;
use tracing::{info, warn};

use crate::batch::Batch;
use crate::checkpoint::Checkpoint;
use crate::dead_letter::{Counts, Guard, Letters, Settling};
use crate::error::Result;
use crate::intake::Intake;
use crate::pipeline::Pipeline;
use crate::sink::Commit;

impl Pipeline {
    /// Puts the transform in force that this run has. With another one all letters have another chance.
    pub(super) fn adopt_transform(&self, to: &mut Checkpoint) {
        let id = self.transform_id();
        let is_another = to.transform().map(|transform| transform.id.as_str()) != id.as_deref();
        to.adopt_transform(id.as_deref());
        self.schedule_retries(to, is_another);
    }

    pub(super) fn schedule_retries(&self, to: &mut Checkpoint, is_anew: bool) {
        to.held.schedule(is_anew, |tries| self.retries?.due_ms(tries, &self.ambient));
    }

    /// Tries the letters that are due, as a redrive does, and counts the try for those that stay. `batch` is empty, and
    /// so is the one it gives.
    pub(super) async fn retry(&mut self, mut batch: Batch, intake: &mut Intake, guard: &mut Guard) -> Result<Batch> {
        let now_ms = self.ambient.now_ms();
        let (mut counts, mut settling) = (Counts::default(), Settling::default());
        let mut letters = Letters::due(batch.to.held.clone(), now_ms);
        loop {
            let chunk = letters.next_chunk(self.dead_letters.as_mut()).await?;
            if chunk.is_empty() {
                break;
            }
            batch = self.redrive(chunk, batch, intake, guard, &mut settling, &mut counts).await?;
        }
        let given_up_before = batch.to.held.given_up();
        let mut to = batch.to.clone();
        to.held.count_tries(now_ms, |tries| self.retries?.due_ms(tries, &self.ambient));
        if to.held != batch.to.held {
            // It is kept at once, so that a restart does not begin to count anew.
            let commit = Commit { id: self.ambient.uuid(), from: &batch.from, to: &to, complete_up_to: None };
            self.sink.commit(RowChanges::default(), commit).await?;
            self.accounts.update(|account| {
                account.commits += 1;
                account.hold(&to.held);
            });
            batch = Batch::after(to);
        }
        counts.remaining = settling.remaining() + letters.gone().len() as u64;
        info!(?counts, "tried held letters again");
        let given_up = batch.to.held.given_up().saturating_sub(given_up_before);
        if given_up > 0 {
            warn!(code = "DYN804", letters = given_up, "given up: they are not tried again by themselves");
        }
        Ok(batch)
    }
}
