//! Prefixes of objects, with expressions: `!{timestamp:yyyy/MM/dd/HH}`, `!{firehose:error-output-type}`,
//! `!{firehose:random-string}`, `!{partitionKeyFromQuery:…}`, `!{partitionKeyFromLambda:…}`.
//!
//! <https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html>

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::firehose::error::{self, Result};

/// What stands behind a prefix that has no time of its own.
const HOUR: &str = "yyyy/MM/dd/HH/";

const PREFIX_MAX: usize = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Data,
    Errors,
}

/// What expressions stand for.
pub(crate) struct Values<'a> {
    /// In milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// `iceberg-failed`; empty for data.
    pub error_type: &'a str,
    pub partition_keys: &'a BTreeMap<String, String>,
    /// Eleven characters that differ from object to object.
    pub random: &'a str,
}

enum Part<'a> {
    Text(&'a str),
    Expression { namespace: &'a str, value: &'a str },
}

/// Refuses a prefix that cannot be evaluated.
pub(crate) fn check(member: &str, prefix: &str, of: Use) -> Result<()> {
    let refused = |why: &str| error::invalid(format!("{member} `{prefix}` {why}"));
    if prefix.len() > PREFIX_MAX {
        return Err(refused("is longer than 1024 characters"));
    }
    let parts = parts(prefix).ok_or_else(|| refused("has an expression without an end. Try: !{namespace:value}"))?;
    let mut has_error_type = false;
    let mut has_expression = false;
    for part in &parts {
        let Part::Expression { namespace, value } = part else { continue };
        has_expression = true;
        match (*namespace, *value) {
            ("timestamp", pattern) if format_time(pattern, DateTime::constant(2026, 1, 1, 0, 0, 0, 0)).is_some() => {}
            ("timestamp", _) => return Err(refused("has a time pattern that is not served. Try: yyyy MM dd HH mm ss")),
            ("firehose", "error-output-type") if of == Use::Errors => has_error_type = true,
            ("firehose", "random-string") => {}
            ("partitionKeyFromQuery" | "partitionKeyFromLambda", _) if of == Use::Data => {}
            _ => return Err(refused("has an expression that is not one of a prefix like this")),
        }
    }
    if of == Use::Errors && has_expression && !has_error_type {
        return Err(refused("has expressions, so it must have !{firehose:error-output-type} too"));
    }
    Ok(())
}

/// The names of the partition keys that a prefix asks for, with the namespace of each.
pub(crate) fn partition_keys(prefix: &str) -> Vec<(&str, &str)> {
    let mut keys = Vec::new();
    for part in parts(prefix).unwrap_or_default() {
        if let Part::Expression { namespace, value } = part
            && namespace.starts_with("partitionKeyFrom")
        {
            keys.push((namespace, value));
        }
    }
    keys
}

/// The folder of an object. A prefix without expressions is followed by the type of error, where there is one; one
/// without a time by the hour.
pub(crate) fn evaluate(prefix: &str, values: &Values<'_>) -> String {
    let parts = parts(prefix).unwrap_or_else(|| vec![Part::Text(prefix)]);
    let time = civil(values.time_ms);
    let (mut folder, mut has_time, mut has_error_type) = (String::new(), false, false);
    for part in parts {
        match part {
            Part::Text(text) => folder.push_str(text),
            Part::Expression { namespace: "timestamp", value } => {
                has_time = true;
                folder.push_str(&format_time(value, time).unwrap_or_default());
            }
            Part::Expression { value: "error-output-type", .. } => {
                has_error_type = true;
                folder.push_str(values.error_type);
            }
            Part::Expression { value: "random-string", .. } => folder.push_str(values.random),
            Part::Expression { value, .. } => {
                folder.push_str(values.partition_keys.get(value).map_or("", String::as_str));
            }
        }
    }
    if !has_error_type && !values.error_type.is_empty() {
        folder.push_str(values.error_type);
        folder.push('/');
    }
    if !has_time {
        folder.push_str(&format_time(HOUR, time).expect("the pattern is one of ours"));
    }
    folder
}

