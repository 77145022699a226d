//! The members of a request that set what a function's owner decides.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use serde::Deserialize;

use crate::lambda::error;
use crate::lambda::settings::Settings;

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
