//! Filter patterns: words that a message must have, may have or must not have, and conditions on JSON members.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>

use serde_json::Value;

/// What messages are looked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    Words {
        all: Vec<String>,
        any: Vec<String>,
        none: Vec<String>,
    },
    /// `{ $.code = "DYN801" }`: all of the conditions.
    Members(Vec<Condition>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    path: Vec<String>,
    is_equal: bool,
    /// May end with `*`.
    value: String,
}

impl Filter {
    /// Reads a pattern; refuses, with the reason, what is not served.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let pattern = pattern.trim();
        if let Some(inner) = pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return inner
                .split("&&")
                .map(|condition| read_condition(condition.trim()))
                .collect::<Result<_, _>>()
                .map(Self::Members);
        }
        if pattern.starts_with(['[', '%', '{']) {
            return Err(
                "Patterns of columns and of regular expressions are not served here. Try: words, or { $.a = \"b\" }"
                    .into(),
            );
        }
        let (mut all, mut any, mut none) = (Vec::new(), Vec::new(), Vec::new());
        for (sign, word) in words(pattern)? {
            match sign {
                Some('?') => any.push(word),
                Some('-') => none.push(word),
                _ => all.push(word),
            }
        }
        Ok(Self::Words { all, any, none })
    }

    pub fn matches(&self, message: &str) -> bool {
        match self {
            Self::Words { all, any, none } => {
                let has = |word: &String| message.contains(word.as_str());
                all.iter().all(has) && !none.iter().any(has) && (any.is_empty() || any.iter().any(has))
            }
            Self::Members(conditions) => {
                let Ok(document) = serde_json::from_str::<Value>(message) else { return false };
                conditions.iter().all(|condition| condition.holds(&document))
            }
        }
    }
}

impl Condition {
    fn holds(&self, document: &Value) -> bool {
        let member = self.path.iter().try_fold(document, |value, name| value.get(name));
        let Some(member) = member else { return false };
        let text = member.as_str().map_or_else(|| member.to_string(), str::to_owned);
        let is_like = match self.value.strip_suffix('*') {
            Some(prefix) => text.starts_with(prefix),
            None => text == self.value,
        };
        is_like == self.is_equal
    }
}

/// Reads `$.a.b = "c"` and `$.a != 1`.
fn read_condition(text: &str) -> Result<Condition, String> {
    let unserved = || format!("The condition {text} is not served here. Try: $.member = \"value\"");
    let (left, right, is_equal) = match text.split_once("!=") {
        Some((left, right)) => (left, right, false),
        None => text.split_once('=').map(|(left, right)| (left, right, true)).ok_or_else(unserved)?,
    };
    let path = left.trim().strip_prefix("$.").ok_or_else(unserved)?;
    let is_plain = !path.contains(['[', '<', '>', '(', '|']) && !right.contains("||");
    let value = right.trim().trim_matches('"').to_owned();
    match is_plain {
        true => Ok(Condition { path: path.split('.').map(str::to_owned).collect(), is_equal, value }),
        false => Err(unserved()),
    }
}

/// The words of a pattern with their signs. Words in quotes hold spaces.
fn words(mut rest: &str) -> Result<Vec<(Option<char>, String)>, String> {
    let mut words = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(words);
        }
        let sign = rest.chars().next().filter(|first| matches!(first, '?' | '-'));
        rest = &rest[sign.map_or(0, char::len_utf8)..];
        let word = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"').ok_or("A quotation mark of the pattern is not closed.")?;
                rest = &quoted[end + 1..];
                &quoted[..end]
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let word = &rest[..end];
                rest = &rest[end..];
                word
            }
        };
        words.push((sign, word.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_words_and_members() {
        let cases = [
            ("", "anything", true),
            ("ERROR", "an ERROR here", true),
            ("error", "an ERROR here", false),
            ("ERROR here", "here is an ERROR", true),
            ("\"ERROR here\"", "here is an ERROR", false),
            ("?WARN ?ERROR", "an ERROR", true),
            ("ERROR -here", "an ERROR here", false),
            ("{ $.code = \"DYN801\" }", r#"{"code":"DYN801"}"#, true),
            ("{ $.code = \"DYN8*\" && $.n = 3 }", r#"{"code":"DYN801","n":3}"#, true),
            ("{ $.a.b != 1 }", r#"{"a":{"b":1}}"#, false),
            ("{ $.code = \"DYN801\" }", "DYN801", false),
        ];
        for (pattern, message, expected) in cases {
            assert_eq!(Filter::parse(pattern).unwrap().matches(message), expected, "{pattern} in {message}");
        }
        assert!(Filter::parse("[ip, user]").is_err());
        assert!(Filter::parse("{ $.a > 1 }").is_err());
    }
}
