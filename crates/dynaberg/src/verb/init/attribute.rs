//! What a sample tells of an attribute, and the column that is proposed for it.

use arrow::datatypes::DataType;
use pipeline::{Attributes, KeyAttribute};
use serde_json::Value;

/// Parts of names that call for care, in lower case.
const SENSITIVE_WORDS: [&str; 26] = [
    "email",
    "mail",
    "phone",
    "mobile",
    "passw",
    "secret",
    "ssn",
    "social",
    "iban",
    "bic",
    "card",
    "pan",
    "cvv",
    "cvc",
    "birth",
    "dob",
    "address",
    "street",
    "surname",
    "lastname",
    "firstname",
    "fullname",
    "passport",
    "license",
    "tax",
    "token",
];
/// Milliseconds since the epoch, from 2001 to 2100.
const MILLIS: std::ops::Range<i64> = 978_307_200_000..4_102_444_800_000;

/// One attribute and its column.
#[derive(Debug)]
pub struct Proposal {
    pub name: String,
    pub share_percent: usize,
    pub note: String,
    pub sensitive: bool,
    is_key: bool,
    is_millis: bool,
    data_type: DataType,
}

impl Proposal {
    /// A part of the key is needed, whatever it looks like.
    pub fn is_left_out(&self) -> bool {
        self.sensitive && !self.is_key
    }

    pub fn select_item(&self) -> String {
        let lower = self.name.to_lowercase();
        let is_plain = self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && self.name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let column: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let column = column.trim_matches('_');
        let written = format!("\"{}\"", self.name.replace('"', "\"\""));
        let name = if is_plain { &self.name } else { &written };
        match (self.sensitive && self.is_key, self.is_millis, is_plain) {
            (true, _, _) => format!("token({name}) AS {column}"),
            (false, true, _) => format!("from_millis({name}) AS {column}"),
            (false, false, true) => name.clone(),
            (false, false, false) => format!("{name} AS {column}"),
        }
    }

    pub fn shown_type(&self) -> String {
        let shown = match &self.data_type {
            _ if self.is_millis => "timestamp".to_owned(),
            DataType::Int64 => "long".to_owned(),
            DataType::Utf8 => "string".to_owned(),
            DataType::LargeBinary => "binary".to_owned(),
            DataType::Boolean => "boolean".to_owned(),
            DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
            DataType::List(_) => "list".to_owned(),
            DataType::Struct(_) => "struct".to_owned(),
            other => other.to_string(),
        };
        if self.is_key { format!("{shown}, key") } else { shown }
    }
}

/// The key first, then the others by name.
pub fn propose(keys: &[KeyAttribute], items: &[Value]) -> Vec<Proposal> {
    let attributes = Attributes::of_sample(keys, items);
    let is_key = |name: &str| keys.iter().position(|key| key.name == name);
    let mut proposals: Vec<Proposal> = attributes
        .types()
        .map(|(name, data_type)| {
            let values: Vec<&Value> = items.iter().filter_map(|item| item.get(name)).collect();
            let concern = concern(name, &values);
            let is_millis =
                *data_type == DataType::Int64 && !values.is_empty() && values.iter().all(|value| is_millis(value));
            let note = match (&concern, is_millis) {
                (Some(concern), _) => concern.clone(),
                (None, true) => "epoch milliseconds".to_owned(),
                (None, false) => String::new(),
            };
            Proposal {
                name: name.to_owned(),
                share_percent: values.len() * 100 / items.len().max(1),
                note,
                sensitive: concern.is_some(),
                is_key: is_key(name).is_some(),
                is_millis,
                data_type: data_type.clone(),
            }
        })
        .collect();
    proposals.sort_by_key(|proposal| is_key(&proposal.name).unwrap_or(usize::MAX));
    proposals
}

/// Why the attribute looks sensitive.
fn concern(name: &str, values: &[&Value]) -> Option<String> {
    let texts = || values.iter().filter_map(|value| value.get("S").or_else(|| value.get("N"))?.as_str());
    let (cards, emails) = (texts().filter(|text| is_card(text)).count(), texts().filter(|text| is_email(text)).count());
    // One long number in ten passes by chance.
    if cards > 0 && cards * 2 >= values.len() {
        return Some("passes Luhn: card number".to_owned());
    }
    if emails > 0 {
        return Some("looks like an e-mail address".to_owned());
    }
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let word = SENSITIVE_WORDS.iter().find(|word| match word.len() {
        // Short ones are a part of many words.
        ..=4 => words.contains(word),
        _ => lower.replace(['_', '-'], "").contains(**word),
    })?;
    Some(format!("its name says `{word}`"))
}

fn is_millis(value: &Value) -> bool {
    value.get("N").and_then(Value::as_str).and_then(|text| text.parse().ok()).is_some_and(|ms| MILLIS.contains(&ms))
}

fn is_email(text: &str) -> bool {
    matches!(text.split_once('@'), Some((user, host)) if !user.is_empty() && host.contains('.') && !host.contains(' '))
}

/// 13 to 19 digits, with or without spaces, whose last one is the check digit.
fn is_card(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter(|c| !matches!(c, ' ' | '-')).map_while(|c| c.to_digit(10)).collect();
    let is_all = digits.len() == text.chars().filter(|c| !matches!(c, ' ' | '-')).count();
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| if place % 2 == 1 { doubled(digit) } else { digit })
        .sum();
    is_all && (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_looks_sensitive_is_left_out_unless_it_is_the_key() {
        let item = json!({
            "email": {"S": "a@b.com"}, "orderId": {"S": "o1"}, "pan": {"S": "4111 1111 1111 1111"},
            "created": {"N": "1700000000000"}, "total": {"N": "1.5"}, "panels": {"N": "3"}, "e-state": {"S": "x"},
            "contact": {"S": "c@d.org"}, "number": {"N": "4111111111111111"},
        });
        let keys = [KeyAttribute { name: "email".into(), key_type: pipeline::KeyType::S }];
        let proposals = propose(&keys, &[item]);
        let selected: Vec<_> =
            proposals.iter().filter(|proposal| !proposal.is_left_out()).map(Proposal::select_item).collect();
        let expected = [
            "token(email) AS email",
            "from_millis(created) AS created",
            "\"e-state\" AS e_state",
            "orderId",
            "panels",
            "total",
        ];
        assert_eq!(selected, expected);
    }
}
