//! Records after a function saw them, on their way to the decoder.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use arrow::array::BooleanArray;
use bytes::Bytes;

use crate::change::{Operation, Position, RawRecord};
use crate::dead_letter::DeadLetter;
use crate::decode::Decoded;
use crate::intake::Intake;

/// What is decoded in place of the records that were read. Each of those is in it, held back, or a letter.
#[derive(Debug)]
pub struct Handed<'a> {
    originals: &'a [RawRecord],
    records: Cow<'a, [RawRecord]>,
    held_back: HashSet<Position>,
    rejected: HashMap<Position, DeadLetter>,
}

impl<'a> Handed<'a> {
    /// The records as they are.
    pub fn untouched(records: &'a [RawRecord]) -> Self {
        Self { originals: records, records: records.into(), held_back: HashSet::new(), rejected: HashMap::new() }
    }

    pub(super) fn replace(&mut self, place: usize, json: Bytes) {
        self.records.to_mut()[place].json = json;
    }

    /// The item is to have no row. `removal` is a record of its removal.
    pub(super) fn hold_back(&mut self, place: usize, removal: Bytes) {
        self.held_back.insert(self.originals[place].position.clone());
        self.replace(place, removal);
    }

    pub(super) fn reject(&mut self, place: usize, letter: DeadLetter) {
        self.rejected.insert(self.originals[place].position.clone(), letter);
    }

    /// The records that are to become rows.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Bytes> {
        let is_kept = |record: &&RawRecord| {
            !self.held_back.contains(&record.position) && !self.rejected.contains_key(&record.position)
        };
        self.records.iter().filter(is_kept).map(|record| &record.json)
    }

    #[cfg(test)]
    pub(super) fn rejected(&self) -> impl Iterator<Item = &DeadLetter> {
        self.rejected.values()
    }

    /// Decodes them. What is held back does not pass, as if a filter had said so; letters hold the records as they were
    /// read.
    pub fn decode(&self, intake: &mut Intake) -> Decoded {
        if matches!(self.records, Cow::Borrowed(_)) && self.rejected.is_empty() {
            return intake.take(&self.records);
        }
        self.decode_those(&vec![true; self.originals.len()], intake)
    }

    /// Decodes those that are wanted. None of them may be there twice.
    pub(crate) fn decode_those(&self, is_wanted: &[bool], intake: &mut Intake) -> Decoded {
        let places: Vec<usize> = (0..is_wanted.len()).filter(|&place| is_wanted[place]).collect();
        let originals: HashMap<&Position, &RawRecord> =
            places.iter().map(|&place| (&self.originals[place].position, &self.originals[place])).collect();
        let taken = places.iter().map(|&place| &self.records[place]);
        let taken = taken.filter(|record| !self.rejected.contains_key(&record.position));
        let mut decoded = intake.take(&taken.cloned().collect::<Vec<_>>());
        for letter in &mut decoded.rejected {
            if let Some(original) = originals.get(&letter.record.position) {
                letter.record.json = Bytes::copy_from_slice(&original.json);
            }
        }
        let rejected = self.rejected.values().filter(|letter| originals.contains_key(letter.position()));
        decoded.rejected.extend(rejected.cloned());
        if !self.held_back.is_empty() {
            let changes = &mut decoded.changes;
            let is_held_back: Vec<bool> =
                changes.positions.iter().map(|position| self.held_back.contains(position)).collect();
            for (operation, _) in changes.operations.iter_mut().zip(&is_held_back).filter(|(_, held_back)| **held_back)
            {
                *operation = Operation::Modify;
            }
            changes.passed = Some(BooleanArray::from_iter(is_held_back.iter().map(|held_back| Some(!held_back))));
        }
        decoded
    }
}
