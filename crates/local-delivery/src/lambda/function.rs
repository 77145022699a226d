//! A function as it is kept and shown.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lambda::error;
use crate::lambda::function_name::{LATEST, Region};
use crate::lambda::package::Code;
use crate::lambda::settings::Settings;
use crate::lambda::store::Document;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Function {
    pub name: String,
    pub role: String,
    pub settings: Settings,
    pub code: Code,
    pub tags: BTreeMap<String, String>,
    /// How many events may be in the function at a time; `None` shares with the other functions.
    pub reserved_concurrency: Option<u32>,
    pub last_modified_ms: i64,
    /// Drawn anew at every change.
    pub revision_id: String,
}

impl Document for Function {
    const KIND: &'static str = "function";
}

impl Function {
    /// The function as a `FunctionConfiguration`.
    pub(crate) fn configuration(&self, region: &Region) -> Value {
        let settings = &self.settings;
        let (sha256, bytes) = match &self.code {
            Code::Zip { sha256, bytes } => (hex::decode(sha256).unwrap_or_default(), *bytes),
            Code::Folder { .. } => (Vec::new(), 0),
        };
        let mut configuration = json!({
            "FunctionName": self.name,
            "FunctionArn": region.function_arn(&self.name),
            "Runtime": settings.runtime,
            "Role": self.role,
            "Handler": settings.handler,
            "CodeSize": bytes,
            "Description": settings.description,
            "Timeout": settings.timeout_seconds,
            "MemorySize": settings.memory_mb,
            "LastModified": date_time(self.last_modified_ms),
            "CodeSha256": BASE64_STANDARD.encode(sha256),
            "Version": LATEST,
            "TracingConfig": { "Mode": "PassThrough" },
            "RevisionId": self.revision_id,
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "PackageType": "Zip",
            "Architectures": [settings.architecture],
            "EphemeralStorage": { "Size": settings.ephemeral_storage_mb },
            "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
            "LoggingConfig": { "LogFormat": "Text", "LogGroup": log_group(&self.name) },
        });
        if !settings.environment.is_empty() {
            configuration["Environment"] = json!({ "Variables": settings.environment });
        }
        if let Some(arn) = &settings.dead_letter_queue {
            configuration["DeadLetterConfig"] = json!({ "TargetArn": arn });
        }
        configuration
    }
}

pub(crate) fn log_group(function: &str) -> String {
    format!("/aws/lambda/{function}")
}

/// Milliseconds since the epoch as Lambda writes times: `2026-11-22T14:40:12.000+0000`.
fn date_time(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}

/// Checks the role that a function takes on: its ARN, nothing else, as no role is kept here.
pub(crate) fn check_role(role: &str) -> Result<(), AwsError> {
    let name = role.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":role/"));
    let is_role = name.is_some_and(|(account_id, name)| {
        account_id.len() == 12
            && account_id.bytes().all(|byte| byte.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&byte))
    });
    if is_role {
        return Ok(());
    }
    let rule = "Member must satisfy regular expression pattern: \
                arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+";
    Err(error::constraint(role, "role", rule))
}
