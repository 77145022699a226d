//! Dead letters as JSON lines under a prefix of an object store, and a queue that is told of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::object_store::path::Path;
use ::object_store::{ObjectStore, ObjectStoreExt};
use ambient::Ambient;
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use jiff::Timestamp;
use tracing::{info, warn};
use uuid::Uuid;

use crate::dead_letter::letter_file::{read_items, read_line, read_lines, write_items, write_lines};
use crate::dead_letter::queue::LetterQueue;
use crate::dead_letter::{DeadLetterQueue, HeldLetter, LetterItem, StagedFile, StagedLetter};
use crate::error::{Error, ErrorKind, Result};

const LINES: &str = ".jsonl";
const ITEMS: &str = ".items";

/// One object per commit and code, `PREFIX/PIPELINE/CODE/yyyy/MM/dd/HH/COMMIT-ID.jsonl`, with `undated` for the hour of
/// a record that does not tell it; beside it `_COMMIT-ID.items`.
pub struct ObjectStoreDeadLetters {
    store: Arc<dyn ObjectStore>,
    /// Of this pipeline.
    folder: Path,
    pipeline: String,
    queue: Option<LetterQueue>,
    ambient: Ambient,
}

impl ObjectStoreDeadLetters {
    /// Whether letters at `prefix` would lie among the files of a table at `location`, or the table among them. A sweep
    /// of the table deletes what no snapshot names.
    pub fn is_within(prefix: &str, location: &str) -> bool {
        let folder = |text: &str| format!("{}/", text.trim_end_matches('/'));
        folder(prefix).starts_with(&folder(location))
    }

    /// Keeps the letters of `pipeline` under `prefix` of `store`.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path, pipeline: impl Into<String>, ambient: Ambient) -> Self {
        let pipeline = pipeline.into();
        Self { store, folder: prefix.join(pipeline.as_str()), pipeline, queue: None, ambient }
    }

    /// Tells `queue` of every letter that is held.
    pub fn announcing_to(self, queue: LetterQueue) -> Self {
        Self { queue: Some(queue), ..self }
    }

    async fn put(&self, path: &Path, body: Bytes) -> Result<()> {
        let stored = self.store.put(path, body.into()).await;
        stored.map(drop).map_err(|error| store_error(error, "keep rejected records in", path))
    }

    /// `None` where the object is gone.
    async fn get(&self, path: &str) -> Result<Option<Bytes>> {
        let path = self.object(path);
        let got = match self.store.get(&path).await {
            Ok(object) => object.bytes().await.map(Some),
            Err(::object_store::Error::NotFound { .. }) => {
                warn!(%path, "held letters are gone");
                Ok(None)
            }
            Err(error) => Err(error),
        };
        got.map_err(|error| store_error(error, "read held letters of", &path))
    }

    fn object(&self, path: &str) -> Path {
        path.split('/').fold(self.folder.clone(), |folder, part| folder.join(part))
    }
}

#[async_trait]
impl DeadLetterQueue for ObjectStoreDeadLetters {
    async fn stage(&mut self, commit_id: Uuid, letters: &[StagedLetter]) -> Result<Vec<StagedFile>> {
        let mut by_code: BTreeMap<&str, Vec<&StagedLetter>> = BTreeMap::new();
        for staged in letters {
            by_code.entry(staged.letter.code).or_default().push(staged);
        }
        let time = Timestamp::try_from(self.ambient.now())
            .map_err(|error| Error::new(ErrorKind::Unexpected, "read the clock").with_source(error))?;
        let mut files = Vec::with_capacity(by_code.len());
        for (code, letters) in by_code {
            let path = format!("{code}/{}/{commit_id}{LINES}", hour(&letters[0].letter.record.json));
            self.put(&self.object(&items_beside(&path)), write_items(&letters)).await?;
            self.put(&self.object(&path), write_lines(&self.pipeline, commit_id, time, &letters)).await?;
            info!(code, letters = letters.len(), path, "kept rejected records");
            let is_to_be_announced = self.queue.is_some();
            files.push(StagedFile { path, letters: letters.len() as u32, is_to_be_announced });
        }
        Ok(files)
    }

    async fn announce(&mut self, path: &str) -> Result<()> {
        let Some(queue) = &self.queue else { return Ok(()) };
        let letters = self.read_letters(path).await?;
        queue.tell(&self.pipeline, self.object(path).as_ref(), &letters).await
    }

    async fn items(&mut self, path: &str) -> Result<Vec<LetterItem>> {
        let Some(bytes) = self.get(&items_beside(path)).await? else { return Ok(Vec::new()) };
        read_items(&bytes).ok_or_else(|| unreadable(&items_beside(path)))
    }

    async fn read(&mut self, path: &str) -> Result<Vec<HeldLetter>> {
        self.read_letters(path).await
    }

    async fn letter(&mut self, path: &str, line: u32) -> Result<Option<HeldLetter>> {
        let object = self.object(path);
        let failed = |error| store_error(error, "read held letters of", &object);
        let mut chunks = match self.store.get(&object).await {
            Ok(found) => found.into_stream(),
            Err(::object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let (mut lines_left, mut text) = (line, Vec::new());
        while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
            let mut rest = &chunk[..];
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                if lines_left == 0 {
                    text.extend_from_slice(&rest[..end]);
                    return read_line(&text).map(Some).ok_or_else(|| unreadable(path));
                }
                (lines_left, rest) = (lines_left - 1, &rest[end + 1..]);
            }
            if lines_left == 0 {
                text.extend_from_slice(rest);
            }
        }
        Ok(None)
    }

