//! What a client may SET, and what SHOW and the first greeting tell it.

use std::time::Duration;

use query::{Connection, SERVER_VERSION};

use crate::postgres::failure::{BAD_VALUE, Failure, NO_SETTING};

/// As long as Athena lets a query run.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// Settings with one value that they can have here: name as it is reported, the value, and others that mean the same.
const FIXED: [(&str, &str, &[&str]); 9] = [
    ("client_encoding", "UTF8", &["utf-8", "unicode"]),
    ("DateStyle", "ISO, MDY", &["iso", "iso,mdy", "iso, dmy", "iso,dmy", "iso, ymd"]),
    ("IntervalStyle", "postgres", &[]),
    ("bytea_output", "hex", &[]),
    ("integer_datetimes", "on", &[]),
    ("server_encoding", "UTF8", &[]),
    ("server_version", SERVER_VERSION, &[]),
    ("standard_conforming_strings", "on", &["true", "1", "yes"]),
    ("transaction_isolation", "repeatable read", &["read committed", "read uncommitted", "serializable"]),
];

/// Settings that change nothing: what they are about is the same under any value. Times come with their zone, numbers with
/// all their digits, and no plan goes by PostgreSQL's costs.
const FREE: [&str; 8] = [
    "application_name",
    "client_min_messages",
    "extra_float_digits",
    "jit",
    "lock_timeout",
    "row_security",
    "synchronize_seqscans",
    "timezone",
];

/// The settings of a connection.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub application_name: String,
    pub region: String,
    /// How long a statement may take.
    pub timeout: Duration,
}

impl Settings {
    pub fn new(region: &str) -> Self {
        Self { application_name: String::new(), region: region.to_owned(), timeout: TIMEOUT_DEFAULT }
    }

    /// Takes a setting; without a value, its default.
    pub fn set(&mut self, connection: &mut Connection, name: &str, value: Option<&str>) -> Result<(), Failure> {
        let lower = name.to_lowercase();
        let unusable = |value: &str, instead: &str| {
            let message = format!("invalid value for parameter \"{name}\": \"{value}\"");
            Failure::new(BAD_VALUE, message).try_instead(instead)
        };
        match lower.as_str() {
            "search_path" => {
                let first = value.and_then(|value| value.split(',').next()).map(|first| first.trim().trim_matches('"'));
                let first =
                    first.filter(|first| !first.is_empty() && !["public", "\"$user\"", "$user"].contains(first));
                connection.context.database = first.map(str::to_owned);
            }
            "statement_timeout" => {
                let ms = value.map_or(Some(0), milliseconds);
                let ms = ms.ok_or_else(|| unusable(value.unwrap_or_default(), "SET statement_timeout = '30s'"))?;
                self.timeout = if ms == 0 { TIMEOUT_DEFAULT } else { Duration::from_millis(ms).min(TIMEOUT_DEFAULT) };
            }
            "application_name" => self.application_name = value.unwrap_or_default().to_owned(),
            _ => match FIXED.iter().find(|(known, ..)| known.eq_ignore_ascii_case(&lower)) {
                Some((_, only, same)) => {
                    let value = value.unwrap_or(only).to_lowercase();
                    if value != only.to_lowercase() && !same.contains(&value.as_str()) {
                        return Err(unusable(&value, only));
                    }
                }
                None if FREE.contains(&lower.as_str()) => {}
                None => return Err(unknown(name)),
            },
        }
        Ok(())
    }

    /// What SHOW says; `None` for what is no setting.
    pub fn show(&self, connection: &Connection, name: &str) -> Option<String> {
        let lower = name.to_lowercase();
        if let Some((_, only, _)) = FIXED.iter().find(|(known, ..)| known.eq_ignore_ascii_case(&lower)) {
            return Some((*only).to_owned());
        }
        Some(match lower.as_str() {
            "search_path" => connection.context.database.clone().unwrap_or_else(|| "\"$user\", public".to_owned()),
            "statement_timeout" => format!("{}ms", self.timeout.as_millis()),
            "application_name" => self.application_name.clone(),
            "timezone" | "time zone" => "UTC".to_owned(),
            "transaction isolation level" => "repeatable read".to_owned(),
            "is_superuser" => "off".to_owned(),
            "max_identifier_length" => "63".to_owned(),
            _ => return None,
        })
    }

    /// What a client is told when it is let in.
    pub fn reported(&self, connection: &Connection) -> Vec<(&'static str, String)> {
        let fixed = FIXED.iter().filter(|(name, ..)| !["bytea_output", "transaction_isolation"].contains(name));
        let mut all: Vec<(&str, String)> = fixed.map(|(name, value, _)| (*name, (*value).to_owned())).collect();
        all.push(("TimeZone", "UTC".to_owned()));
        all.push(("is_superuser", "off".to_owned()));
        all.push(("session_authorization", connection.user.clone()));
        all.push(("application_name", self.application_name.clone()));
        all
    }
}

pub(super) fn unknown(name: &str) -> Failure {
    Failure::new(NO_SETTING, format!("unrecognized configuration parameter \"{name}\""))
        .try_instead("search_path, statement_timeout, application_name, or leave it out")
}

/// `500`, `500ms`, `30s`, `5min`: as PostgreSQL reads a time.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit)
}
