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

/// What `UpdateFunctionConfiguration` may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub runtime: String,
    pub handler: String,
    pub description: String,
    pub timeout_seconds: u32,
    pub memory_mb: u32,
    pub ephemeral_storage_mb: u32,
    pub environment: BTreeMap<String, String>,
    pub architecture: String,
    /// A queue for events that were given up.
    pub dead_letter_queue: Option<String>,
}

impl Document for Function {
    const KIND: &'static str = "function";
}

impl Default for Settings {
    /// AWS's defaults.
    fn default() -> Self {
        Self {
            runtime: String::new(),
            handler: String::new(),
            description: String::new(),
            timeout_seconds: 3,
            memory_mb: 128,
            ephemeral_storage_mb: 512,
            environment: BTreeMap::new(),
            architecture: native_architecture().to_owned(),
            dead_letter_queue: None,
        }
    }
}

/// The members of a request that set what [`Settings`] holds; absent ones leave it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SettingsChange {
    runtime: Option<String>,
    handler: Option<String>,
    description: Option<String>,
    timeout: Option<i64>,
    memory_size: Option<i64>,
    ephemeral_storage: Option<EphemeralStorage>,
    environment: Option<Environment>,
    architectures: Option<Vec<String>>,
    dead_letter_config: Option<DeadLetterConfig>,
    tracing_config: Option<TracingConfig>,
    package_type: Option<String>,
}

/// The names of those members.
pub(crate) const SETTINGS: [&str; 11] = [
    "Runtime",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "EphemeralStorage",
    "Environment",
    "Architectures",
    "DeadLetterConfig",
    "TracingConfig",
    "PackageType",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EphemeralStorage {
    size: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeadLetterConfig {
    target_arn: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TracingConfig {
    mode: Option<String>,
}

/// Variables that Lambda sets itself.
const RESERVED_VARIABLES: [&str; 14] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

const ENVIRONMENT_BYTES_MAX: usize = 4096;

impl SettingsChange {
    /// Applies what was asked for, or says what of it cannot be.
    pub(crate) fn apply(self, settings: &mut Settings) -> Result<(), AwsError> {
        if let Some(runtime) = self.runtime {
            check_runtime(&runtime)?;
            settings.runtime = runtime;
        }
        if let Some(handler) = self.handler {
            if handler.len() > 128 || handler.contains(char::is_whitespace) {
                let rule = "Member must satisfy regular expression pattern: [^\\s]+";
                return Err(error::constraint(&handler, "handler", rule));
            }
            settings.handler = handler;
        }
        settings.description = self.description.unwrap_or_else(|| std::mem::take(&mut settings.description));
        if let Some(seconds) = self.timeout {
            settings.timeout_seconds = within(seconds, 1..=900, "timeout")?;
        }
        if let Some(mb) = self.memory_size {
            settings.memory_mb = within(mb, 128..=10_240, "memorySize")?;
        }
        if let Some(storage) = self.ephemeral_storage {
            settings.ephemeral_storage_mb = within(storage.size, 512..=10_240, "ephemeralStorage.size")?;
        }
        if let Some(environment) = self.environment {
            check_environment(&environment.variables)?;
            settings.environment = environment.variables;
        }
        if let Some(architectures) = self.architectures {
            settings.architecture = only_architecture(architectures)?;
        }
        if let Some(config) = self.dead_letter_config {
            settings.dead_letter_queue = config.target_arn.filter(|arn| !arn.is_empty());
            check_dead_letter_queue(settings.dead_letter_queue.as_deref())?;
        }
        if let Some(mode) = self.tracing_config.and_then(|config| config.mode).filter(|mode| mode != "PassThrough") {
            return Err(error::not_served(&format!("TracingConfig with the mode {mode}"), "PassThrough"));
        }
        if let Some(kind) = self.package_type.filter(|kind| kind != "Zip") {
            return Err(error::not_served(&format!("PackageType {kind}"), "Zip"));
        }
        Ok(())
    }
}

impl Settings {
    /// Checks what must be set before a function can run.
    pub(crate) fn check_complete(&self) -> Result<(), AwsError> {
        if self.runtime.is_empty() || self.handler.is_empty() {
            let missing = if self.runtime.is_empty() { "Runtime" } else { "Handler" };
            let message = format!("{missing} is mandatory for functions created with deployment packages.");
            return Err(error::invalid(message));
        }
        Ok(())
    }

    pub(crate) fn is_python(&self) -> bool {
        self.runtime.starts_with("python")
    }
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

fn check_runtime(runtime: &str) -> Result<(), AwsError> {
    let minor = runtime.strip_prefix("python3.").and_then(|minor| minor.parse::<u32>().ok());
    let is_provided = ["provided", "provided.al2", "provided.al2023"].contains(&runtime);
    if is_provided || minor.is_some_and(|minor| (8..=15).contains(&minor)) {
        return Ok(());
    }
    let what = format!("The runtime {runtime}");
    Err(error::not_served(&what, "python3.13, or provided.al2023 with a bootstrap of your own"))
}

fn check_environment(variables: &BTreeMap<String, String>) -> Result<(), AwsError> {
    let is_name = |name: &str| {
        name.len() >= 2
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let reserved: Vec<&str> =
        variables.keys().map(String::as_str).filter(|name| RESERVED_VARIABLES.contains(name)).collect();
    if !reserved.is_empty() {
        return Err(error::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided contains reserved keys that are currently not supported for modification. Reserved keys used in \
             this request: {}",
            reserved.join(", ")
        )));
    }
    if let Some(name) = variables.keys().find(|name| !is_name(name)) {
        let rule = "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: \
                    [a-zA-Z]([a-zA-Z0-9_])+]";
        return Err(error::constraint(name, "environment.variables", rule));
    }
    if variables.values().any(|value| value.contains('\0')) {
        return Err(error::invalid("Environment variables cannot hold a null character"));
    }
    let bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENVIRONMENT_BYTES_MAX {
        return Err(error::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided exceeded the 4KB limit. They have {bytes} bytes."
        )));
    }
    Ok(())
}

/// Machine code is run by this machine, so what it was made for counts only where it says so.
fn only_architecture(architectures: Vec<String>) -> Result<String, AwsError> {
    match architectures.as_slice() {
        [one] if ["x86_64", "arm64"].contains(&one.as_str()) => Ok(one.clone()),
        _ => Err(error::constraint(
            &format!("{architectures:?}"),
            "architectures",
            "Member must have length 1 and satisfy enum value set: [x86_64, arm64]",
        )),
    }
}

fn check_dead_letter_queue(arn: Option<&str>) -> Result<(), AwsError> {
    match arn {
        Some(arn) if !arn.starts_with("arn:aws:sqs:") => {
            Err(error::not_served(&format!("The dead-letter target {arn}"), "the ARN of an SQS queue"))
        }
        _ => Ok(()),
    }
}

fn within(value: i64, range: std::ops::RangeInclusive<i64>, member: &str) -> Result<u32, AwsError> {
    if range.contains(&value) {
        return Ok(value as u32);
    }
    let (rule, bound) = match value < *range.start() {
        true => ("greater", range.start()),
        false => ("less", range.end()),
    };
    let rule = format!("Member must have value {rule} than or equal to {bound}");
    Err(error::constraint(&value.to_string(), member, &rule))
}

fn native_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}
