//! Why something could not be looked at, made or removed.

use serde_json::json;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug)]
pub enum Error {
    /// A service said no. Boxed, as it knows much.
    Refused(Box<Refusal>),
    /// A service could not be asked, or its answer not read: what was asked, and why not.
    Unanswered(String),
    /// What is there is not what the plan has seen.
    WorldChanged { planned: String, now: String },
    /// Somebody else made `resource` while this apply was at work.
    Overtaken { resource: String },
    /// It is there, and cannot become what is wanted. What is wrong, and what to try.
    Clash { resource: String, reason: String, advice: String },
    /// It takes longer than one waits.
    TooSlow { resource: String, awaited: String },
}

/// An AWS error with all that a person needs to act on it.
#[derive(Debug)]
pub struct Refusal {
    /// As IAM spells it: `dynamodb:UpdateTable`.
    pub action: String,
    /// The ARN that the call was about.
    pub resource: String,
    pub status: u16,
    /// As AWS spells it: `AccessDeniedException`.
    pub code: String,
    pub message: String,
}

impl Refusal {
    /// Whether the caller lacks a right.
    pub fn is_denied(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException" | "ForbiddenException" | "Forbidden")
            || self.code.starts_with("UnauthorizedOperation")
    }

    /// The IAM statement that allows the call.
    pub fn statement(&self) -> String {
        json!({ "Effect": "Allow", "Action": self.action, "Resource": self.resource }).to_string()
    }
}

impl Error {
    /// The AWS error code, where a service refused.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(refusal) => &refusal.code,
            _ => "",
        }
    }

    /// Whether a service refused with one of `codes`.
    pub fn is(&self, codes: &[&str]) -> bool {
        codes.contains(&self.code())
    }

    /// What to try, on one line.
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Refused(refusal) if refusal.is_denied() => {
                Some(format!("let whoever calls do it, by this statement: {}", refusal.statement()))
            }
            Self::Refused(_) => None,
            Self::Unanswered(_) => Some("start `dynaberg dev`, or look at AWS_ENDPOINT_URL and the network".to_owned()),
            Self::WorldChanged { now, .. } => Some(format!("look at the plan again: it is {now} now")),
            Self::Overtaken { .. } => Some("wait for the other apply to end, then plan again".to_owned()),
            Self::Clash { advice, .. } => Some(advice.clone()),
            Self::TooSlow { .. } => Some("the same command again: it goes on where it stopped".to_owned()),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refusal) => {
                let Refusal { action, resource, code, message, .. } = refusal.as_ref();
                match resource.as_str() {
                    "*" => write!(f, "{action}: {code}: {message}"),
                    resource => write!(f, "{action} on {resource}: {code}: {message}"),
                }
            }
            Self::Unanswered(what) => f.write_str(what),
            Self::WorldChanged { planned, .. } => {
                write!(f, "plan {planned} is about another world than the one that is there now; nothing was changed")
            }
            Self::Overtaken { resource } => {
                write!(f, "another apply is at work: it made {resource} a moment ago; this one stops")
            }
            Self::Clash { resource, reason, .. } => write!(f, "{resource}: {reason}"),
            Self::TooSlow { resource, awaited } => write!(f, "{resource} is still not {awaited}"),
        }
    }
}

impl std::error::Error for Error {}
