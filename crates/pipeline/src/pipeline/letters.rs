//! What the loop does about held letters: stages them, keeps the guard, and takes them up when it is asked to.

use tracing::info;
use uuid::Uuid;

use crate::batch::{Batch, InBatch};
use crate::checkpoint::Checkpoint;
use crate::compute::compute;
use crate::dead_letter::{
    Action, Counts, Guard, LetterItem, Letters, OpenLetter, Order, Outcome, Place, Request, Settled, Settling,
    StagedFile, StagedLetter, records_of, see,
};
use crate::error::Result;
use crate::intake::Intake;
use crate::pipeline::Pipeline;
use crate::shape::Mode;
use crate::sink::Commit;
use crate::transform::{LastOfItem, transform};

impl Pipeline {
    /// Makes the letters of a batch ready to be held by its commit.
    pub(super) async fn stage(
        &mut self,
        commit_id: Uuid,
        batch: &Batch,
        intake: &mut Intake,
    ) -> Result<(Vec<StagedLetter>, Vec<StagedFile>)> {
        if batch.rejected.is_empty() {
            return Ok(Default::default());
        }
        let shape = self.sink.shape();
        let keys = match shape.mode {
            Mode::Mirror => compute(|| intake.keys_of(shape, &batch.rejected)),
            Mode::Changelog | Mode::Operations => vec![None; batch.rejected.len()],
        };
        let letters = batch.rejected.iter().zip(&batch.rejected_at).zip(keys).map(|((letter, place), key)| {
            let item = LetterItem::of(key, place.record, letter.position());
            StagedLetter { letter: letter.clone(), item }
        });
        let letters: Vec<_> = letters.collect();
        let files = self.dead_letters.stage(commit_id, &letters).await?;
        Ok((letters, files))
    }

    /// Holds staged letters in the checkpoint `to`, and gives their places. Those whose item changed later in the same
    /// batch are superseded at once.
    pub(super) fn hold(
        to: &mut Checkpoint,
        in_batch: &[InBatch],
        letters: &[StagedLetter],
        files: Vec<StagedFile>,
        last_of_item: &LastOfItem,
    ) -> Vec<(LetterItem, Order, Place)> {
        let commit = to.held.next_commit();
        let mut fresh = Vec::with_capacity(letters.len());
        let mut superseded = Vec::new();
        for file in &files {
            let code = file.path.split('/').next().unwrap_or_default();
            let of_file = letters.iter().zip(in_batch).filter(|(staged, _)| staged.letter.code == code);
            for (line, (staged, place_in_batch)) in (0..).zip(of_file) {
                let place = Place { path: file.path.as_str().into(), line };
                let order = Order { commit, record: staged.item.record };
                let last = staged.item.key.and_then(|key| last_of_item.get(&key));
                match last.is_some_and(|last| *last >= place_in_batch.next_change) {
                    true => superseded.push(place),
                    false => fresh.push((staged.item, order, place)),
                }
            }
        }
        to.held.hold(files);
        superseded.iter().for_each(|place| to.held.supersede(place));
        fresh
    }

    /// Lets letters go in `to` whose records were read and rejected again. Gives them with their items.
    pub(super) fn release_twins(guard: &Guard, to: &mut Checkpoint, letters: &[StagedLetter]) -> Vec<(u128, Place)> {
        let twin = |staged: &StagedLetter| Some((staged.item.key?, guard.twin(&staged.item)?.clone()));
        let twins: Vec<(u128, Place)> = letters.iter().filter_map(twin).collect();
        to.held.release(twins.iter().map(|(_, place)| place));
        twins
    }

    /// Marks the letters in `to` that changes of this batch made void.
    pub(super) fn supersede(guard: &Guard, to: &mut Checkpoint, last_of_item: &LastOfItem) -> Vec<u128> {
        let after_all = Order { commit: u64::MAX, record: u64::MAX };
        let touched: Vec<u128> = guard.items().filter(|item| last_of_item.contains_key(*item)).copied().collect();
        for item in &touched {
            guard.earlier(*item, after_all).for_each(|place| to.held.supersede(place));
        }
        touched
    }

    /// Tells the queue of letters that it was not told of yet. That it was, is noted with the next commit.
    pub(super) async fn announce(&mut self, to: &mut Checkpoint) -> Result<()> {
        for path in to.held.unannounced() {
            self.dead_letters.announce(&path).await?;
            to.held.note_announced(&path);
        }
        Ok(())
    }

