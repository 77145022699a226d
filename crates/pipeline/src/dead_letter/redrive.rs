//! Held letters taken up again: which, in which order, and what becomes of each.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::change::{Position, RawRecord};
use crate::dead_letter::{DeadLetter, DeadLetterQueue, Held, HeldLetter, Order, Place};
use crate::decode::Changes;
use crate::error::Result;
use crate::intake::Intake;
use crate::lambda::{Handed, LambdaTransform};
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
    /// Those alone that are to be tried again by then, in milliseconds since the Unix epoch.
    due_by_ms: Option<i64>,
    held: Held,
    next_file: usize,
    taken: u64,
    /// Letters whose file somebody deleted. No moment of theirs is known, so they are selected by their code alone.
    gone: Vec<Place>,
}

impl Letters {
    pub fn new(selection: Selection, held: Held) -> Self {
        Self { selection, due_by_ms: None, held, next_file: 0, taken: 0, gone: Vec::new() }
    }

    /// All that are to be tried again at `now_ms`.
    pub fn due(held: Held, now_ms: i64) -> Self {
        Self { due_by_ms: Some(now_ms), ..Self::new(Selection::default(), held) }
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
                let is_of_other_code = self.selection.code.as_ref().is_some_and(|code| code != file.code());
                if is_of_other_code || self.due_by_ms.is_some_and(|now_ms| !file.is_due(now_ms)) {
                    continue;
                }
                let (read, items) = (letters.read(&file.path).await?, letters.items(&file.path).await?);
                let path: Arc<str> = file.path.as_str().into();
                let is_gone = |line: &u32| *line as usize >= read.len().min(items.len());
                self.gone.extend(file.lines().filter(is_gone).map(|line| Place { path: path.clone(), line }));
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

    /// The letters that there is nothing left of but that they are held.
    pub fn gone(&self) -> &[Place] {
        &self.gone
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
    /// To be released besides those: the table has a newer state, or the changes bring it.
    pub superseded: Vec<Place>,
    pub new_columns: Vec<NewColumn>,
}

/// A redrive under way: which of its letters were rejected again so far.
#[derive(Clone, Default)]
pub(crate) struct Settling {
    refused: Vec<Refused>,
    /// Those of each item, by their number.
    of_item: HashMap<u128, Vec<usize>>,
}

#[derive(Clone)]
struct Refused {
    order: Order,
    place: Place,
    code: String,
    reason: String,
    /// A later letter of the item was taken up.
    is_void: bool,
}

impl Settling {
    /// Decodes and transforms letters as records that come for the first time. A letter that is rejected again is void
    /// once a later one of its item is taken up, and so is one whose record is held again later. `handed` has the
    /// records of the chunk.
    pub fn settle(&mut self, mode: Mode, intake: &mut Intake, chunk: Vec<OpenLetter>, handed: &Handed<'_>) -> Settled {
        let mut superseded = Vec::new();
        let mut candidates = Vec::with_capacity(chunk.len());
        let is_last = last_of_each_record(&chunk);
        let mut is_candidate = vec![false; chunk.len()];
        for (place, letter) in chunk.into_iter().enumerate() {
            match (mode, letter.is_superseded, letter.item) {
                (Mode::Mirror, true, _) => superseded.push(letter.place),
                _ if !is_last[place] => superseded.push(letter.place),
                (Mode::Mirror, false, None) => {
                    let reason = "the record does not tell its item: it may be older than the table".to_owned();
                    self.refuse(&letter, letter.letter.code.clone(), reason);
                }
                _ => {
                    is_candidate[place] = true;
                    candidates.push(letter);
                }
            }
        }
        let decoded = handed.decode_those(&is_candidate, intake);
        let rejected: HashMap<&Position, &DeadLetter> =
            decoded.rejected.iter().map(|letter| (letter.position(), letter)).collect();
        let mut applied = Vec::with_capacity(candidates.len());
        for letter in candidates {
            match rejected.get(&letter.letter.record.position) {
                Some(rejection) => self.refuse(&letter, rejection.code.to_owned(), rejection.reason.clone()),
                None => {
                    superseded.extend(self.void_before(&letter));
                    applied.push(letter);
                }
            }
        }
        let changes = (!decoded.changes.operations.is_empty()).then_some(decoded.changes);
        Settled { changes, applied, superseded, new_columns: decoded.new_columns }
    }

    /// How many letters stay.
    pub fn remaining(&self) -> u64 {
        self.refused.iter().filter(|refused| !refused.is_void).count() as u64
    }

    /// Why letters stay: code, reason, and how many.
    fn reasons(&self) -> Vec<(String, String, u64)> {
        let mut reasons: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for refused in self.refused.iter().filter(|refused| !refused.is_void) {
            *reasons.entry((&refused.code, &refused.reason)).or_default() += 1;
        }
        reasons.into_iter().map(|((code, reason), count)| (code.to_owned(), reason.to_owned(), count)).collect()
    }

    fn refuse(&mut self, letter: &OpenLetter, code: String, reason: String) {
        if let Some(item) = letter.item {
            self.of_item.entry(item).or_default().push(self.refused.len());
        }
        self.refused.push(Refused { order: letter.order, place: letter.place.clone(), code, reason, is_void: false });
    }

    fn void_before(&mut self, letter: &OpenLetter) -> Vec<Place> {
        let of_item = letter.item.and_then(|item| self.of_item.remove(&item)).unwrap_or_default();
        let mut void = Vec::with_capacity(of_item.len());
        for number in of_item {
            let refused = &mut self.refused[number];
            debug_assert!(refused.order < letter.order, "letters are taken in their order");
            refused.is_void = true;
            void.push(refused.place.clone());
        }
        void
    }
}

/// For each letter, whether no later one holds the same record: a stream that is read again rejects it again.
fn last_of_each_record(letters: &[OpenLetter]) -> Vec<bool> {
    let position = |letter: &'_ OpenLetter| letter.letter.record.position.clone();
    let last: HashMap<Position, usize> = letters.iter().map(position).zip(0..).collect();
    letters.iter().zip(0..).map(|(letter, place)| last[&letter.letter.record.position] == place).collect()
}

/// The records that letters hold.
pub(crate) fn records_of(letters: &[OpenLetter]) -> Vec<RawRecord> {
    letters.iter().map(|letter| letter.letter.record.clone()).collect()
}

/// What the function of the transform makes of them, where there is one.
pub(crate) async fn see<'a>(lambda: Option<&LambdaTransform>, records: &'a [RawRecord]) -> Result<Handed<'a>> {
    match lambda {
        Some(lambda) => lambda.apply(records).await,
        None => Ok(Handed::untouched(records)),
    }
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
    lambda: Option<&LambdaTransform>,
) -> Result<Preview> {
    let mut preview = Preview::default();
    let mut settling = Settling::default();
    let mut selected = Letters::new(selection, held.clone());
    loop {
        let chunk = selected.next_chunk(letters).await?;
        if chunk.is_empty() {
            preview.counts.remaining = settling.remaining() + selected.gone().len() as u64;
            preview.reasons = settling.reasons();
            return Ok(preview);
        }
        let records = records_of(&chunk);
        let handed = see(lambda, &records).await?;
        let settled = settling.settle(shape.mode, intake, chunk, &handed);
        let transformed = transform(shape, settled.changes.into_iter().collect());
        preview.counts.skipped += (settled.superseded.len() + transformed.superseded) as u64;
        preview.counts.redriven += (settled.applied.len() - transformed.superseded) as u64;
        preview.upserts += transformed.upserted as u64;
        preview.deletes += (transformed.deleted + transformed.filtered) as u64;
    }
}
