//! Why one attribute's value, or one record, is not a row. Never holds a value: reasons end up in logs and files.
//!
//! | code | the record |
//! |---|---|
//! | DYN401 | is not JSON |
//! | DYN402 | is not a change record |
//! | DYN403 | has other keys than the table |
//! | DYN404 | has a number with more than 38 digits or an exponent out of range |
//! | DYN405 | has a value that the column cannot hold without loss |
//! | DYN406 | has maps and lists nested deeper than 32 levels |
//! | DYN407 | has two attributes that go to one column |
//! | DYN408 | has no new image |
//! | DYN409 | lacks a value that the column requires |
//! | DYN410 | has something that is no DynamoDB value |
//! | DYN411 | would make the table too wide |

use crate::decode::number::NotANumber;

/// What is wrong with an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// Not `{"TYPE": value}` with one of DynamoDB's ten types.
    NotAValue,
    NumberOutOfRange,
    /// The column's type does not take this type of value.
    WrongType(&'static str),
    /// The column's type would lose a part of the value.
    DoesNotFit,
    TooDeep,
    /// A map has a member that the column's struct does not have.
    UnknownMember,
    /// Null, in a column that must have a value.
    Null,
}

impl Misfit {
    pub fn code(self) -> &'static str {
        match self {
            Self::NotAValue => "DYN410",
            Self::NumberOutOfRange => "DYN404",
            Self::WrongType(_) | Self::DoesNotFit | Self::UnknownMember => "DYN405",
            Self::TooDeep => "DYN406",
            Self::Null => "DYN409",
        }
    }
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAValue => f.write_str("it is not a typed DynamoDB value"),
            Self::NumberOutOfRange => f.write_str("a number has more than 38 digits or an exponent out of range"),
            Self::WrongType(tag) => write!(f, "the column does not take a value of type {tag}"),
            Self::DoesNotFit => f.write_str("the column cannot hold the value without loss"),
            Self::TooDeep => f.write_str("maps and lists are nested deeper than 32 levels"),
            Self::UnknownMember => f.write_str("a map has a member that the column does not have"),
            Self::Null => f.write_str("the column must have a value"),
        }
    }
}

impl From<NotANumber> for Misfit {
    fn from(error: NotANumber) -> Self {
        match error {
            NotANumber::Malformed => Self::NotAValue,
            NotANumber::OutOfRange => Self::NumberOutOfRange,
        }
    }
}

/// Why a record is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// Stable: one of the list above.
    pub code: &'static str,
    pub reason: String,
}

impl Rejection {
    pub fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    pub fn of_attribute(attribute: &str, misfit: Misfit) -> Self {
        Self::new(misfit.code(), format!("attribute `{attribute}`: {misfit}"))
    }
}
