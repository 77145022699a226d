//! A DynamoDB stream, read shard by shard.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ambient::Ambient;
use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind, Result};
use crate::source::page::Asker;
use crate::source::reading::Reading;
use crate::source::shard_tree::ShardTree;
use crate::source::stream_api::StreamApi;
use crate::source::{Polled, Source, StartPosition};

/// Pages that are held or asked for at one time. A page is 1 MB of items, with both images about 3 MB of JSON.
const PAGES_HELD_MAX: usize = 8;

/// How long DynamoDB Streams keeps a record.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// The records of one DynamoDB stream.
pub struct DynamoDbStreamsSource {
    asker: Asker,
    start: StartPosition,
    reading: Option<Reading>,
}

impl DynamoDbStreamsSource {
    /// Reads the stream with the ARN `stream`.
    pub fn new(api: Arc<dyn StreamApi>, stream: &str, start: StartPosition, ambient: Ambient) -> Self {
        let pages = Arc::new(Semaphore::new(PAGES_HELD_MAX));
        let asker = Asker { api, stream: stream.into(), ambient, pages, throttled: Arc::default() };
        Self { asker, start, reading: None }
    }
}

#[async_trait]
impl Source for DynamoDbStreamsSource {
    async fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let stream = &self.asker.stream;
        if !checkpoint.incarnation.is_empty() && checkpoint.incarnation != **stream {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "the table holds the changes of stream {}, but the source's stream is {stream}: its changes in between \
                     are not known. Try: a new target table, or the old stream as `[source] stream`",
                    checkpoint.incarnation
                ),
            ));
        }
        let tree = ShardTree::resume(checkpoint, self.start);
        self.reading = Some(Reading::begin(self.asker.clone(), tree));
        Ok(())
    }

    fn count_throttles(&mut self, throttled: Arc<AtomicU64>) {
        self.asker.throttled = throttled;
    }

    fn retention(&self) -> Option<Duration> {
        Some(RETENTION)
    }

    fn incarnation(&self) -> &str {
        &self.asker.stream
    }

    async fn poll(&mut self) -> Result<Option<Polled>> {
        let reading = self.reading.as_mut().expect("resume comes before poll");
        if reading.is_over() {
            return Ok(None);
        }
        reading.next().await.map(Some)
    }
}
