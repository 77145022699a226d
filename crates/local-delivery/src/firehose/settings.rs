//! What destinations are asked for: the members of the API, with their defaults and limits.
//!
//! Each is kept as it was asked for and described as it is kept. Limits are those of the service's model and of
//! <https://docs.aws.amazon.com/firehose/latest/APIReference/Welcome.html>.

mod format;
mod iceberg;
mod processing;
mod s3;

use serde::{Deserialize, Serialize};

use crate::firehose::error::{self, Result};

pub(crate) use format::FormatConversion;
pub use format::{GlueTable, ParquetCompression};
pub use iceberg::CatalogArn;
pub(crate) use iceberg::IcebergDestination;
pub(crate) use processing::{LambdaProcessor, Processing, ProcessingConfiguration};
pub(crate) use s3::S3Destination;

/// When a buffer is delivered: at that size or at that age, whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct BufferingHints {
    #[serde(rename = "SizeInMBs")]
    pub size_in_mbs: u64,
    pub interval_in_seconds: u64,
}

impl Default for BufferingHints {
    fn default() -> Self {
        Self { size_in_mbs: 5, interval_in_seconds: 300 }
    }
}

impl BufferingHints {
    pub fn check(&self, member: &str) -> Result<()> {
        if !(1..=128).contains(&self.size_in_mbs) {
            return Err(error::invalid(format!("{member}.SizeInMBs must be between 1 and 128")));
        }
        if self.interval_in_seconds > 900 {
            return Err(error::invalid(format!("{member}.IntervalInSeconds must be between 0 and 900")));
        }
        Ok(())
    }

    pub fn size_bytes(&self) -> u64 {
        self.size_in_mbs << 20
    }

    pub fn interval_ms(&self) -> i64 {
        self.interval_in_seconds as i64 * 1_000
    }
}

/// How long a delivery is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct RetryOptions {
    #[serde(default = "retry_default_s")]
    pub duration_in_seconds: u64,
}

fn retry_default_s() -> u64 {
    300
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self { duration_in_seconds: retry_default_s() }
    }
}

impl RetryOptions {
    pub fn check(&self, member: &str) -> Result<()> {
        match self.duration_in_seconds {
            0..=7_200 => Ok(()),
            _ => Err(error::invalid(format!("{member}.DurationInSeconds must be between 0 and 7200"))),
        }
    }
}

/// Where CloudWatch Logs is told of records that fail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct CloudWatchLoggingOptions {
    #[serde(default)]
    pub enabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_group_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_stream_name: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Switch {
    pub enabled: bool,
}

/// `arn:aws:iam::000000000000:role/NAME`.
pub(crate) fn check_role(member: &str, arn: &str) -> Result<()> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam", "", account, role] if is_account(account) && role.starts_with("role/") => Ok(()),
        _ => Err(error::invalid(format!("{member} `{arn}` must be the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME"))),
    }
}

pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}
