//! The attributes of a queue that its owner sets: which there are, what they may be, and what they are by default.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::sqs::error::{self, Result};
use crate::sqs::redrive_policy::{RedriveAllowPolicy, RedrivePolicy};

/// What was set, by AWS's names and as AWS writes it; the defaults stand in for the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    set: BTreeMap<String, String>,
}

/// What a value must look like.
enum Kind {
    Number(std::ops::RangeInclusive<i64>),
    Flag,
    OneOf([&'static str; 2]),
    Policy,
    RedrivePolicy,
    RedriveAllowPolicy,
}

/// Name, kind, default, and whether only FIFO queues have it.
const ATTRIBUTES: [(&str, Kind, Option<&str>, bool); 13] = [
    ("VisibilityTimeout", Kind::Number(0..=43_200), Some("30"), false),
    ("MaximumMessageSize", Kind::Number(1_024..=1_048_576), Some("1048576"), false),
    ("MessageRetentionPeriod", Kind::Number(60..=1_209_600), Some("345600"), false),
    ("DelaySeconds", Kind::Number(0..=900), Some("0"), false),
    ("ReceiveMessageWaitTimeSeconds", Kind::Number(0..=20), Some("0"), false),
    ("SqsManagedSseEnabled", Kind::Flag, Some("true"), false),
    ("Policy", Kind::Policy, None, false),
    ("RedrivePolicy", Kind::RedrivePolicy, None, false),
    ("RedriveAllowPolicy", Kind::RedriveAllowPolicy, None, false),
    ("FifoQueue", Kind::Flag, None, true),
    ("ContentBasedDeduplication", Kind::Flag, Some("false"), true),
    ("DeduplicationScope", Kind::OneOf(["queue", "messageGroup"]), Some("queue"), true),
    ("FifoThroughputLimit", Kind::OneOf(["perQueue", "perMessageGroupId"]), Some("perQueue"), true),
];

/// They only make sense with a key of KMS, which is not served here.
const KMS_ATTRIBUTES: [&str; 2] = ["KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"];

pub(crate) fn is_known(name: &str) -> bool {
    KMS_ATTRIBUTES.contains(&name) || ATTRIBUTES.iter().any(|attribute| attribute.0 == name)
}

impl Settings {
    /// Checks `changes` and puts them into force. An empty value takes a policy away.
    pub fn change(&mut self, changes: &BTreeMap<String, String>, is_fifo: bool) -> Result<()> {
        for (name, value) in changes {
            if KMS_ATTRIBUTES.contains(&name.as_str()) && !value.is_empty() {
                return Err(error::unsupported(format!(
                    "Encryption with a key of KMS ({name}) is not served here. Try: SqsManagedSseEnabled"
                )));
            }
            if !is_known(name) {
                return Err(error::unknown_attribute(name));
            }
            let Some((_, kind, _, needs_fifo)) = ATTRIBUTES.iter().find(|attribute| attribute.0 == name) else {
                continue;
            };
            if *needs_fifo && !is_fifo {
                return Err(match kind {
                    Kind::OneOf(_) => error::invalid_attribute_name(format!(
                        "You can specify the {name} only when FifoQueue is set to true."
                    )),
                    _ => error::unknown_attribute(name),
                });
            }
            match kind.canonical(name, value)? {
                Some(value) => self.set.insert(name.clone(), value),
                None => self.set.remove(name),
            };
        }
        let is_per_group = self.get("FifoThroughputLimit") == Some("perMessageGroupId");
        if is_per_group && !self.deduplicates_by_group() {
            let reason = "perMessageGroupId is allowed only where DeduplicationScope is messageGroup.";
            return Err(error::invalid_attribute_value("FifoThroughputLimit", reason));
        }
        Ok(())
    }

    /// The name of an attribute of `wanted` that is another here.
    pub fn difference<'a>(&self, wanted: &'a BTreeMap<String, String>, is_fifo: bool) -> Result<Option<&'a str>> {
        let mut changed = self.clone();
        changed.change(wanted, is_fifo)?;
        Ok(wanted.keys().map(String::as_str).find(|name| changed.get(name) != self.get(name)))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let default = || ATTRIBUTES.iter().find(|attribute| attribute.0 == name).and_then(|attribute| attribute.2);
        self.set.get(name).map(String::as_str).or_else(default)
    }

    /// As GetQueueAttributes shows them, those of FIFO queues there only.
    pub fn shown(&self, is_fifo: bool) -> impl Iterator<Item = (&'static str, &str)> {
        let of_kind = ATTRIBUTES.iter().filter(move |attribute| is_fifo || !attribute.3);
        of_kind.filter_map(|(name, ..)| Some((*name, self.get(name)?)))
    }

    fn number(&self, name: &str) -> i64 {
        let value = self.get(name).and_then(|value| value.parse().ok());
        value.expect("a number was checked when it was set, or is a default")
    }

    pub fn visibility_timeout_s(&self) -> i64 {
        self.number("VisibilityTimeout")
    }

    pub fn delay_s(&self) -> i64 {
        self.number("DelaySeconds")
    }

