//! A complaint about a place in a pipeline file.

use std::ops::Range;
use std::path::{Path, PathBuf};

use miette::{LabeledSpan, MietteDiagnostic, NamedSource, Report};

use crate::failure::{Exit, Failure};

/// What does not fit, where, and what to try.
#[derive(Debug)]
pub struct Misfit {
    pub exit: Exit,
    /// Stable: `DYN001`…
    pub code: &'static str,
    pub message: String,
    pub span: Option<Range<usize>>,
    pub advice: String,
    /// The file that the place is in, and its text, where that is not the pipeline file.
    pub file: Option<Box<(PathBuf, String)>>,
}

/// The text is not TOML, or has other keys.
pub const SYNTAX: &str = "DYN001";
/// A value that cannot be meant.
pub const VALUE: &str = "DYN002";

impl Misfit {
    /// A value that cannot be meant.
    pub fn value(span: Range<usize>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        let (message, advice) = (message.into(), advice.into());
        Self { exit: Exit::Configuration, code: VALUE, message, span: Some(span), advice, file: None }
    }

    pub fn into_failure(self, path: &Path, text: &str) -> Failure {
        let mut diagnostic =
            MietteDiagnostic::new(self.message).with_code(self.code).with_help(format!("Try: {}", self.advice));
        let (path, text) = self.file.as_deref().map_or((path, text), |(path, text)| (path.as_path(), text.as_str()));
        if let Some(span) = self.span {
            let length = span.end.saturating_sub(span.start);
            diagnostic = diagnostic.with_label(LabeledSpan::new(Some("here".to_owned()), span.start, length));
        }
        let source = NamedSource::new(path.display().to_string(), text.to_owned());
        Failure::at_place(self.exit, Report::new(diagnostic).with_source_code(source))
    }
}
