//! What a function's owner decides about it.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use serde::{Deserialize, Serialize};

use crate::lambda::error;

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

fn native_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}
