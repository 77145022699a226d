//! Why an operation on a table failed, by what the caller can do about it.

/// A kind exists only where somebody reacts differently to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A later try may succeed: throttling, network, a commit that lost a race too often.
    Transient,
    /// Another writer owns the table now, or its checkpoint is not the one we started from.
    Fenced,
    /// There is no such catalog, namespace or table.
    NotFound,
    /// The request cannot be met as it is: an illegal schema change, a refused credential, a bad location.
    Refused,
    /// Our bug, a damaged file, or an answer we do not understand.
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

    /// What `error` of the iceberg crate means here, while we were doing what `message` says.
    pub(crate) fn from_iceberg(message: impl Into<String>, error: iceberg::Error) -> Self {
        let kind = match error.kind() {
            _ if error.retryable() => ErrorKind::Transient,
            iceberg::ErrorKind::TableNotFound | iceberg::ErrorKind::NamespaceNotFound => ErrorKind::NotFound,
            iceberg::ErrorKind::FeatureUnsupported => ErrorKind::Refused,
            _ => ErrorKind::Unexpected,
        };
        Self::new(kind, message).with_source(error)
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
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
