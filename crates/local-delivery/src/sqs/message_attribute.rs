//! Typed attributes that senders give a message: checked, and digested as SDKs do to verify answers.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::sqs::error::{self, Result};
use crate::sqs::message::has_only_valid_characters;

pub(crate) type MessageAttributes = BTreeMap<String, MessageAttribute>;

const ATTRIBUTES_MAX: usize = 10;
const NAME_LENGTH_MAX: usize = 256;
const TYPE_LENGTH_MAX: usize = 256;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct MessageAttribute {
    #[serde(default)]
    pub data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub string_value: Option<String>,
    /// In base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary_value: Option<String>,
    #[serde(default, skip_serializing)]
    string_list_values: Vec<String>,
    #[serde(default, skip_serializing)]
    binary_list_values: Vec<String>,
}

/// Checks what a sender gave, and gives how many bytes of the message it takes.
pub(crate) fn check(attributes: &MessageAttributes) -> Result<usize> {
    if attributes.len() > ATTRIBUTES_MAX {
        let message = format!("Number of message attributes [{}] exceeds the allowed maximum [10].", attributes.len());
        return Err(error::invalid_parameter(message));
    }
    let mut bytes = 0;
    for (name, attribute) in attributes {
        check_name(name)?;
        bytes += name.len() + attribute.data_type.len() + attribute.check(name)?;
    }
    Ok(bytes)
}

fn check_name(name: &str) -> Result<()> {
    let is_of_letters = name.chars().all(|character| character.is_alphanumeric() || "_-.".contains(character));
    let lower = name.to_ascii_lowercase();
    let is_reserved = ["aws.", "amazon."].iter().any(|prefix| lower.starts_with(prefix));
    let has_loose_dot = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    if (1..=NAME_LENGTH_MAX).contains(&name.len()) && is_of_letters && !is_reserved && !has_loose_dot {
        return Ok(());
    }
    Err(error::invalid_parameter(format!(
        "Message (user) attribute name '{name}' is invalid: 1 to 256 letters, digits, '_', '-' and '.', no '.' at an \
         end or beside another, and no 'AWS.' or 'Amazon.' at the beginning."
    )))
}

impl MessageAttribute {
    /// The length of its value.
    fn check(&self, name: &str) -> Result<usize> {
        if !self.string_list_values.is_empty() || !self.binary_list_values.is_empty() {
            let message = "Message attribute list values in SendMessage operation are not supported.";
            return Err(error::unsupported(message));
        }
        if self.data_type.is_empty() || self.data_type.len() > TYPE_LENGTH_MAX {
            let message = format!("The message attribute '{name}' must contain a valid message attribute type.");
            return Err(error::invalid_parameter(message));
        }
        let invalid_type = || {
            error::invalid_parameter(format!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
                 prefixes is Binary, Number, and String."
            ))
        };
        let base = self.data_type.split('.').next().unwrap_or_default();
        let empty = || {
            let message = format!("Message (user) attribute '{name}' must contain a non-empty value of type '{base}'.");
            error::invalid_parameter(message)
        };
        match (base, &self.string_value, &self.binary_value) {
            ("String" | "Number", Some(value), None) => {
                let value = Some(value).filter(|value| !value.is_empty()).ok_or_else(empty)?;
                if !has_only_valid_characters(value) {
                    return Err(error::invalid_message_contents());
                }
                if base == "Number" && !is_number(value) {
                    let message = format!("Can't cast the value of message attribute '{name}' to a number.");
                    return Err(error::invalid_parameter(message));
                }
                Ok(value.len())
            }
            ("Binary", None, Some(value)) => {
                let bytes = BASE64_STANDARD.decode(value).map_err(|_| empty())?;
                if bytes.is_empty() { Err(empty()) } else { Ok(bytes.len()) }
            }
            ("String" | "Number" | "Binary", ..) => Err(empty()),
            _ => Err(invalid_type()),
        }
    }
}

