//! Batch calls: up to ten entries, each of which succeeds or fails by itself.

use std::collections::HashSet;

use aws_wire::AwsError;
use serde_json::{Map, Value, json};

use crate::sqs::error::{self, Error, Result};

const ENTRIES_MAX: usize = 10;
const ID_LENGTH_MAX: usize = 80;

/// What became of the entries.
#[derive(Default)]
pub(super) struct BatchAnswer {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

/// Refuses a batch as a whole: it is empty, too long, or its ids are not clear.
pub(super) fn check_ids<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<()> {
    match ids.len() {
        0 => return Err(error::empty_batch()),
        entries if entries > ENTRIES_MAX => return Err(error::too_many_entries(entries, ENTRIES_MAX)),
        _ => {}
    }
    let mut seen = HashSet::new();
    for id in ids {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !(1..=ID_LENGTH_MAX).contains(&id.len()) || !id.bytes().all(is_letter) {
            return Err(error::invalid_batch_entry_id());
        }
        if !seen.insert(id) {
            return Err(error::batch_entry_ids_not_distinct(id));
        }
    }
    Ok(())
}

impl BatchAnswer {
    /// Notes what became of one entry. A refusal is the entry's own; a failure of ours ends the batch.
    pub fn add(&mut self, id: &str, outcome: Result<Value>) -> Result<()> {
        match outcome {
            Ok(answer) => {
                let mut members = Map::from_iter([("Id".to_owned(), Value::from(id))]);
                if let Value::Object(answer) = answer {
                    members.extend(answer);
                }
                self.successful.push(Value::Object(members));
            }
            Err(Error::Refused(AwsError { code, query_code, message, .. })) => self.failed.push(json!({
                "Id": id,
                "SenderFault": true,
                "Code": query_code.unwrap_or(&code),
                "Message": message,
            })),
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    pub fn into_value(self) -> Value {
        let lists = [("Successful", self.successful), ("Failed", self.failed)];
        let present = lists.into_iter().filter(|(_, list)| !list.is_empty());
        Value::Object(present.map(|(name, list)| (name.to_owned(), Value::Array(list))).collect())
    }
}
