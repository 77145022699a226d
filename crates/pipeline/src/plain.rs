//! Records of plain JSON, such as producers send to Data Firehose, written as the changes that the decoder reads.

mod parquet_file;

use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::change::Operation;

pub use parquet_file::{ParquetRows, to_parquet};

/// Levels of a record; DynamoDB's own items have 32.
const DEPTH_MAX: usize = 64;

/// Writes a JSON object as a change with DynamoDB's types, whose attributes are its first-level members: numbers keep all
/// their digits. `keys` are the names of those members that tell the row; an INSERT needs none. Fails with the reason
/// where `data` is not a JSON object.
pub fn change_of(operation: Operation, keys: &[String], data: &[u8]) -> Result<Bytes, String> {
    let text = std::str::from_utf8(data).map_err(|_| "the record is not UTF-8".to_owned())?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| format!("the record is not JSON: {error}"))?;
    if !text.trim_start().starts_with('{') {
        return Err("the record is not a JSON object".to_owned());
    }
    // What follows calls itself for each level.
    if depth(text) > DEPTH_MAX {
        return Err(format!("the record is nested deeper than {DEPTH_MAX} levels"));
    }
    let mut scan = Scan { text, at: 0 };
    let (mut image, mut of_key) = (String::with_capacity(text.len() * 2), String::new());
    for (name, value) in scan.members() {
        let is_key = operation != Operation::Insert && keys.iter().any(|key| is_name(name, key));
        for (target, is_wanted) in [(&mut image, operation != Operation::Remove), (&mut of_key, is_key)] {
            if is_wanted {
                let comma = if target.is_empty() { "" } else { "," };
                target.push_str(comma);
                target.push_str(name);
                target.push(':');
                write_typed(value, target);
            }
        }
    }
    let name = operation.as_str();
    let json = match operation {
        Operation::Remove => format!(r#"{{"eventName":"{name}","dynamodb":{{"Keys":{{{of_key}}}}}}}"#),
        _ => format!(r#"{{"eventName":"{name}","dynamodb":{{"Keys":{{{of_key}}},"NewImage":{{{image}}}}}}}"#),
    };
    Ok(json.into())
}

/// How many brackets of well-formed JSON are open at once, at the most.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !is_text => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// Whether a member's name, as it is written, is `key`.
fn is_name(written: &str, key: &str) -> bool {
    match written.contains('\\') {
        false => written[1..written.len() - 1] == *key,
        true => serde_json::from_str::<String>(written).is_ok_and(|name| name == key),
    }
}

fn write_typed(value: &str, target: &mut String) {
    match value.as_bytes()[0] {
        b'"' => wrap("S", value, target),
        b't' | b'f' => wrap("BOOL", value, target),
        b'n' => wrap("NULL", "true", target),
        b'{' => {
            target.push_str(r#"{"M":{"#);
            for (number, (name, value)) in (Scan { text: value, at: 0 }).members().into_iter().enumerate() {
                target.push_str(if number == 0 { "" } else { "," });
                target.push_str(name);
                target.push(':');
                write_typed(value, target);
            }
            target.push_str("}}");
        }
        b'[' => {
            target.push_str(r#"{"L":["#);
            for (number, value) in (Scan { text: value, at: 0 }).elements().into_iter().enumerate() {
                target.push_str(if number == 0 { "" } else { "," });
                write_typed(value, target);
            }
            target.push_str("]}");
        }
        _ => wrap("N", &format!("\"{value}\""), target),
    }
}

fn wrap(tag: &str, value: &str, target: &mut String) {
    for part in ["{\"", tag, "\":", value, "}"] {
        target.push_str(part);
    }
}

/// Walks JSON that is known to be well-formed.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// Names, in their quotes, and values of the object that comes next.
    fn members(&mut self) -> Vec<(&'a str, &'a str)> {
        let mut members = Vec::new();
        self.skip_past(b'{');
        while self.peek() != b'}' {
            let name = self.value();
            self.skip_past(b':');
            members.push((name, self.value()));
            if self.peek() == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        members
    }

    fn elements(&mut self) -> Vec<&'a str> {
        let mut elements = Vec::new();
        self.skip_past(b'[');
        while self.peek() != b']' {
            elements.push(self.value());
            if self.peek() == b',' {
                self.at += 1;
            }
        }
        self.at += 1;
        elements
    }

    /// The value that comes next, as it is written.
    fn value(&mut self) -> &'a str {
        let first = self.peek();
        let begin = self.at;
        match first {
            b'"' => self.string(),
            b'{' | b'[' => {
                let mut depth = 0;
                loop {
                    match self.peek() {
                        b'"' => self.string(),
                        byte => {
                            depth += i32::from(matches!(byte, b'{' | b'[')) - i32::from(matches!(byte, b'}' | b']'));
                            self.at += 1;
                        }
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => {
                let is_end = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
                let rest = &self.text.as_bytes()[self.at..];
                self.at += rest.iter().position(is_end).unwrap_or(rest.len());
            }
        }
        &self.text[begin..self.at]
    }

    fn string(&mut self) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while bytes[self.at] != b'"' {
            self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while matches!(bytes[self.at], b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        bytes[self.at]
    }

    fn skip_past(&mut self, byte: u8) {
        debug_assert_eq!(self.peek(), byte, "the text was checked before");
        self.peek();
        self.at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_become_attributes_with_every_digit() {
        let data = br#" {"id" : "a\"}", "n": 12345678901234567890123456789.50, "on":true,"none":null,
            "m": {"l": [1, "x", {}, []]}, "e": {} } "#;
        let change = change_of(Operation::Modify, &["id".to_owned()], data).unwrap();
        let expected = concat!(
            r#"{"eventName":"MODIFY","dynamodb":{"Keys":{"id":{"S":"a\"}"}},"NewImage":{"id":{"S":"a\"}"},"#,
            r#""n":{"N":"12345678901234567890123456789.50"},"on":{"BOOL":true},"none":{"NULL":true},"#,
            r#""m":{"M":{"l":{"L":[{"N":"1"},{"S":"x"},{"M":{}},{"L":[]}]}}},"e":{"M":{}}}}}"#
        );
        assert_eq!(change, expected);
    }

    #[test]
    fn only_a_changed_or_removed_row_has_keys_and_a_removed_one_nothing_else() {
        let data = br#"{"\u0069d":1,"v":2}"#;
        let of = |operation| change_of(operation, &["id".to_owned()], data).unwrap();
        assert_eq!(of(Operation::Remove), r#"{"eventName":"REMOVE","dynamodb":{"Keys":{"\u0069d":{"N":"1"}}}}"#);
        let inserted = of(Operation::Insert);
        assert!(inserted.starts_with(br#"{"eventName":"INSERT","dynamodb":{"Keys":{},"NewImage":{"#), "{inserted:?}");
    }

    #[test]
    fn what_is_not_an_object_is_told() {
        for data in ["", "1", "[{}]", "{", "{\"a\":}", "{}{}", "\"{}\"", "\u{feff}{}"] {
            assert!(change_of(Operation::Insert, &[], data.as_bytes()).is_err(), "{data}");
        }
        let brackets_in_text = format!(r#"{{"a":"{}\""}}"#, "[".repeat(200));
        assert!(change_of(Operation::Insert, &[], brackets_in_text.as_bytes()).is_ok());
        assert!(change_of(Operation::Insert, &[], b"{\"a\":\"\xff\"}").is_err());
        for levels in [64, 100_000] {
            let deep = format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
            assert!(change_of(Operation::Insert, &[], deep.as_bytes()).is_err());
        }
    }
}
