//! Dead letters as JSON lines under a prefix of an object store.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::object_store::path::Path;
use ::object_store::{ObjectStore, ObjectStoreExt};
use ambient::Ambient;
use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::info;

use crate::dead_letter::{DeadLetter, DeadLetterQueue};
use crate::error::{Error, ErrorKind, Result};

/// One object per commit and code: `PREFIX/PIPELINE/CODE/yyyy/MM/dd/HH/FIRST-POSITION.jsonl`, with `undated` for the hour
/// of a record that does not tell it.
pub struct ObjectStoreDeadLetters {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    pipeline: String,
    ambient: Ambient,
}

impl ObjectStoreDeadLetters {
    /// Whether letters at `prefix` would lie among the files of a table at `location`, or the table among them. A sweep of
    /// the table deletes what no snapshot names.
    pub fn is_within(prefix: &str, location: &str) -> bool {
        let folder = |text: &str| format!("{}/", text.trim_end_matches('/'));
        folder(prefix).starts_with(&folder(location))
    }

    /// Keeps the letters of `pipeline` under `prefix` of `store`.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, pipeline: impl Into<String>, ambient: Ambient) -> Self {
        Self { store, prefix, pipeline: pipeline.into(), ambient }
    }
}

#[async_trait]
impl DeadLetterQueue for ObjectStoreDeadLetters {
    async fn send(&mut self, letters: &[DeadLetter]) -> Result<()> {
        let mut by_code: BTreeMap<&str, Vec<&DeadLetter>> = BTreeMap::new();
        for letter in letters {
            by_code.entry(letter.code).or_default().push(letter);
        }
        let sent_at = self.ambient.now();
        let time = Timestamp::try_from(sent_at)
            .map_err(|error| Error::new(ErrorKind::Unexpected, "read the clock").with_source(error))?;
        for (code, letters) in by_code {
            let path = self.path(code, letters[0]);
            let body = lines(&self.pipeline, time, &letters);
            self.store.put(&path, body.into()).await.map_err(|error| store_error(error, &path))?;
            info!(code, letters = letters.len(), %path, "kept rejected records");
        }
        Ok(())
    }
}

impl ObjectStoreDeadLetters {
    /// The same letters have the same name, so that sending them again after a crash replaces them: the hour is the
    /// change's own, as far as the record tells it.
    fn path(&self, code: &str, first: &DeadLetter) -> Path {
        let written_at = creation_time(&first.record.json);
        let hour = written_at.map_or("undated".to_owned(), |time| time.strftime("%Y/%m/%d/%H").to_string());
        let name = first.position().to_string().replace('/', "_");
        let parts = [self.pipeline.as_str(), code].into_iter().chain(hour.split('/'));
        let folder = parts.fold(self.prefix.clone(), |path, part| path.join(part));
        folder.join(format!("{name}.jsonl"))
    }
}

fn creation_time(json: &[u8]) -> Option<Timestamp> {
    let record: serde_json::Value = serde_json::from_slice(json).ok()?;
    let seconds = record.pointer("/dynamodb/ApproximateCreationDateTime")?.as_f64()?;
    Timestamp::from_second(seconds as i64).ok()
}

/// A line of the object. Its keys are what people grep for: they only grow.
#[derive(Serialize)]
struct Line<'a> {
    pipeline: &'a str,
    shard: &'a str,
    sequence_number: &'a str,
    step: &'a str,
    code: &'a str,
    reason: &'a str,
    /// When it was rejected.
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a RawValue>,
    /// A record that is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    record_base64: Option<String>,
}

fn lines(pipeline: &str, time: Timestamp, letters: &[&DeadLetter]) -> Bytes {
    let mut text = Vec::new();
    for letter in letters {
        let one_line = without_line_breaks(&letter.record.json);
        let record: Option<&RawValue> = serde_json::from_slice(&one_line).ok();
        let line = Line {
            pipeline,
            shard: letter.position().shard.as_str(),
            sequence_number: letter.position().sequence_number.as_str(),
            step: letter.step.as_str(),
            code: letter.code,
            reason: &letter.reason,
            time: time.to_string(),
            record_base64: record.is_none().then(|| BASE64_STANDARD.encode(&letter.record.json)),
            record,
        };
        serde_json::to_writer(&mut text, &line).expect("strings and checked JSON serialise");
        text.push(b'\n');
    }
    text.into()
}

/// In JSON a line break stands between tokens only, where a space means the same.
fn without_line_breaks(json: &[u8]) -> Vec<u8> {
    json.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect()
}

fn store_error(error: ::object_store::Error, path: &Path) -> Error {
    use ::object_store::Error as Store;
    let kind = match &error {
        Store::NotFound { .. } | Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            ErrorKind::Misconfigured
        }
        _ => ErrorKind::Transient,
    };
    Error::new(kind, format!("keep rejected records in {path}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use ::object_store::memory::InMemory;
    use futures::TryStreamExt;

    use super::*;
    use crate::change::{Position, RawRecord, SequenceNumber, ShardId};
    use crate::dead_letter::Step;

    fn letter(digits: &str, json: &'static str) -> DeadLetter {
        let sequence_number = SequenceNumber::parse(digits).unwrap();
        let position = Position { shard: ShardId::new("shardId-1"), sequence_number, part: 0 };
        DeadLetter {
            record: RawRecord { position, json: Bytes::from_static(json.as_bytes()) },
            step: Step::Decode,
            code: "DYN401",
            reason: "not JSON".into(),
        }
    }

    async fn sent(letters: &[DeadLetter]) -> Vec<(String, String)> {
        let store = Arc::new(InMemory::new());
        let ambient = Ambient::fixed(1_767_225_600_000);
        let mut queue = ObjectStoreDeadLetters::new(store.clone(), Path::from("errors"), "orders", ambient);
        queue.send(letters).await.unwrap();
        queue.send(letters).await.unwrap();
        let mut objects = Vec::new();
        for object in store.list(None).try_collect::<Vec<_>>().await.unwrap() {
            let body = store.get(&object.location).await.unwrap().bytes().await.unwrap();
            objects.push((object.location.to_string(), String::from_utf8(body.to_vec()).unwrap()));
        }
        objects
    }

    #[tokio::test]
    async fn letters_sent_twice_are_one_object_with_a_line_each() {
        let objects = sent(&[
            letter("7", r#"{"dynamodb":{"ApproximateCreationDateTime":1767229200,"Keys":{}}}"#),
            letter("8", "{\n  \"a\": \"\\n\"\n}"),
            letter("9", "{broken"),
        ])
        .await;
        let [(path, body)] = &objects[..] else { panic!("one object: {objects:?}") };
        assert_eq!(path, "errors/orders/DYN401/2026/01/01/01/shardId-1_7.jsonl");
        let lines: Vec<serde_json::Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0]["record"]["dynamodb"]["ApproximateCreationDateTime"], 1_767_229_200);
        assert_eq!(lines[1]["record"]["a"], "\n");
        assert_eq!(lines[2]["record_base64"], "e2Jyb2tlbg==");
        assert_eq!(
            (lines[2]["sequence_number"].as_str(), lines[2]["time"].as_str(), lines[2]["step"].as_str()),
            (Some("9"), Some("2026-01-01T00:00:00Z"), Some("decode"))
        );
    }
}