/// Up to 38 digits, from 10^-128 to 10^126.
fn is_number(text: &str) -> bool {
    let digits = text.split(['e', 'E']).next().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count();
    let value: Result<f64, _> = text.trim().parse();
    digits > 0 && value.is_ok_and(|value: f64| value == 0.0 || (1e-128..=1e126).contains(&value.abs()))
}

/// What SDKs compare: the attributes by name, each with the length of every part before it.
pub(crate) fn md5(attributes: &MessageAttributes) -> Option<String> {
    const STRING: u8 = 1;
    const BINARY: u8 = 2;
    if attributes.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    for (name, attribute) in attributes {
        add(&mut digest, name.as_bytes());
        add(&mut digest, attribute.data_type.as_bytes());
        match (&attribute.string_value, &attribute.binary_value) {
            (Some(value), _) => {
                digest.update([STRING]);
                add(&mut digest, value.as_bytes());
            }
            (None, value) => {
                digest.update([BINARY]);
                add(&mut digest, &BASE64_STANDARD.decode(value.as_deref().unwrap_or_default()).unwrap_or_default());
            }
        }
    }
    Some(hex::encode(digest.finalize()))
}

fn add(digest: &mut Md5, part: &[u8]) {
    digest.update((part.len() as u32).to_be_bytes());
    digest.update(part);
}

/// Those that a receiver asks for: by name, `All`, or what begins with a word, `word.*` or `.*`.
pub(crate) fn selected(attributes: MessageAttributes, names: &[String]) -> MessageAttributes {
    let is_wanted = |name: &str| {
        names.iter().any(|wanted| match wanted.strip_suffix(".*") {
            Some(prefix) => prefix.is_empty() || name.starts_with(prefix),
            None => wanted == "All" || wanted == name,
        })
    };
    attributes.into_iter().filter(|(name, _)| is_wanted(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> MessageAttribute {
        MessageAttribute { data_type: "String".into(), string_value: Some(value.into()), ..MessageAttribute::default() }
    }

    #[test]
    fn the_digest_is_that_of_aws() {
        // Both recorded from AWS.
        let attributes = MessageAttributes::from([("Foo".to_owned(), text("Bar"))]);
        assert_eq!(md5(&attributes).as_deref(), Some("ae7155c6026991b6d54b11589678bf9c"));
        let value = b"traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01";
        let binary_value = Some(BASE64_STANDARD.encode(value));
        let binary = MessageAttribute { data_type: "Binary".into(), binary_value, ..MessageAttribute::default() };
        let attributes = MessageAttributes::from([("attr1".to_owned(), binary)]);
        assert_eq!(md5(&attributes).as_deref(), Some("8cbe4db156db8a94db8b801b7addb984"));
        assert_eq!(md5(&MessageAttributes::new()), None);
    }

    #[test]
    fn names_and_numbers_are_checked() {
        for good in ["a", "A-b_c.d", "ü"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "a.", "a..b", "AWS.a", "amazon.x", "a b"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        for good in ["0", "-1.5", "1e126", "12345678901234567890123456789012345678"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "x", "1e127", "NaN", "inf"] {
            assert!(!is_number(bad), "{bad}");
        }
    }

    #[test]
    fn receivers_choose_by_name_or_by_prefix() {
        let attributes: MessageAttributes =
            ["Hello", "Help.Me", "General"].map(|name| (name.to_owned(), text("x"))).into();
        let names = |wanted: &[&str]| {
            let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
            selected(attributes.clone(), &wanted).into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), [""; 0]);
        assert_eq!(names(&["All"]), ["General", "Hello", "Help.Me"]);
        assert_eq!(names(&[".*"]), ["General", "Hello", "Help.Me"]);
        assert_eq!(names(&["Help.*"]), ["Help.Me"]);
        assert_eq!(names(&["General"]), ["General"]);
    }
}