/// `2026-11-22-14-03-59`, as it stands in the names of objects.
pub(crate) fn second(time_ms: i64) -> String {
    format_time("yyyy-MM-dd-HH-mm-ss", civil(time_ms)).expect("the pattern is one of ours")
}

fn civil(time_ms: i64) -> DateTime {
    let time = Timestamp::from_millisecond(time_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(jiff::tz::TimeZone::UTC).datetime()
}

fn parts(prefix: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = prefix;
    while let Some(begin) = rest.find("!{") {
        let (text, expression) = rest.split_at(begin);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        let (inner, after) = expression[2..].split_once('}')?;
        let (namespace, value) = inner.split_once(':')?;
        parts.push(Part::Expression { namespace: namespace.trim(), value });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Some(parts)
}

/// The letters of Java's `DateTimeFormatter` that dates are commonly written with; `None` for any other letter.
fn format_time(pattern: &str, time: DateTime) -> Option<String> {
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (literal, after) = rest[1..].split_once('\'')?;
            text.push_str(if literal.is_empty() { "'" } else { literal });
            rest = after;
            continue;
        }
        let run = rest.len() - rest.trim_start_matches(first).len();
        let run = if first.is_ascii_alphabetic() { run } else { first.len_utf8() };
        let number = match (first, run) {
            ('y' | 'u' | 'Y', 4) => Some(i32::from(time.year())),
            ('y' | 'u' | 'Y', 2) => Some(i32::from(time.year()) % 100),
            ('M' | 'L', 1 | 2) => Some(i32::from(time.month())),
            ('d', 1 | 2) => Some(i32::from(time.day())),
            ('H', 1 | 2) => Some(i32::from(time.hour())),
            ('m', 1 | 2) => Some(i32::from(time.minute())),
            ('s', 1 | 2) => Some(i32::from(time.second())),
            ('S', 3) => Some(i32::from(time.millisecond())),
            (letter, _) if letter.is_ascii_alphabetic() => return None,
            _ => None,
        };
        match number {
            Some(number) => text.push_str(&format!("{number:0run$}")),
            None => text.push(first),
        }
        rest = &rest[run..];
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(prefix: &str, error_type: &str) -> String {
        let keys = BTreeMap::from([("id".to_owned(), "7".to_owned())]);
        evaluate(prefix, &Values { time_ms: 1_795_356_239_000, error_type, partition_keys: &keys, random: "r" })
    }

    #[test]
    fn a_prefix_without_a_time_is_followed_by_the_hour() {
        assert_eq!(folder("", ""), "2026/11/22/14/");
        assert_eq!(folder("raw/", ""), "raw/2026/11/22/14/");
        assert_eq!(folder("errors/", "iceberg-failed"), "errors/iceberg-failed/2026/11/22/14/");
    }

    #[test]
    fn expressions_stand_for_their_values() {
        assert_eq!(folder("e/!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd'T'HH}/", "x"), "e/x/2026-11-22T14/");
        assert_eq!(folder("id=!{partitionKeyFromQuery:id}/!{timestamp:yyyy}/", ""), "id=7/2026/");
        assert_eq!(second(1_795_356_239_000), "2026-11-22-14-03-59");
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused() {
        for (prefix, of) in [
            ("!{timestamp:yyyy", Use::Data),
            ("!{timestamp:EEE}", Use::Data),
            ("!{firehose:error-output-type}/", Use::Data),
            ("!{timestamp:yyyy}/", Use::Errors),
            ("!{partitionKeyFromQuery:id}/!{firehose:error-output-type}/", Use::Errors),
            ("!{unknown:x}", Use::Data),
        ] {
            assert!(check("Prefix", prefix, of).is_err(), "{prefix}");
        }
        check("Prefix", "errors/", Use::Errors).unwrap();
    }
}
