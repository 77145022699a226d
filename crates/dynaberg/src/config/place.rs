//! A complaint about a place in a pipeline file.

use std::ops::Range;
use std::path::Path;

use miette::{LabeledSpan, MietteDiagnostic, NamedSource, Report};

use crate::failure::{Exit, Failure};

/// What does not fit, where, and what to try.
#[derive(Debug)]
pub struct Misfit {
    pub exit: Exit,
    pub message: String,
    pub span: Option<Range<usize>>,
    pub advice: String,
}

impl Misfit {
    /// A value that cannot be meant.
    pub fn value(span: Range<usize>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { exit: Exit::Configuration, message: message.into(), span: Some(span), advice: advice.into() }
    }

    pub fn into_failure(self, path: &Path, text: &str) -> Failure {
        let mut diagnostic = MietteDiagnostic::new(self.message).with_help(format!("Try: {}", self.advice));
        if let Some(span) = self.span {
            let length = span.end.saturating_sub(span.start);
            diagnostic = diagnostic.with_label(LabeledSpan::new(Some("here".to_owned()), span.start, length));
        }
        let source = NamedSource::new(path.display().to_string(), text.to_owned());
        Failure::at_place(self.exit, Report::new(diagnostic).with_source_code(source))
    }
}
