//! How a verb fails: an exit code, what went wrong, and what to try.

use std::process::ExitCode;

/// Exit codes, the AWS CLI's where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The verb ran and its answer is no.
    Findings = 1,
    /// There is something to do, for those who asked for the difference.
    Pending = 2,
    Interrupted = 130,
    /// The command line or the pipeline file cannot be read.
    Usage = 252,
    /// The configuration, the environment or the credentials do not fit.
    Configuration = 253,
    /// A service answered with an error.
    Service = 254,
    Other = 255,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a verb stopped. Shown as `error: …`, its causes, and `Try: …`.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    message: String,
    advice: Option<String>,
    /// A place in a file, drawn with its line.
    report: Option<miette::Report>,
}

pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), advice: None, report: None }
    }

    /// An exit code that is an answer, and no error to print.
    pub fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    pub fn is_silent(&self) -> bool {
        self.message.is_empty() && self.report.is_none()
    }

    /// The same with another exit code.
    pub fn ending_with(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// A failure that points into a file.
    pub fn at_place(exit: Exit, report: miette::Report) -> Self {
        Self { exit, message: String::new(), advice: None, report: Some(report) }
    }

    /// What went wrong, with its `Try:`, on one line.
    pub fn message(&self) -> String {
        match &self.advice {
            Some(advice) => format!("{}. Try: {advice}", self.message),
            None => self.message.clone(),
        }
    }

    /// Adds a `Try:` line.
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// A failure with the message of `error` and of all its causes.
    pub fn caused_by(exit: Exit, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(exit, with_causes(error))
    }
}

/// `message: cause: cause of the cause`.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = error.source();
    }
    message
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(report) = &self.report {
            return write!(f, "{report:?}");
        }
        write!(f, "error: {}", self.message)?;
        match &self.advice {
            Some(advice) => write!(f, "\n  Try: {advice}"),
            None => Ok(()),
        }
    }
}

impl From<pipeline::Error> for Failure {
    fn from(error: pipeline::Error) -> Self {
        let exit = match error.kind() {
            pipeline::ErrorKind::Misconfigured | pipeline::ErrorKind::Trimmed => Exit::Configuration,
            pipeline::ErrorKind::Transient | pipeline::ErrorKind::Fenced => Exit::Service,
            pipeline::ErrorKind::Unexpected => Exit::Other,
        };
        Self::caused_by(exit, &error)
    }
}

impl From<lake::Error> for Failure {
    fn from(error: lake::Error) -> Self {
        let exit = match error.kind() {
            lake::ErrorKind::NotFound | lake::ErrorKind::Refused => Exit::Configuration,
            lake::ErrorKind::Transient | lake::ErrorKind::Fenced => Exit::Service,
            lake::ErrorKind::Unexpected => Exit::Other,
        };
        Self::caused_by(exit, &error)
    }
}
