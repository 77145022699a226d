//! A set of line numbers, short where they follow one another.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Written as `0-3,7`. Equal sets have equal text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Lines {
    lines: BTreeSet<u32>,
}

impl Lines {
    pub fn insert(&mut self, line: u32) -> bool {
        self.lines.insert(line)
    }

    pub fn remove(&mut self, line: u32) {
        self.lines.remove(&line);
    }

    pub fn contains(&self, line: u32) -> bool {
        self.lines.contains(&line)
    }

    pub fn len(&self) -> u32 {
        self.lines.len() as u32
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl From<Lines> for String {
    fn from(set: Lines) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for line in set.lines {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == line => *last = line,
                _ => ranges.push((line, line)),
            }
        }
        let texts = ranges.into_iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        texts.collect::<Vec<_>>().join(",")
    }
}

impl TryFrom<String> for Lines {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut lines = BTreeSet::new();
        for range in text.split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            lines.extend(first.parse::<u32>()?..=last.parse()?);
        }
        Ok(Self { lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_back_from_its_text() {
        for (lines, text) in [(&[][..], ""), (&[4], "4"), (&[0, 1, 2, 7, 9, 8], "0-2,7-9"), (&[1, 3], "1,3")] {
            let mut set = Lines::default();
            lines.iter().for_each(|line| assert!(set.insert(*line)));
            assert_eq!(String::from(set.clone()), text);
            assert_eq!(Lines::try_from(text.to_owned()).unwrap(), set);
        }
        assert!(Lines::try_from("x".to_owned()).is_err());
    }
}
