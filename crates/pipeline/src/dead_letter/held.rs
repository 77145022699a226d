//! The letters that a table's checkpoint holds. It decides; the files are what they say.

use std::time::SystemTime;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::dead_letter::lines::Lines;
use crate::dead_letter::{Place, StagedFile};

/// Files of letters in the order of the commits that staged them. A file of which every letter was released is not in
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Held {
    files: Vec<HeldFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldFile {
    /// `DYN404/2026/11/22/14/COMMIT-ID.jsonl`, under the prefix of the pipeline.
    pub path: String,
    letters: u32,
    /// Counts the commits that held letters: those of a later one are later, whatever their item.
    commit: u64,
    /// Taken up, skipped or purged.
    #[serde(default, skip_serializing_if = "Lines::is_empty")]
    released: Lines,
    /// Still held, but the table has a newer state of their item.
    #[serde(default, skip_serializing_if = "Lines::is_empty")]
    superseded: Lines,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unannounced: bool,
    /// How often its letters were tried again by themselves.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    tries: u32,
    /// When that happens next, in milliseconds since the Unix epoch; `None` where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_ms: Option<i64>,
}

fn is_none_yet(tries: &u32) -> bool {
    *tries == 0
}

impl HeldFile {
    /// The code of all letters in it.
    pub fn code(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// The letters of it that are held.
    pub fn len(&self) -> u32 {
        self.letters - self.released.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of those are older than what the table has of their item.
    pub fn superseded(&self) -> u32 {
        self.superseded.len()
    }

    pub fn is_held(&self, line: u32) -> bool {
        line < self.letters && !self.released.contains(line)
    }

    pub fn is_superseded(&self, line: u32) -> bool {
        self.superseded.contains(line)
    }

    /// How often its letters were tried again by themselves.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Whether they are not tried again by themselves any more, after tries in vain.
    pub fn is_given_up(&self) -> bool {
        self.tries > 0 && self.due_ms.is_none()
    }

    pub(crate) fn is_due(&self, now_ms: i64) -> bool {
        self.due_ms.is_some_and(|due_ms| due_ms <= now_ms)
    }

    pub(crate) fn commit(&self) -> u64 {
        self.commit
    }

    /// The first of its letters that is held.
    pub fn first_line(&self) -> Option<u32> {
        self.lines().next()
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = u32> {
        (0..self.letters).filter(|line| self.is_held(*line))
    }
}

impl Held {
    pub fn files(&self) -> &[HeldFile] {
        &self.files
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The letters that are held.
    pub fn len(&self) -> u64 {
        self.files.iter().map(|file| u64::from(file.len())).sum()
    }

    /// The number that the next commit with letters gets.
    pub(crate) fn next_commit(&self) -> u64 {
        self.files.last().map_or(0, |file| file.commit + 1)
    }

    /// Holds what a commit has staged.
    pub(crate) fn hold(&mut self, staged: Vec<StagedFile>) {
        let commit = self.next_commit();
        self.files.extend(staged.into_iter().map(|file| HeldFile {
            path: file.path,
            letters: file.letters,
            commit,
            released: Lines::default(),
            superseded: Lines::default(),
            unannounced: file.is_to_be_announced,
            tries: 0,
            due_ms: None,
        }));
    }

    /// The letters that were given up after tries in vain.
    pub fn given_up(&self) -> u64 {
        self.files.iter().filter(|file| file.is_given_up()).map(|file| u64::from(file.len())).sum()
    }

    /// The hour in which the oldest letter that is held was rejected, as the paths say.
    pub fn since(&self) -> Option<SystemTime> {
        self.files.iter().filter_map(|file| hour_of(&file.path)).min()
    }

    /// When letters are to be tried again for the next time.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.files.iter().filter_map(|file| file.due_ms).min()
    }

    /// Sets when letters are tried again of which it is not set; counting begins anew where that `is_anew`. `None` is
    /// never.
    pub(crate) fn schedule(&mut self, is_anew: bool, due_ms: impl Fn(u32) -> Option<i64>) {
        for file in &mut self.files {
            if is_anew {
                (file.tries, file.due_ms) = (0, None);
            }
            file.due_ms = due_ms(file.tries).map(|next_ms| file.due_ms.unwrap_or(next_ms));
        }
    }

    /// Counts a try of those that were due and are still held.
    pub(crate) fn count_tries(&mut self, now_ms: i64, due_ms: impl Fn(u32) -> Option<i64>) {
        for file in self.files.iter_mut().filter(|file| file.is_due(now_ms)) {
            file.tries += 1;
            file.due_ms = due_ms(file.tries);
        }
    }

    /// Notes that the table has a newer state of a letter's item.
    pub(crate) fn supersede(&mut self, place: &Place) {
        if let Some(file) = self.file_mut(&place.path).filter(|file| file.is_held(place.line)) {
            file.superseded.insert(place.line);
        }
    }

    /// Lets letters go.
    pub(crate) fn release<'a>(&mut self, places: impl IntoIterator<Item = &'a Place>) {
        for place in places {
            if let Some(file) = self.file_mut(&place.path) {
                file.released.insert(place.line);
                file.superseded.remove(place.line);
            }
        }
        self.files.retain(|file| !file.is_empty());
    }

    pub(crate) fn unannounced(&self) -> Vec<String> {
        self.files.iter().filter(|file| file.unannounced).map(|file| file.path.clone()).collect()
    }

    pub(crate) fn note_announced(&mut self, path: &str) {
        if let Some(file) = self.file_mut(path) {
            file.unannounced = false;
        }
    }

    fn file_mut(&mut self, path: &str) -> Option<&mut HeldFile> {
        // Most of what happens, happens to the latest.
        self.files.iter_mut().rev().find(|file| file.path == path)
    }
}

/// Reads the hour of `CODE/yyyy/MM/dd/HH/…`, which is UTC.
fn hour_of(path: &str) -> Option<SystemTime> {
    let [_, year, month, day, hour, _] = path.split('/').collect::<Vec<_>>().try_into().ok()?;
    let hour = DateTime::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?, hour.parse().ok()?, 0, 0, 0);
    Some(hour.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_letter_is_known_by_its_hour() {
        let staged = |path: &str| StagedFile { path: path.to_owned(), letters: 1, is_to_be_announced: false };
        let mut held = Held::default();
        assert_eq!(held.since(), None);
        held.hold(vec![staged("DYN404/2026/11/22/14/b.jsonl"), staged("DYN402/2026/11/22/09/a.jsonl")]);
        let since = jiff::Timestamp::try_from(held.since().unwrap()).unwrap();
        assert_eq!(since.to_string(), "2026-11-22T09:00:00Z");
    }
}