    async fn remove(&mut self, path: &str) -> Result<()> {
        for path in [path, &items_beside(path)] {
            let path = self.object(path);
            match self.store.delete(&path).await {
                Ok(()) | Err(::object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(store_error(error, "delete letters in", &path)),
            }
        }
        Ok(())
    }
}

impl ObjectStoreDeadLetters {
    async fn read_letters(&self, path: &str) -> Result<Vec<HeldLetter>> {
        let Some(bytes) = self.get(path).await? else { return Ok(Vec::new()) };
        read_lines(&bytes).ok_or_else(|| unreadable(path))
    }
}

/// Readers of folders of JSON, Athena among them, pass over names that begin with an underscore.
fn items_beside(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{folder}/_{}{ITEMS}", name.trim_end_matches(LINES))
}

/// The hour of the change itself, as far as the record tells it.
fn hour(json: &[u8]) -> String {
    let created = || {
        let record: serde_json::Value = serde_json::from_slice(json).ok()?;
        let seconds = record.pointer("/dynamodb/ApproximateCreationDateTime")?.as_f64()?;
        Timestamp::from_second(seconds as i64).ok()
    };
    created().map_or("undated".to_owned(), |time| time.strftime("%Y/%m/%d/%H").to_string())
}

fn unreadable(path: &str) -> Error {
    Error::new(ErrorKind::Unexpected, format!("read held letters of {path}: they are not as they were written"))
}

fn store_error(error: ::object_store::Error, doing: &str, path: &Path) -> Error {
    use ::object_store::Error as Store;
    let kind = match &error {
        Store::NotFound { .. } | Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => {
            ErrorKind::Misconfigured
        }
        _ => ErrorKind::Transient,
    };
    Error::new(kind, format!("{doing} {path}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use ::object_store::memory::InMemory;

    use super::*;
    use crate::change::{Position, RawRecord, SequenceNumber, ShardId};
    use crate::dead_letter::{DeadLetter, Step};

    fn letter(digits: &str, json: &'static str, key: Option<u128>) -> StagedLetter {
        let sequence_number = SequenceNumber::parse(digits).unwrap();
        let position = Position { shard: ShardId::new("shardId-1"), sequence_number, part: 0 };
        let item = LetterItem::of(key, 3, &position);
        let letter = DeadLetter {
            record: RawRecord { position, json: Bytes::from_static(json.as_bytes()) },
            step: Step::Decode,
            code: "DYN401",
            reason: "not JSON".into(),
        };
        StagedLetter { letter, item }
    }

    #[tokio::test]
    async fn letters_are_read_back_from_one_object_with_a_line_each() {
        let store = Arc::new(InMemory::new());
        let ambient = Ambient::fixed(1_767_225_600_000);
        let mut letters = ObjectStoreDeadLetters::new(store.clone(), Path::from("errors"), "orders", ambient);
        let staged = [
            letter("7", r#"{"dynamodb":{"ApproximateCreationDateTime":1767229200,"Keys":{"id":{"S":"a"}}}}"#, Some(9)),
            letter("8", "{\n  \"a\": \"\\n\"\n}", None),
            letter("9", "{broken", None),
        ];
        let files = letters.stage(Uuid::nil(), &staged).await.unwrap();
        let path = "DYN401/2026/01/01/01/00000000-0000-0000-0000-000000000000.jsonl";
        let file = StagedFile { path: path.to_owned(), letters: 3, is_to_be_announced: false };
        assert_eq!(files, [file]);

        let object = store.get(&Path::from(format!("errors/orders/{path}"))).await.unwrap().bytes().await.unwrap();
        let lines: Vec<serde_json::Value> =
            std::str::from_utf8(&object).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[1]["record"]["a"], "\n");
        assert_eq!(lines[2]["record_base64"], "e2Jyb2tlbg==");
        assert_eq!(
            (lines[2]["sequence_number"].as_str(), lines[2]["time"].as_str(), lines[2]["step"].as_str()),
            (Some("9"), Some("2026-01-01T00:00:00Z"), Some("decode"))
        );

        let held = letters.read(path).await.unwrap();
        assert_eq!(
            held.iter().map(|letter| &letter.record.position).collect::<Vec<_>>(),
            [staged[0].letter.position(), staged[1].letter.position(), staged[2].letter.position(),]
        );
        assert_eq!(held[2].record.json, staged[2].letter.record.json);
        for (line, letter) in (0..).zip(&held) {
            let alone = letters.letter(path, line).await.unwrap().unwrap();
            assert_eq!((&alone.record, &alone.reason), (&letter.record, &letter.reason));
        }
        assert!(letters.letter(path, 3).await.unwrap().is_none());
        assert_eq!(held[0].key().unwrap()["id"]["S"], "a");
        assert_eq!(letters.items(path).await.unwrap(), staged.each_ref().map(|letter| letter.item));
        letters.remove(path).await.unwrap();
        letters.remove(path).await.unwrap();
        assert!(letters.read(path).await.unwrap().is_empty());
    }
}
