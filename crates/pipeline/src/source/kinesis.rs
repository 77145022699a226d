//! A Kinesis stream with the changes of a table, read shard by shard.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ambient::Ambient;
use async_trait::async_trait;
use aws_config::SdkConfig;
use tokio::sync::Semaphore;

use crate::checkpoint::Checkpoint;
use crate::discover::describe_error;
use crate::error::{Error, ErrorKind, Result};
use crate::source::page::Asker;
use crate::source::reading::Reading;
use crate::source::shard_tree::ShardTree;
use crate::source::stream_api::StreamApi;
use crate::source::{Polled, Source, StartPosition};

/// Pages that are held or asked for at one time. A page has up to 10 MB of data.
const PAGES_HELD_MAX: usize = 4;
/// The same where records are pushed: a quiet shard holds its place while it waits, and an event has about 1 MB.
const EVENTS_HELD_MAX: usize = 64;

/// A Kinesis stream, in the life that it has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KinesisStream {
    pub arn: String,
    pub created_ms: i64,
    pub retention_hours: i32,
}

impl KinesisStream {
    /// Tells it from another one made under the same name: `ARN@creation time`.
    pub fn incarnation(&self) -> String {
        format!("{}@{}", self.arn, self.created_ms)
    }
}

/// The records of one Kinesis stream. They may come twice and out of order: see [`crate::Order`].
pub struct KinesisSource {
    asker: Asker,
    incarnation: String,
    start: StartPosition,
    retention_ms: i64,
    complete_up_to_ms: Option<i64>,
    reading: Option<Reading>,
}

/// How far clocks may differ, and records be late.
const MARGIN_MS: i64 = 60_000;

impl KinesisSource {
    pub fn new(api: Arc<dyn StreamApi>, stream: &KinesisStream, start: StartPosition, ambient: Ambient) -> Self {
        let held_max = if api.is_pushed() { EVENTS_HELD_MAX } else { PAGES_HELD_MAX };
        let pages = Arc::new(Semaphore::new(held_max));
        let asker = Asker { api, stream: stream.arn.as_str().into(), ambient, pages, throttled: Arc::default() };
        let retention_ms = i64::from(stream.retention_hours) * 3_600_000;
        let incarnation = stream.incarnation();
        Self { asker, incarnation, start, retention_ms, complete_up_to_ms: None, reading: None }
    }
}

#[async_trait]
impl Source for KinesisSource {
    async fn resume(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        if !checkpoint.incarnation.is_empty() && checkpoint.incarnation != self.incarnation {
            return Err(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "the table holds the changes of stream {}, but the source's stream is {}: its changes in between \
                     are not known. Try: a new target table, or the old stream as `[source] kinesis_stream`",
                    checkpoint.incarnation, self.incarnation
                ),
            ));
        }
        let mut tree = ShardTree::resume(checkpoint, self.start);
        // The last record of a quiet shard expires, though nothing is lost: the table says so itself.
        let horizon_ms = self.asker.ambient.now_ms() - self.retention_ms;
        if let Some(from_ms) = self.complete_up_to_ms.map(|complete_ms| complete_ms - MARGIN_MS)
            && from_ms > horizon_ms + MARGIN_MS
        {
            tree.go_on_at(from_ms);
        }
        self.reading = Some(Reading::begin(self.asker.clone(), tree));
        Ok(())
    }

    fn set_complete_up_to(&mut self, complete_up_to_ms: i64) {
        self.complete_up_to_ms = Some(complete_up_to_ms);
    }

    fn count_throttles(&mut self, throttled: Arc<AtomicU64>) {
        self.asker.throttled = throttled;
    }

    fn retention(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.retention_ms.max(0).unsigned_abs()))
    }

    fn incarnation(&self) -> &str {
        &self.incarnation
    }

    async fn poll(&mut self) -> Result<Option<Polled>> {
        self.reading.as_mut().expect("resume comes before poll").next().await.map(Some)
    }
}

/// Finds the stream that takes the changes of `table`: the one that is `named`, by name or ARN, or the only one that the
/// table has. `Misconfigured` where there is none.
pub async fn find_kinesis_stream(config: &SdkConfig, table: &str, named: Option<&str>) -> Result<KinesisStream> {
    let client = aws_sdk_dynamodb::Client::new(config);
    let output = client.describe_kinesis_streaming_destination().table_name(table).send().await;
    let destinations =
        output.map_err(|error| describe_error(error, table))?.kinesis_data_stream_destinations.unwrap_or_default();
    let active: Vec<&str> = destinations
        .iter()
        .filter(|destination| destination.destination_status().is_some_and(|status| status.as_str() == "ACTIVE"))
        .filter_map(|destination| destination.stream_arn())
        .filter(|arn| named.is_none_or(|named| *arn == named || arn.ends_with(&format!(":stream/{named}"))))
        .collect();
    let arn = match active[..] {
        [arn] => arn,
        [] => {
            let which = named.map_or(String::new(), |named| format!(" {named}"));
            return Err(Error::new(
                ErrorKind::Misconfigured,
                format!(
                    "the changes of table {table} go to no Kinesis stream{which}. Try: \
                     `aws dynamodb enable-kinesis-streaming-destination --table-name {table} --stream-arn ARN`"
                ),
            ));
        }
        _ => {
            let message = format!(
                "the changes of table {table} go to several Kinesis streams. Try: `[source] kinesis_stream = \"{}\"`",
                active[0]
            );
            return Err(Error::new(ErrorKind::Misconfigured, message));
        }
    };
    describe_kinesis_stream(config, arn).await
}

/// The stream of that ARN. `Misconfigured` where there is none.
pub async fn describe_kinesis_stream(config: &SdkConfig, arn: &str) -> Result<KinesisStream> {
    let output = aws_sdk_kinesis::Client::new(config).describe_stream_summary().stream_arn(arn).send().await;
    let summary = output.map_err(|error| describe_error(error, arn))?.stream_description_summary;
    let of_summary = summary.and_then(|summary| {
        let created_ms = summary.stream_creation_timestamp().to_millis().ok()?;
        Some(KinesisStream { arn: arn.to_owned(), created_ms, retention_hours: summary.retention_period_hours() })
    });
    of_summary.ok_or_else(|| {
        Error::new(ErrorKind::Unexpected, format!("describe stream {arn}: an answer without its creation time"))
    })
}
