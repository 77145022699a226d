//! Which items of a mirror have held letters, and in which order they came.
//!
//! A change that is applied to an item makes its earlier letters void: they may be released, never taken up. Deletes
//! count as much as upserts, as the table has no trace of them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::dead_letter::{DeadLetterQueue, Held, LetterItem};
use crate::error::Result;

/// When a letter came, among all letters that a table holds. Per item this is the order of its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    pub commit: u64,
    /// Which record of the batch it was.
    pub record: u64,
}

/// Where a letter is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub path: Arc<str>,
    pub line: u32,
}

/// The held letters that are not superseded, by the hash of their item's key in the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    of_item: HashMap<u128, Vec<Guarded>>,
}

#[derive(Clone, Debug)]
struct Guarded {
    order: Order,
    place: Place,
    /// The hash of its record's position.
    position: Option<u128>,
}

impl Guard {
    /// For what a checkpoint holds.
    pub async fn load(held: &Held, letters: &mut dyn DeadLetterQueue) -> Result<Self> {
        let mut guard = Self::default();
        for file in held.files() {
            let (items, path) = (letters.items(&file.path).await?, Arc::<str>::from(file.path.as_str()));
            for line in file.lines().filter(|line| !file.is_superseded(*line)) {
                let Some(item) = items.get(line as usize) else { continue };
                let order = Order { commit: file.commit(), record: item.record };
                guard.add(*item, order, Place { path: path.clone(), line });
            }
        }
        Ok(guard)
    }

    pub fn items(&self) -> impl Iterator<Item = &u128> {
        self.of_item.keys()
    }

    pub fn add(&mut self, item: LetterItem, order: Order, place: Place) {
        if let Some(key) = item.key {
            self.of_item.entry(key).or_default().push(Guarded { order, place, position: item.position });
        }
    }

    /// Where the same record is held already.
    pub fn twin(&self, item: &LetterItem) -> Option<&Place> {
        let of_item = self.of_item.get(&item.key?)?;
        let position = item.position?;
        of_item.iter().find(|letter| letter.position == Some(position)).map(|letter| &letter.place)
    }

    /// The letters of an item that came before `order`.
    pub fn earlier(&self, item: u128, order: Order) -> impl Iterator<Item = &Place> {
        let letters = self.of_item.get(&item).into_iter().flatten();
        letters.filter(move |letter| letter.order < order).map(|letter| &letter.place)
    }

    /// Forgets the letters of an item that came before `order`.
    pub fn forget_earlier(&mut self, item: u128, order: Order) {
        if let Some(letters) = self.of_item.get_mut(&item) {
            letters.retain(|letter| letter.order >= order);
            if letters.is_empty() {
                self.of_item.remove(&item);
            }
        }
    }

    /// Goes on to the state after a commit: what is held of the items that it `changed` is void, and `fresh` letters
    /// are held.
    pub fn follow(&mut self, changed: &[u128], fresh: Vec<(LetterItem, Order, Place)>) {
        changed.iter().for_each(|item| drop(self.of_item.remove(item)));
        fresh.into_iter().for_each(|(item, order, place)| self.add(item, order, place));
    }

    /// Forgets one letter.
    pub fn forget(&mut self, item: u128, place: &Place) {
        if let Some(letters) = self.of_item.get_mut(&item) {
            letters.retain(|letter| letter.place != *place);
            if letters.is_empty() {
                self.of_item.remove(&item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_voids_the_letters_before_it_and_no_others() {
        let mut guard = Guard::default();
        let place = |line| Place { path: "a".into(), line };
        let at = |commit, record| Order { commit, record };
        let item = |key, position| LetterItem { key, record: 0, position: Some(position) };
        guard.add(item(Some(1), 70), at(0, 5), place(0));
        guard.add(item(Some(1), 71), at(1, 2), place(1));
        guard.add(item(Some(2), 72), at(1, 3), place(2));
        guard.add(item(None, 73), at(1, 4), place(3));
        assert_eq!(guard.twin(&item(Some(1), 71)), Some(&place(1)));
        assert_eq!((guard.twin(&item(Some(2), 71)), guard.twin(&item(None, 73))), (None, None));
        let earlier = |guard: &Guard, order| guard.earlier(1, order).map(|place| place.line).collect::<Vec<_>>();
        assert_eq!(earlier(&guard, at(1, 2)), [0]);
        assert_eq!(earlier(&guard, at(2, 0)), [0, 1]);
        guard.forget_earlier(1, at(1, 2));
        assert_eq!(earlier(&guard, at(2, 0)), [1]);
        guard.forget(1, &place(1));
        guard.forget_earlier(2, at(9, 0));
        assert_eq!(guard.items().count(), 0);
    }
}
