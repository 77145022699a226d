//! Tells an SQS queue of held letters. The message informs, with a pointer to the letter; the checkpoint decides.

use serde_json::{Value, json};

use crate::dead_letter::HeldLetter;
use crate::dead_letter::sqs::SqsClient;
use crate::error::{Error, ErrorKind, Result};

/// As many messages as SQS takes in one call.
const BATCH: usize = 10;

/// A reason is cut here, so that ten messages fit a call whatever they say.
const REASON_CHARS_MAX: usize = 1_000;
const KEY_BYTES_MAX: usize = 8_192;

/// A queue, known to be there.
#[derive(Clone)]
pub struct LetterQueue {
    client: SqsClient,
    url: String,
    /// Where the objects are: `s3://bucket`.
    store: String,
}

impl LetterQueue {
    /// Finds the queue, given by its name or its URL. `Misconfigured` where it is not there. Its messages point to
    /// objects of `bucket`.
    pub async fn open(client: SqsClient, queue: &str, bucket: &str) -> Result<Self> {
        let name = queue.trim_end_matches('/').rsplit('/').next().unwrap_or(queue);
        let found = client.queue_url(name).await.map_err(|error| match error.kind() {
            ErrorKind::Misconfigured => Error::new(
                ErrorKind::Misconfigured,
                format!("find the dead-letter queue `{name}`. Try: aws sqs create-queue --queue-name {name}"),
            )
            .with_source(error),
            _ => error,
        })?;
        let url = if queue.contains("://") { queue.to_owned() } else { found };
        Ok(Self { client, url, store: format!("s3://{bucket}") })
    }

    /// One message a letter of the object at `path`.
    pub(crate) async fn tell(&self, pipeline: &str, path: &str, letters: &[HeldLetter]) -> Result<()> {
        let object = format!("{}/{path}", self.store);
        for (first, chunk) in (0..).step_by(BATCH).zip(letters.chunks(BATCH)) {
            let entries = chunk.iter().zip(first..).map(|(letter, line)| self.entry(pipeline, &object, letter, line));
            self.client.send(&self.url, entries.collect()).await?;
        }
        Ok(())
    }

    fn entry(&self, pipeline: &str, object: &str, letter: &HeldLetter, line: usize) -> Value {
        let position = &letter.record.position;
        let key = letter.key().filter(|key| key.to_string().len() <= KEY_BYTES_MAX);
        let body = json!({
            "pipeline": pipeline,
            "code": letter.code,
            "step": letter.step,
            "reason": letter.reason.chars().take(REASON_CHARS_MAX).collect::<String>(),
            "shard": position.shard.as_str(),
            "sequenceNumber": position.sequence_number.as_str(),
            "key": key,
            "commitId": letter.commit_id,
            "time": letter.rejected_at.to_string(),
            "object": object,
            "line": line,
        });
        let mut entry = json!({ "Id": line.to_string(), "MessageBody": body.to_string() });
        if self.url.ends_with(".fifo") {
            entry["MessageGroupId"] = pipeline.into();
            entry["MessageDeduplicationId"] = format!("{}-{}-{line}", letter.commit_id, letter.code).into();
        }
        entry
    }
}
