//! Enhanced fan-out: the shards of a Kinesis stream, pushed to a consumer that has a throughput of its own.
//!
//! To its reader it is a [`StreamApi`] like polling is: the same lineage, checkpoints and losses. An iterator is a
//! position in words, and a page is the next event of the subscription that stands there. A subscription (`subscription.rs`)
//! ends after five minutes; the next page begins another one where it ended. The consumer is found or registered in
//! `consumer.rs`.
//! <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html>

mod consumer;
mod subscription;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{ShardIteratorType, StartingPosition};
use aws_smithy_types::DateTime;

use crate::change::{SequenceNumber, ShardId};
use crate::error::Result;
use crate::source::aws_stream_api::stream_error;
use crate::source::kinesis::KinesisStream;
use crate::source::kinesis_api::KinesisStreamApi;
use crate::source::shard_tree::Start;
use crate::source::stream_api::{RecordPage, ShardPage, StreamApi, StreamError, StreamErrorKind};
use subscription::{Heard, Subscription};

/// How long a page is waited for. Then another shard has its turn, where there are more than are asked at a time.
const PAGE_WAIT: Duration = Duration::from_millis(500);
/// After which time a position may lie before what the stream still holds, so that going on there has to be checked:
/// that of an iterator.
const POSITION_LIFE: Duration = Duration::from_secs(300);
/// Consumers hear of quiet shards every few seconds. One that hears nothing for so long has lost its connection.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Calls the endpoint that the configuration names, as a registered consumer.
pub struct FanOutApi {
    polling: KinesisStreamApi,
    client: Client,
    consumer_arn: String,
    subscriptions: Mutex<HashMap<ShardId, Subscription>>,
}

impl FanOutApi {
    /// Finds the consumer `name` of `stream`, or registers it, and waits until it is active.
    pub async fn connect(config: &SdkConfig, stream: &KinesisStream, name: &str) -> Result<Self> {
        // A subscription to a quiet shard says little, which is no sign of a stalled connection.
        let patient = aws_sdk_kinesis::config::Builder::from(config)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        let client = Client::from_conf(patient);
        let consumer_arn = consumer::find_or_register(&client, &stream.arn, name).await?;
        Ok(Self { polling: KinesisStreamApi::new(config), client, consumer_arn, subscriptions: Mutex::default() })
    }

    /// The subscription that stands at `iterator`, or a new one.
    async fn subscription(&self, shard: &ShardId, iterator: &str) -> Result<Subscription, StreamError> {
        let held = self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).remove(shard);
        if let Some(subscription) = held.filter(|held| held.iterator == iterator) {
            return Ok(subscription);
        }
        let position = Position::parse(iterator)
            .ok_or_else(|| StreamError::new(StreamErrorKind::Refused, format!("{iterator} is no position")))?;
        let request = self.client.subscribe_to_shard().consumer_arn(&self.consumer_arn).shard_id(shard.as_str());
        let output = request.starting_position(position.starting()).send().await.map_err(stream_error)?;
        let first = match position {
            Position::At(first) => Some(first),
            _ => None,
        };
        Ok(Subscription::begin(output, iterator.to_owned(), first))
    }

    fn hold(&self, shard: &ShardId, subscription: Subscription) {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).insert(shard.clone(), subscription);
    }
}

#[async_trait]
impl StreamApi for FanOutApi {
    async fn describe_stream(&self, stream: &str, after: Option<&ShardId>) -> Result<ShardPage, StreamError> {
        self.polling.describe_stream(stream, after).await
    }

