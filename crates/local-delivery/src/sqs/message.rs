//! What a message may hold, as its sender gives it.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use serde::Deserialize;
use sha2::Sha256;

use crate::sqs::error::{self, Result};
use crate::sqs::message_attribute::{self, MessageAttribute, MessageAttributes};
use crate::sqs::queue::Queue;

/// The longest message, and the longest batch of them, in bytes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1_048_576;

const DELAY_SECONDS_MAX: i64 = 900;
const ID_LENGTH_MAX: usize = 128;
/// The one system attribute that senders set.
const TRACE_HEADER: &str = "AWSTraceHeader";

/// A message on its way in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NewMessage {
    #[serde(default)]
    pub message_body: String,
    pub delay_seconds: Option<i64>,
    #[serde(default)]
    pub message_attributes: MessageAttributes,
    #[serde(default)]
    pub message_system_attributes: BTreeMap<String, MessageAttribute>,
    pub message_deduplication_id: Option<String>,
    pub message_group_id: Option<String>,
}

impl NewMessage {
    /// Body and attributes together, as the limits count them. Refuses what no queue takes.
    pub fn size(&self) -> Result<usize> {
        if self.message_body.is_empty() {
            return Err(error::missing_parameter("MessageBody"));
        }
        if !has_only_valid_characters(&self.message_body) {
            return Err(error::invalid_message_contents());
        }
        for (name, attribute) in &self.message_system_attributes {
            if name != TRACE_HEADER || attribute.data_type != "String" || attribute.string_value.is_none() {
                let message = format!("Message system attribute '{name}' is invalid. Try: {TRACE_HEADER}, a String");
                return Err(error::invalid_parameter(message));
            }
        }
        Ok(self.message_body.len() + message_attribute::check(&self.message_attributes)?)
    }

    /// Refuses what `queue` does not take.
    pub fn check(&self, queue: &Queue) -> Result<()> {
        let bytes_max = queue.settings.message_bytes_max();
        if self.size()? > bytes_max {
            return Err(error::invalid_parameter(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {bytes_max} bytes."
            )));
        }
        let ids =
            [("MessageGroupId", &self.message_group_id), ("MessageDeduplicationId", &self.message_deduplication_id)];
        for (name, id) in ids {
            check_id(name, id.as_deref())?;
        }
        if queue.address.is_fifo() { self.check_fifo(queue) } else { self.check_standard() }
    }

    fn check_fifo(&self, queue: &Queue) -> Result<()> {
        // Messages of a FIFO queue are delayed all alike, or they would lose their order.
        if let Some(seconds) = self.delay_seconds.filter(|seconds| *seconds != 0) {
            let reason = "The request include parameter that is not valid for this queue type.";
            return Err(error::invalid_value("DelaySeconds", seconds, reason));
        }
        if self.message_group_id.is_none() {
            return Err(error::missing_parameter("MessageGroupId"));
        }
        if self.message_deduplication_id.is_none() && !queue.settings.deduplicates_by_content() {
            return Err(error::invalid_parameter(
                "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
                 explicitly",
            ));
        }
        Ok(())
    }

    fn check_standard(&self) -> Result<()> {
        if let Some(id) = &self.message_deduplication_id {
            let reason = "The request includes a parameter that is not valid for this queue type.";
            return Err(error::invalid_value("MessageDeduplicationId", id, reason));
        }
        match self.delay_seconds.filter(|seconds| !(0..=DELAY_SECONDS_MAX).contains(seconds)) {
            Some(seconds) => {
                let reason = "DelaySeconds must be >= 0 and <= 900.";
                Err(error::invalid_value("DelaySeconds", seconds, reason))
            }
            None => Ok(()),
        }
    }

    /// By what a FIFO queue knows it again.
    pub fn deduplication_id(&self) -> String {
        let digest = || hex::encode(Sha256::digest(&self.message_body));
        self.message_deduplication_id.clone().unwrap_or_else(digest)
    }

    pub fn trace_header(&self) -> Option<&str> {
        self.message_system_attributes.get(TRACE_HEADER)?.string_value.as_deref()
    }
}

fn check_id(name: &str, id: Option<&str>) -> Result<()> {
    let is_valid = |id: &str| (1..=ID_LENGTH_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    match id.filter(|id| !is_valid(id)) {
        Some(id) => {
            let reason =
                format!("{name} can only include alphanumeric and punctuation characters. 1 to 128 in length.");
            Err(error::invalid_value(name, id, &reason))
        }
        None => Ok(()),
    }
}

/// Tells whether XML could hold it, which is how messages used to travel.
pub(crate) fn has_only_valid_characters(text: &str) -> bool {
    text.chars().all(|character| {
        matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
    })
}

pub(crate) fn md5(body: &str) -> String {
    hex::encode(Md5::digest(body))
}
