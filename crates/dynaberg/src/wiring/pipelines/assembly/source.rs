//! Where a pipeline reads: the stream that its file asks for, and the order in which its records count.

use std::sync::Arc;

use aws_config::SdkConfig;
use pipeline::{
    AwsStreamApi, DynamoDbStreamsSource, FanOutApi, KeyAttribute, KinesisSource, KinesisStreamApi, Order, OrderOptions,
    Result, Source, StreamApi, StreamAt,
};

use super::Assembly;
use crate::config::SourceStream;

/// The source table, and the stream with its changes.
pub(super) struct Opened {
    pub table: String,
    pub keys: Vec<KeyAttribute>,
    pub source: Box<dyn Source>,
}

impl Assembly {
    pub(super) async fn open_source(&self) -> Result<Opened> {
        let (config, ambient) = (&self.aws.config, self.aws.ambient());
        match &self.file.stream {
            SourceStream::DynamoDb => {
                let table = pipeline::find_table(config, &self.file.source_table).await?;
                let api = Arc::new(AwsStreamApi::new(config));
                let source = DynamoDbStreamsSource::new(api, &table.stream, self.file.start, ambient);
                Ok(Opened { table: table.name, keys: table.keys, source: Box::new(source) })
            }
            SourceStream::Kinesis { named, fan_out } => {
                let (table, keys) = pipeline::find_keys(config, &self.file.source_table).await?;
                let stream = pipeline::find_kinesis_stream(config, &table, named.as_deref()).await?;
                let api: Arc<dyn StreamApi> = match fan_out {
                    Some(consumer) => Arc::new(FanOutApi::connect(config, &stream, consumer).await?),
                    None => Arc::new(KinesisStreamApi::new(config)),
                };
                let source = KinesisSource::new(api, &stream, self.file.start, ambient);
                Ok(Opened { table, keys, source: Box::new(source) })
            }
        }
    }

    pub(super) fn order(&self, table: String) -> Order {
        let config = self.aws.config.clone();
        Order::new(OrderOptions {
            table: Some(table),
            mode: self.file.mode,
            source_is_ordered: self.file.stream == SourceStream::DynamoDb,
            streams: Arc::new(move |incarnation| stream_at(&config, incarnation)),
            ambient: self.aws.ambient(),
        })
    }
}

/// How to read a stream by the name that a checkpoint has for it.
fn stream_at(config: &SdkConfig, incarnation: &str) -> Option<StreamAt> {
    if incarnation.contains(":kinesis:") {
        let arn = incarnation.split_once('@').map_or(incarnation, |(arn, _)| arn);
        return Some(StreamAt { api: Arc::new(KinesisStreamApi::new(config)), name: arn.to_owned() });
    }
    let is_dynamodb = incarnation.contains(":dynamodb:");
    is_dynamodb.then(|| StreamAt { api: Arc::new(AwsStreamApi::new(config)), name: incarnation.to_owned() })
}
