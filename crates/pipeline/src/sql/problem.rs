//! What is wrong with a transform, where in its text, and what to try.

use std::ops::Range;

use crate::error::{Error, ErrorKind};

/// One complaint about the SQL of a transform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable: `DYN100`…
    pub code: &'static str,
    /// Lower case, no full stop.
    pub message: String,
    /// Bytes of the SQL text.
    pub place: Option<Range<usize>>,
    /// Goes behind `Try:`.
    pub help: Option<String>,
}

/// The text is not SQL as we read it.
pub(crate) const SYNTAX: &str = "DYN100";
/// More than a projection and a filter.
pub(crate) const NOT_A_PROJECTION: &str = "DYN101";
pub(crate) const NO_SUCH_ATTRIBUTE: &str = "DYN102";
pub(crate) const NO_SUCH_FUNCTION: &str = "DYN103";
/// The function does not always answer the same.
pub(crate) const VOLATILE: &str = "DYN104";
/// SQL without a meaning: types that do not fit, a column of no type.
pub(crate) const MEANING: &str = "DYN105";
/// Text compared with a number.
pub(crate) const TEXT_AGAINST_NUMBER: &str = "DYN106";
/// A mirror needs the key.
pub(crate) const NO_KEY: &str = "DYN107";
pub(crate) const OUTPUT_NAME: &str = "DYN108";
/// The table's columns are others.
pub(crate) const TARGET: &str = "DYN109";
pub(crate) const NO_TOKEN_KEY: &str = "DYN112";

/// The rows of the table are found by another key.
pub(crate) const OTHER_KEY: &str = "DYN113";

impl Problem {
    /// `message` in lower case, no full stop.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), place: None, help: None }
    }

    /// Where in the SQL it is.
    pub fn at(mut self, place: impl Into<Option<Range<usize>>>) -> Self {
        self.place = place.into();
        self
    }

    /// What goes behind `Try:`.
    pub fn try_this(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, ". Try: {help}"))
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::new(ErrorKind::Misconfigured, format!("prepare the transform: {problem}"))
    }
}

/// Where a line and a column, which count from 1 and in characters, are in the text.
pub(crate) fn offset(text: &str, line: u64, column: u64) -> usize {
    let mut start = 0;
    for (number, part) in (1..).zip(text.split_inclusive('\n')) {
        if number == line {
            let mut characters = part.char_indices().map(|(index, _)| index);
            return start + characters.nth(column.saturating_sub(1) as usize).unwrap_or(part.len());
        }
        start += part.len();
    }
    text.len()
}
