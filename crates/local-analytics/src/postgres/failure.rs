//! What went wrong, in PostgreSQL's codes.

use crate::athena::AskError;

/// An ErrorResponse.
#[derive(Debug)]
pub(super) struct Failure {
    /// A SQLSTATE: <https://www.postgresql.org/docs/15/errcodes-appendix.html>
    pub code: &'static str,
    pub message: String,
    pub detail: Option<String>,
    /// What to try.
    pub hint: Option<String>,
    /// In characters of what was sent, from 1.
    pub position: Option<usize>,
    /// It ends the connection.
    pub is_fatal: bool,
}

pub(super) const UNSUPPORTED: &str = "0A000";
pub(super) const PROTOCOL: &str = "08P01";
pub(super) const BAD_TEXT: &str = "22P02";
pub(super) const BAD_VALUE: &str = "22023";
pub(super) const IN_TRANSACTION: &str = "25001";
pub(super) const IN_FAILED_TRANSACTION: &str = "25P02";
pub(super) const NO_STATEMENT: &str = "26000";
pub(super) const WRONG_PASSWORD: &str = "28P01";
pub(super) const NO_PORTAL: &str = "34000";
pub(super) const NO_DATABASE: &str = "3D000";
pub(super) const NO_SETTING: &str = "42704";
pub(super) const TOO_MANY: &str = "53300";
pub(super) const CANCELED: &str = "57014";
pub(super) const SHUTDOWN: &str = "57P01";
pub(super) const INTERNAL: &str = "XX000";

impl Failure {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None, hint: None, position: None, is_fatal: false }
    }

    pub fn try_instead(mut self, hint: impl std::fmt::Display) -> Self {
        self.hint = Some(format!("Try: {hint}"));
        self
    }

    pub fn fatal(mut self) -> Self {
        self.is_fatal = true;
        self
    }

    pub fn severity(&self) -> &'static str {
        if self.is_fatal { "FATAL" } else { "ERROR" }
    }

    /// `error` about `sql`, which stands behind `before` characters of what was sent.
    pub fn of_query(error: &query::Error, sql: &str, before: usize) -> Self {
        let position = error.place().map(|place| {
            let lines = sql.split_inclusive('\n').take((place.line as usize).saturating_sub(1));
            before + lines.map(|line| line.chars().count()).sum::<usize>() + place.column as usize
        });
        Self {
            code: code(error),
            message: error.to_string(),
            detail: error.label().map(str::to_owned),
            hint: error.help().map(|help| format!("Try: {help}")),
            position,
            is_fatal: false,
        }
    }

    pub fn of_asking(error: AskError, sql: &str, before: usize) -> Self {
        match error {
            AskError::Query(error) => Self::of_query(&error, sql, before),
            AskError::Internal(message) => Self::new(INTERNAL, message),
        }
    }
}

fn code(error: &query::Error) -> &'static str {
    match error.code() {
        "DYN200" => "42601",
        "DYN201" => "42703",
        "DYN202" | "DYN210" => "42P01",
        "DYN203" => "42702",
        "DYN204" | "DYN211" | "DYN217" => UNSUPPORTED,
        "DYN205" => "42883",
        "DYN206" => "42804",
        "DYN207" if error.to_string().to_lowercase().contains("divide by zero") => "22012",
        "DYN207" => "22000",
        "DYN208" => "53200",
        "DYN209" => "58030",
        "DYN212" => "55000",
        "DYN213" => "42501",
        _ => INTERNAL,
    }
}
