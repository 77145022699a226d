//! The policies of dead-letter queues: where a queue's letters go, and whose a queue takes.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html>

use serde_json::Value;

const RECEIVE_COUNT_DEFAULT: i64 = 10;
const RECEIVE_COUNT: std::ops::RangeInclusive<i64> = 1..=1_000;
const SOURCE_QUEUES_MAX: usize = 10;

/// Where dead letters go, and after how many receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedrivePolicy {
    pub dead_letter_target_arn: String,
    pub max_receive_count: i64,
}

/// Whose dead letters a queue takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RedriveAllowPolicy {
    AllowAll,
    DenyAll,
    ByQueue(Vec<String>),
}

impl RedrivePolicy {
    pub fn parse(text: &str) -> Option<Self> {
        let policy: Value = serde_json::from_str(text).ok()?;
        let max_receive_count = match policy.get("maxReceiveCount") {
            None => RECEIVE_COUNT_DEFAULT,
            Some(count) => count.as_i64().or_else(|| count.as_str()?.parse().ok())?,
        };
        let dead_letter_target_arn = policy["deadLetterTargetArn"].as_str()?.to_owned();
        RECEIVE_COUNT.contains(&max_receive_count).then_some(Self { dead_letter_target_arn, max_receive_count })
    }
}

impl RedriveAllowPolicy {
    pub fn parse(text: &str) -> Option<Self> {
        let policy: Value = serde_json::from_str(text).ok()?;
        let sources = policy.get("sourceQueueArns");
        match (policy["redrivePermission"].as_str()?, sources) {
            ("allowAll", None) => Some(Self::AllowAll),
            ("denyAll", None) => Some(Self::DenyAll),
            ("byQueue", Some(Value::Array(arns))) if (1..=SOURCE_QUEUES_MAX).contains(&arns.len()) => {
                let arns = arns.iter().map(|arn| arn.as_str().map(str::to_owned));
                Some(Self::ByQueue(arns.collect::<Option<_>>()?))
            }
            _ => None,
        }
    }

    pub fn allows(&self, source_arn: &str) -> bool {
        match self {
            Self::AllowAll => true,
            Self::DenyAll => false,
            Self::ByQueue(arns) => arns.iter().any(|arn| arn == source_arn),
        }
    }
}
