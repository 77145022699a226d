//! Held letters taken up again: which, in which order, and what becomes of each.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::change::{Position, RawRecord};
use crate::dead_letter::{DeadLetter, DeadLetterQueue, Held, HeldLetter, Order, Place};
use crate::decode::Changes;
use crate::error::Result;
use crate::intake::Intake;
use crate::shape::{Mode, NewColumn, TableShape};
use crate::transform::transform;

/// Letters of whole commits are taken together until there are this many.
const CHUNK: usize = 5_000;

/// Which letters are meant: those to which every condition applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub code: Option<String>,
    /// Rejected at this moment or later.
    pub since: Option<Timestamp>,
    /// Rejected before this moment.
    pub until: Option<Timestamp>,
    /// The first so many.
    pub limit: Option<u64>,
}

/// What became of selected letters. Together they are all that were selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In the table now.
    pub redriven: u64,
    /// Released, as the table has a newer state of their item.
    pub skipped: u64,
    /// Released unread.
    pub purged: u64,
    /// Held still: they were rejected again, or their item is not known.
    pub remaining: u64,
}

/// A letter that is held.
#[derive(Clone, Debug)]
pub struct OpenLetter {
    pub letter: HeldLetter,
    /// The table has a newer state of its item.
    pub is_superseded: bool,
    pub(crate) item: Option<u128>,
    pub(crate) order: Order,
    pub(crate) place: Place,
}

/// Reads selected letters, those of one commit after the other.
pub(crate) struct Letters {
    selection: Selection,
    held: Held,
    next_file: usize,
    taken: u64,
}

impl Letters {
    pub fn new(selection: Selection, held: Held) -> Self {
        Self { selection, held, next_file: 0, taken: 0 }
    }

    /// The next letters in the order in which they were rejected; none at the end.
    pub async fn next_chunk(&mut self, letters: &mut dyn DeadLetterQueue) -> Result<Vec<OpenLetter>> {
        let mut chunk = Vec::new();
        let is_full = |chunk: &Vec<OpenLetter>, taken| {
            chunk.len() >= CHUNK || self.selection.limit.is_some_and(|limit| taken >= limit)
        };
        while !is_full(&chunk, self.taken) {
            let Some(first) = self.held.files().get(self.next_file) else { break };
            let mut of_commit = Vec::new();
            let files = &self.held.files()[self.next_file..];
            for file in files.iter().take_while(|file| file.commit() == first.commit()) {
                self.next_file += 1;
                if self.selection.code.as_ref().is_some_and(|code| code != file.code()) {
                    continue;
                }
                let (read, items) = (letters.read(&file.path).await?, letters.items(&file.path).await?);
                let path: Arc<str> = file.path.as_str().into();
                for (line, (letter, item)) in (0..).zip(read.into_iter().zip(items)) {
                    if file.is_held(line) && self.selection.covers(&letter) {
                        let (is_superseded, place) = (file.is_superseded(line), Place { path: path.clone(), line });
                        let order = Order { commit: file.commit(), record: item.record };
                        of_commit.push(OpenLetter { letter, is_superseded, item: item.key, order, place });
                    }
                }
            }
            of_commit.sort_by_key(|letter| letter.order);
            let left = self.selection.limit.map_or(u64::MAX, |limit| limit - self.taken);
            of_commit.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            self.taken += of_commit.len() as u64;
            chunk.extend(of_commit);
        }
        Ok(chunk)
    }
}

impl Selection {
    fn covers(&self, letter: &HeldLetter) -> bool {
        self.since.is_none_or(|since| letter.rejected_at >= since)
            && self.until.is_none_or(|until| letter.rejected_at < until)
    }
}

/// What taking up a chunk of letters comes to.
pub(crate) struct Settled {
    pub changes: Option<Changes>,
    /// Of the letters whose changes these are.
    pub applied: Vec<OpenLetter>,
    /// To be released besides those.
    pub superseded: Vec<Place>,
    /// Rejected again, and why.
    pub rejected: Vec<DeadLetter>,
    /// Of which it is not known what they are of.
    pub unknown: u64,
    pub new_columns: Vec<NewColumn>,
}

/// Decodes and transforms letters as records that come for the first time.
pub(crate) fn settle(mode: Mode, intake: &mut Intake, chunk: Vec<OpenLetter>) -> Settled {
    let mut settled = Settled {
        changes: None,
        applied: Vec::new(),
        superseded: Vec::new(),
        rejected: Vec::new(),
        unknown: 0,
        new_columns: Vec::new(),
    };
    let mut candidates = Vec::with_capacity(chunk.len());
    for letter in chunk {
        match (mode, letter.is_superseded, letter.item) {
            (Mode::Mirror, true, _) => settled.superseded.push(letter.place),
            // Nobody could tell whether the table has a newer state of it.
            (Mode::Mirror, false, None) => settled.unknown += 1,
            _ => candidates.push(letter),
        }
    }
    let records: Vec<RawRecord> = candidates.iter().map(|letter| letter.letter.record.clone()).collect();
    let decoded = intake.take(&records);
    let rejected: HashSet<Position> = decoded.rejected.iter().map(|letter| letter.position().clone()).collect();
    candidates.retain(|letter| !rejected.contains(&letter.letter.record.position));
    settled.applied = candidates;
    settled.changes = (!decoded.changes.operations.is_empty()).then_some(decoded.changes);
    settled.rejected = decoded.rejected;
    settled.new_columns = decoded.new_columns;
    settled
}

/// What a redrive would do.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    pub counts: Counts,
    /// Of those that would be in the table: rows that would be put there.
    pub upserts: u64,
    /// And items that would be deleted, by a REMOVE or by the transform's filter.
    pub deletes: u64,
    /// Why letters would stay: code, reason, and how many.
    pub reasons: Vec<(String, String, u64)>,
}

/// Goes through a redrive of `held` without doing it.
pub async fn preview(
    selection: Selection,
    held: &Held,
    letters: &mut dyn DeadLetterQueue,
    shape: &TableShape,
    intake: &mut Intake,
) -> Result<Preview> {
    let mut preview = Preview::default();
    let mut selected = Letters::new(selection, held.clone());
    loop {
        let chunk = selected.next_chunk(letters).await?;
        if chunk.is_empty() {
            return Ok(preview);
        }
        let settled = settle(shape.mode, intake, chunk);
        preview.counts.remaining += settled.rejected.len() as u64 + settled.unknown;
        preview.counts.skipped += settled.superseded.len() as u64;
        for letter in &settled.rejected {
            let known =
                preview.reasons.iter_mut().find(|(code, reason, _)| *code == letter.code && *reason == letter.reason);
            match known {
                Some((_, _, count)) => *count += 1,
                None => preview.reasons.push((letter.code.to_owned(), letter.reason.clone(), 1)),
            }
        }
        let transformed = transform(shape, settled.changes.into_iter().collect());
        preview.counts.skipped += transformed.superseded as u64;
        preview.counts.redriven += (settled.applied.len() - transformed.superseded) as u64;
        preview.upserts += transformed.upserted as u64;
        preview.deletes += (transformed.deleted + transformed.filtered) as u64;
    }
}
