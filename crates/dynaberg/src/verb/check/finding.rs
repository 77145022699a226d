//! What a check finds, for people and for programs.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::Misfit;
use crate::failure::{Exit, Failure};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layer {
    Syntax,
    Meaning,
    Environment,
    Tests,
}

/// One thing that is wrong, or that somebody should look at.
#[derive(Debug, Serialize)]
pub struct Finding {
    pub code: &'static str,
    pub severity: Severity,
    pub layer: Layer,
    pub message: String,
    #[serde(rename = "try")]
    pub advice: String,
    pub file: PathBuf,
    /// From 1; absent where it is not about a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// In characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    #[serde(skip)]
    drawn: Option<Failure>,
}

impl Finding {
    /// A finding at a place of the file, whose text is `text`.
    pub fn at_place(layer: Layer, misfit: Misfit, path: &Path, text: &str) -> Self {
        let (file, source) = match misfit.file.as_deref() {
            Some((file, text)) => (file.clone(), text.clone()),
            None => (path.to_owned(), text.to_owned()),
        };
        let place = misfit.span.as_ref().map(|span| line_and_column(&source, span.start));
        Self {
            code: misfit.code,
            severity: Severity::Error,
            layer,
            message: misfit.message.clone(),
            advice: misfit.advice.clone(),
            file,
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            drawn: Some(misfit.into_failure(path, text)),
        }
    }

    /// A finding about the file as a whole, or about the world.
    pub fn new(layer: Layer, code: &'static str, path: &Path, message: String, advice: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            layer,
            message,
            advice: advice.into(),
            file: path.to_owned(),
            line: None,
            column: None,
            drawn: None,
        }
    }

    pub fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// What `message. Try: advice` of an error says, taken apart.
    pub fn of_error(layer: Layer, code: &'static str, path: &Path, error: &pipeline::Error) -> Self {
        let report = error.report();
        match report.split_once(". Try: ") {
            Some((message, advice)) => Self::new(layer, code, path, message.to_owned(), advice),
            None => Self::new(layer, code, path, report, format!("dynaberg explain {code}")),
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.severity == Severity::Error { '×' } else { '⚠' };
        match &self.drawn {
            Some(drawn) if self.severity == Severity::Error => write!(f, "{}", drawn.to_string().trim_end()),
            _ => write!(f, "{mark} {}  {}\n  Try: {}", self.code, self.message, self.advice),
        }
    }
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

impl From<&[Finding]> for Failure {
    fn from(findings: &[Finding]) -> Self {
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        Failure::new(Exit::Findings, format!("{errors} finding(s)"))
    }
}
