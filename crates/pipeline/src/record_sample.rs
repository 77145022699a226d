//! A sample of items from files of stream records, where there is no table to look at.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value as JsonValue};

use crate::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::{KeyAttribute, KeyType};
use crate::source::{ReplaySource, Source};

/// What the first records of some files tell of their table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordSample {
    /// By name: a record does not tell the partition key from the sort key.
    pub keys: Vec<KeyAttribute>,
    /// New images, as DynamoDB JSON.
    pub items: Vec<JsonValue>,
}

#[derive(Deserialize)]
struct Record {
    dynamodb: Change,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    keys: Map<String, JsonValue>,
    new_image: Option<JsonValue>,
}

/// Looks at the first records of `files`, up to `items_max` items. Lines that are no change records are passed over:
/// the pipeline rejects them when it comes to them. `Misconfigured` where no line is one.
pub async fn sample_records(files: &[PathBuf], items_max: usize) -> Result<RecordSample> {
    let mut source = ReplaySource::open(files.to_vec())?;
    source.resume(&Checkpoint::default()).await?;
    let mut sample = RecordSample::default();
    while sample.items.len() < items_max
        && let Some(polled) = source.poll().await?
    {
        let records = polled.records.iter().filter_map(|record| serde_json::from_slice::<Record>(&record.json).ok());
        for record in records.take(items_max - sample.items.len()) {
            if sample.keys.is_empty() {
                sample.keys = keys(&record.dynamodb.keys);
            }
            sample.items.extend(record.dynamodb.new_image);
        }
        // A table is told by its first records; a file without images is not read to its end for them.
        if !sample.keys.is_empty() {
            break;
        }
    }
    if sample.keys.is_empty() {
        let message = "find a change record in the files. Try: files with one stream record as JSON a line";
        return Err(Error::new(ErrorKind::Misconfigured, message));
    }
    Ok(sample)
}

fn keys(keys: &Map<String, JsonValue>) -> Vec<KeyAttribute> {
    let key_type = |value: &JsonValue| match value.as_object()?.keys().next()?.as_str() {
        "S" => Some(KeyType::S),
        "N" => Some(KeyType::N),
        "B" => Some(KeyType::B),
        _ => None,
    };
    let key =
        |(name, value): (&String, &JsonValue)| Some(KeyAttribute { name: name.clone(), key_type: key_type(value)? });
    keys.iter().filter_map(key).collect()
}