    /// Asks nobody: a subscription begins with its first page.
    async fn get_shard_iterator(&self, _: &str, shard: &ShardId, start: &Start) -> Result<String, StreamError> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).remove(shard);
        Ok(Position::of(start).to_string())
    }

    async fn get_records(&self, shard: &ShardId, iterator: &str) -> Result<RecordPage, StreamError> {
        let mut subscription = self.subscription(shard, iterator).await?;
        let nothing = RecordPage { records: Vec::new(), next: Some(iterator.to_owned()), reaches_tip: false };
        match subscription.next(PAGE_WAIT).await {
            Heard::Event { event, was_awaited } => {
                let Some(page) = subscription.take(shard, event, was_awaited)? else {
                    self.hold(shard, subscription);
                    return Ok(nothing);
                };
                if let Some(next) = &page.next {
                    next.clone_into(&mut subscription.iterator);
                    self.hold(shard, subscription);
                }
                Ok(page)
            }
            Heard::Nothing if subscription.silence() < SILENCE_MAX => {
                self.hold(shard, subscription);
                Ok(nothing)
            }
            // The next call begins another one in its place.
            Heard::Nothing => Ok(nothing),
            Heard::End if subscription.silence() < POSITION_LIFE => Ok(nothing),
            Heard::End => Err(StreamError::new(StreamErrorKind::ExpiredIterator, "the subscription ended long ago")),
            Heard::Failure(error) => Err(error),
        }
    }

    fn is_pushed(&self) -> bool {
        true
    }
}

/// Where a subscription begins; written as an iterator.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Position {
    TrimHorizon,
    Latest,
    AtTimestamp(i64),
    /// At a record that was read before: it has to come first, or what follows it is lost.
    At(SequenceNumber),
    /// After the number that the last event gave. It need not be one of a record.
    After(SequenceNumber),
}

impl Position {
    fn of(start: &Start) -> Self {
        match start {
            Start::TrimHorizon => Self::TrimHorizon,
            Start::Latest => Self::Latest,
            Start::AtTimestamp(from_ms) => Self::AtTimestamp((*from_ms).max(0)),
            Start::After(sequence_number) => Self::At(sequence_number.clone()),
        }
    }

    fn parse(iterator: &str) -> Option<Self> {
        let (kind, value) = iterator.split_once(' ').unwrap_or((iterator, ""));
        match kind {
            "TRIM_HORIZON" => Some(Self::TrimHorizon),
            "LATEST" => Some(Self::Latest),
            "AT_TIMESTAMP" => value.parse().ok().map(Self::AtTimestamp),
            "AT_SEQUENCE_NUMBER" => SequenceNumber::parse(value).map(Self::At),
            "AFTER_SEQUENCE_NUMBER" => SequenceNumber::parse(value).map(Self::After),
            _ => None,
        }
    }

    fn starting(&self) -> StartingPosition {
        let of = |kind| StartingPosition::builder().r#type(kind);
        let position = match self {
            Self::TrimHorizon => of(ShardIteratorType::TrimHorizon),
            Self::Latest => of(ShardIteratorType::Latest),
            Self::AtTimestamp(from_ms) => of(ShardIteratorType::AtTimestamp).timestamp(DateTime::from_millis(*from_ms)),
            Self::At(number) => of(ShardIteratorType::AtSequenceNumber).sequence_number(number.as_str()),
            Self::After(number) => of(ShardIteratorType::AfterSequenceNumber).sequence_number(number.as_str()),
        };
        position.build().expect("the type is given")
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TrimHorizon => f.write_str("TRIM_HORIZON"),
            Self::Latest => f.write_str("LATEST"),
            Self::AtTimestamp(from_ms) => write!(f, "AT_TIMESTAMP {from_ms}"),
            Self::At(number) => write!(f, "AT_SEQUENCE_NUMBER {number}"),
            Self::After(number) => write!(f, "AFTER_SEQUENCE_NUMBER {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let number = SequenceNumber::parse("49590338271490256608559692538361571095921575989136588898").unwrap();
        let positions = [
            Position::TrimHorizon,
            Position::Latest,
            Position::AtTimestamp(1_795_331_536_123),
            Position::At(number.clone()),
            Position::After(number),
        ];
        for position in positions {
            assert_eq!(Position::parse(&position.to_string()), Some(position));
        }
        for other in ["", "AAAAAAAAAAE", "AT_SEQUENCE_NUMBER", "AT_SEQUENCE_NUMBER x", "AT_TIMESTAMP"] {
            assert_eq!(Position::parse(other), None, "{other}");
        }
    }
}
