//! Why a pipeline cannot go on right now. A record that is bad is not an error: see [`crate::DeadLetter`].

/// A kind exists only where the supervisor reacts differently to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A restart may cure it: throttling, network, a busy table.
    Transient,
    /// Another writer owns the table now. Stop.
    Fenced,
    /// The stream no longer holds our position. A person decides.
    Trimmed,
    /// The declaration is wrong, or what it names is not there. A person fixes it.
    Misconfigured,
    /// Our bug, or an answer we do not understand.
    Unexpected,
}

/// What we were doing when it failed, of which kind, and the cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// `message` says what we were doing and to what: lower case, no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The error and its causes in one line.
    pub fn report(&self) -> String {
        let mut line = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            line = format!("{line}: {error}");
            cause = error.source();
        }
        line
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