    pub fn wait_s(&self) -> i64 {
        self.number("ReceiveMessageWaitTimeSeconds")
    }

    pub fn retention_ms(&self) -> i64 {
        self.number("MessageRetentionPeriod") * 1_000
    }

    pub fn message_bytes_max(&self) -> usize {
        self.number("MaximumMessageSize") as usize
    }

    pub fn deduplicates_by_content(&self) -> bool {
        self.get("ContentBasedDeduplication") == Some("true")
    }

    pub fn deduplicates_by_group(&self) -> bool {
        self.get("DeduplicationScope") == Some("messageGroup")
    }

    pub fn policy(&self) -> Option<&str> {
        self.get("Policy")
    }

    pub fn redrive_policy(&self) -> Option<RedrivePolicy> {
        self.get("RedrivePolicy").and_then(RedrivePolicy::parse)
    }

    pub fn redrive_allow_policy(&self) -> RedriveAllowPolicy {
        self.get("RedriveAllowPolicy").and_then(RedriveAllowPolicy::parse).unwrap_or(RedriveAllowPolicy::AllowAll)
    }

    pub fn to_text(&self) -> String {
        json!(self.set).to_string()
    }

    pub fn from_text(text: &str) -> Self {
        Self { set: serde_json::from_str(text).expect("the store has what `to_text` wrote") }
    }
}

impl Kind {
    /// The value as it is kept and shown; `None` takes the attribute away.
    fn canonical(&self, name: &str, value: &str) -> Result<Option<String>> {
        let invalid = || error::invalid_attribute_value(name, "");
        match self {
            Self::Number(range) => {
                let number: i64 = value.parse().map_err(|_| invalid())?;
                if range.contains(&number) { Ok(Some(number.to_string())) } else { Err(invalid()) }
            }
            // A queue's type is in its name, and for good.
            Self::Flag if name == "FifoQueue" && !value.eq_ignore_ascii_case("true") => {
                Err(error::invalid_attribute_value(name, "Modifying queue type is not supported."))
            }
            Self::Flag => match value.to_ascii_lowercase().as_str() {
                flag @ ("true" | "false") => Ok(Some(flag.to_owned())),
                _ => Err(invalid()),
            },
            Self::OneOf(words) if words.contains(&value) => Ok(Some(value.to_owned())),
            Self::OneOf(_) => Err(invalid()),
            _ if value.is_empty() => Ok(None),
            Self::Policy => {
                let policy: Value = serde_json::from_str(value).map_err(|_| invalid())?;
                if policy.is_object() { Ok(Some(policy.to_string())) } else { Err(invalid()) }
            }
            Self::RedrivePolicy => {
                let policy = RedrivePolicy::parse(value).ok_or_else(|| unfit(name, value))?;
                let (target, count) = (policy.dead_letter_target_arn, policy.max_receive_count);
                Ok(Some(json!({ "deadLetterTargetArn": target, "maxReceiveCount": count }).to_string()))
            }
            Self::RedriveAllowPolicy => {
                RedriveAllowPolicy::parse(value).ok_or_else(|| unfit(name, value))?;
                Ok(Some(value.to_owned()))
            }
        }
    }
}

fn unfit(name: &str, value: &str) -> error::Error {
    error::invalid_value(name, value, "it is not a policy of this kind, or one of its values is out of range.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(name: &str, value: &str, is_fifo: bool) -> Result<Option<String>, String> {
        let mut settings = Settings::default();
        let changes = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        settings.change(&changes, is_fifo).map_err(|error| error.to_string())?;
        Ok(settings.set.remove(name))
    }

    #[test]
    fn values_are_checked_and_written_as_aws_writes_them() {
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:r:1:d","maxReceiveCount":3}"#;
        for (name, value, kept) in [
            ("VisibilityTimeout", "0", "0"),
            ("VisibilityTimeout", "43200", "43200"),
            ("SqsManagedSseEnabled", "False", "false"),
            ("RedrivePolicy", r#"{"maxReceiveCount":"3","deadLetterTargetArn":"arn:aws:sqs:r:1:d"}"#, policy),
        ] {
            assert_eq!(changed(name, value, false), Ok(Some(kept.to_owned())), "{name} = {value}");
        }
        assert_eq!(changed("RedrivePolicy", "", false), Ok(None));
        for (name, value) in [
            ("VisibilityTimeout", "43201"),
            ("VisibilityTimeout", "x"),
            ("MaximumMessageSize", "1048577"),
            ("Policy", "[]"),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"d","maxReceiveCount":0}"#),
            ("RedriveAllowPolicy", r#"{"redrivePermission":"byQueue","sourceQueueArns":[]}"#),
            ("KmsMasterKeyId", "alias/aws/sqs"),
            ("FifoQueue", "true"),
            ("Nothing", "1"),
        ] {
            assert!(changed(name, value, false).is_err(), "{name} = {value}");
        }
        assert!(changed("FifoQueue", "false", true).is_err());
        assert!(changed("FifoThroughputLimit", "perMessageGroupId", true).is_err());
    }
}