    /// Does what was asked for, chunk by chunk, each in a commit of its own. `batch` is empty, and so is the one it
    /// gives.
    pub(super) async fn serve(
        &mut self,
        request: Request,
        mut batch: Batch,
        intake: &mut Intake,
        guard: &mut Guard,
    ) -> Result<Batch> {
        let mut counts = Counts::default();
        let mut settling = Settling::default();
        let mut letters = Letters::new(request.selection.clone(), batch.to.held.clone());
        loop {
            let chunk = letters.next_chunk(self.dead_letters.as_mut()).await?;
            if chunk.is_empty() {
                break;
            }
            batch = match request.action {
                Action::Redrive => self.redrive(chunk, batch, intake, guard, &mut settling, &mut counts).await?,
                Action::Purge => self.purge(chunk, batch, intake, guard, &mut counts).await?,
            };
        }
        let gone = letters.gone();
        match request.action {
            Action::Redrive => counts.remaining = settling.remaining() + gone.len() as u64,
            Action::Purge => {
                let mut to = batch.to.clone();
                to.held.release(gone);
                batch = self.commit_letters(batch, to, lake::RowChanges::default(), gone, intake).await?;
                counts.purged += gone.len() as u64;
            }
        }
        info!(?counts, action = ?request.action, "looked after held letters");
        let outcome = Outcome { counts, held: batch.to.held.len() };
        request.answer(outcome);
        Ok(batch)
    }

    pub(super) async fn redrive(
        &mut self,
        chunk: Vec<OpenLetter>,
        batch: Batch,
        intake: &mut Intake,
        guard: &mut Guard,
        settling: &mut Settling,
        counts: &mut Counts,
    ) -> Result<Batch> {
        let mode = self.sink.shape().mode;
        let before = settling.clone();
        let records = records_of(&chunk);
        let handed = see(self.lambda.as_ref(), &records).await?;
        let mut settled = compute(|| settling.settle(mode, intake, chunk.clone(), &handed));
        if !settled.new_columns.is_empty() {
            self.sink.add_columns(&settled.new_columns).await?;
            *intake = self.intake()?;
            *settling = before;
            settled = compute(|| settling.settle(mode, intake, chunk, &handed));
        }
        let Settled { changes, applied, superseded, .. } = settled;
        let mut to = batch.to.clone();
        let released: Vec<Place> =
            applied.iter().map(|letter| letter.place.clone()).chain(superseded.iter().cloned()).collect();
        for letter in &applied {
            if let Some(item) = letter.item {
                guard.earlier(item, letter.order).for_each(|place| to.held.supersede(place));
            }
        }
        to.held.release(&released);
        let transformed = compute(|| transform(self.sink.shape(), changes.into_iter().collect()));
        let merged = transformed.superseded as u64;
        let batch = self.commit_letters(batch, to, transformed.changes, &released, intake).await?;
        for letter in &applied {
            if let Some(item) = letter.item {
                guard.forget_earlier(item, letter.order);
                guard.forget(item, &letter.place);
            }
        }
        let (redriven, skipped) = (applied.len() as u64 - merged, superseded.len() as u64 + merged);
        counts.redriven += redriven;
        counts.skipped += skipped;
        self.accounts.update(|account| {
            account.redriven += redriven;
            account.redrive_skipped += skipped;
        });
        Ok(batch)
    }

    async fn purge(
        &mut self,
        chunk: Vec<OpenLetter>,
        batch: Batch,
        intake: &mut Intake,
        guard: &mut Guard,
        counts: &mut Counts,
    ) -> Result<Batch> {
        let mut to = batch.to.clone();
        let released: Vec<Place> = chunk.iter().map(|letter| letter.place.clone()).collect();
        to.held.release(&released);
        let batch = self.commit_letters(batch, to, lake::RowChanges::default(), &released, intake).await?;
        chunk.iter().for_each(|letter| letter.item.into_iter().for_each(|item| guard.forget(item, &letter.place)));
        // What nobody holds any more was meant to go. A file that stays behind harms nobody.
        let mut paths: Vec<_> = released.iter().map(|place| place.path.clone()).collect();
        paths.dedup();
        for path in paths.iter().filter(|path| batch.to.held.files().iter().all(|file| *file.path != ***path)) {
            self.dead_letters.remove(path).await?;
        }
        counts.purged += released.len() as u64;
        self.accounts.update(|account| account.purged += released.len() as u64);
        Ok(batch)
    }

    /// Commits rows of letters, together with their release.
    async fn commit_letters(
        &mut self,
        batch: Batch,
        to: Checkpoint,
        changes: lake::RowChanges,
        released: &[Place],
        intake: &mut Intake,
    ) -> Result<Batch> {
        if released.is_empty() {
            return Ok(batch);
        }
        let schema = self.sink.shape().schema.clone();
        let commit = Commit { id: self.ambient.uuid(), from: &batch.from, to: &to, complete_up_to: None };
        self.sink.commit(changes, commit).await?;
        self.follow_columns(&schema, intake)?;
        self.accounts.update(|account| {
            account.commits += 1;
            account.hold(&to.held);
        });
        Ok(Batch::after(to))
    }
}
