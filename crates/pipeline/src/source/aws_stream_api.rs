//! DynamoDB Streams of AWS, by its SDK.

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::config::http::HttpResponse;
use aws_sdk_dynamodbstreams::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodbstreams::types::{Shard, ShardIteratorType, StreamStatus};

use crate::change::ShardId;
use crate::source::get_records::get_records;
use crate::source::shard_tree::{ListedShard, Start};
use crate::source::stream_api::{RecordPage, ShardPage, StreamApi, StreamError, StreamErrorKind};

/// Calls the endpoint that `config` names, with its credentials and retries.
pub struct AwsStreamApi {
    client: Client,
}

impl AwsStreamApi {
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }
}

#[async_trait]
impl StreamApi for AwsStreamApi {
    async fn describe_stream(&self, stream: &str, after: Option<&ShardId>) -> Result<ShardPage, StreamError> {
        let request = self.client.describe_stream().stream_arn(stream);
        let request = request.set_exclusive_start_shard_id(after.map(|shard| shard.as_str().to_owned()));
        let output = request.send().await.map_err(stream_error)?;
        let description = output
            .stream_description
            .ok_or_else(|| StreamError::new(StreamErrorKind::Refused, "an answer without a description"))?;
        Ok(ShardPage {
            shards: description.shards.unwrap_or_default().into_iter().filter_map(listed).collect(),
            last: description.last_evaluated_shard_id.as_deref().map(ShardId::new),
            is_disabled: description.stream_status == Some(StreamStatus::Disabled),
        })
    }

    async fn get_shard_iterator(&self, stream: &str, shard: &ShardId, start: &Start) -> Result<String, StreamError> {
        let (kind, after) = match start {
            Start::TrimHorizon | Start::AtTimestamp(_) => (ShardIteratorType::TrimHorizon, None),
            Start::Latest => (ShardIteratorType::Latest, None),
            Start::After(sequence_number) => {
                (ShardIteratorType::AfterSequenceNumber, Some(sequence_number.to_string()))
            }
        };
        let request = self.client.get_shard_iterator().stream_arn(stream).shard_id(shard.as_str());
        let request = request.shard_iterator_type(kind).set_sequence_number(after);
        let output = request.send().await.map_err(stream_error)?;
        output.shard_iterator.ok_or_else(|| StreamError::new(StreamErrorKind::Refused, "an answer without an iterator"))
    }

    async fn get_records(&self, shard: &ShardId, iterator: &str) -> Result<RecordPage, StreamError> {
        get_records(&self.client, shard, iterator).await
    }
}

fn listed(shard: Shard) -> Option<ListedShard> {
    let end = shard.sequence_number_range.as_ref().and_then(|range| range.ending_sequence_number());
    Some(ListedShard {
        is_closed: end.is_some(),
        id: ShardId::new(shard.shard_id()?),
        parents: shard.parent_shard_id().map(ShardId::new).into_iter().collect(),
    })
}

/// Sorts an error of the SDK by the code that AWS answered with; without an answer it is the network's.
pub(crate) fn stream_error<E>(error: SdkError<E, HttpResponse>) -> StreamError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let message = DisplayErrorContext(&error).to_string();
    match (&error, error.code()) {
        (SdkError::ServiceError(answer), None) if answer.raw().status().is_server_error() => {
            StreamError::new(StreamErrorKind::Transient, message)
        }
        (SdkError::ServiceError(_), code) => StreamError::from_code(code.unwrap_or_default(), message),
        (SdkError::ConstructionFailure(_), _) => StreamError::new(StreamErrorKind::Refused, message),
        _ => StreamError::new(StreamErrorKind::Transient, message),
    }
}
