//! DynamoDB Streams and Kinesis Data Streams, as mappings read them: shards, iterators, pages of records.

use std::time::Duration;

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::event_source_mapping::{Mapping, SourceKind};
use super::record::{Origin, Page};
use crate::lambda::error;
use crate::lambda::function::Function;
use crate::lambda::function_name::Region;
use crate::lambda::service::{Service, blocking};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    DynamoDb,
    Kinesis,
}

/// A shard as the service lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    pub id: String,
    /// A shard of Kinesis that was merged has two.
    pub parents: Vec<String>,
    pub is_closed: bool,
}

/// Where in a shard to read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    Oldest,
    Latest,
    /// From the records of this moment on; of Kinesis only.
    Since {
        ms: i64,
    },
    After(String),
}

/// The stream of a mapping.
#[derive(Clone, Copy)]
pub(super) struct Stream<'a> {
    service: &'a Service,
    region: &'a Region,
    arn: &'a str,
    kind: Kind,
}

impl<'a> Stream<'a> {
    pub(super) fn of(service: &'a Service, region: &'a Region, mapping: &'a Mapping) -> Self {
        let kind = match mapping.source() {
            Ok(SourceKind::KinesisStream) => Kind::Kinesis,
            _ => Kind::DynamoDb,
        };
        Self { service, region, arn: &mapping.source_arn, kind }
    }

    /// How often Lambda looks for more where a shard has nothing new.
    pub(super) fn poll_interval(&self) -> Duration {
        match self.kind {
            Kind::DynamoDb => Duration::from_millis(250),
            Kind::Kinesis => Duration::from_secs(1),
        }
    }

    /// Whether a place can be told by its time.
    pub(super) fn knows_times(&self) -> bool {
        self.kind == Kind::Kinesis
    }

    /// Checks that there is such a stream.
    pub(super) async fn check(&self) -> Result<(), AwsError> {
        let described = match self.kind {
            Kind::DynamoDb => self.call("DescribeStream", &json!({ "StreamArn": self.arn, "Limit": 1 })).await,
            Kind::Kinesis => self.call("DescribeStreamSummary", &json!({ "StreamARN": self.arn })).await,
        };
        described.map(|_| ()).map_err(|cause| match cause.code.as_ref() {
            "ResourceNotFoundException" | "ValidationException" => {
                error::invalid(format!("Stream not found: {}", self.arn))
            }
            _ => cause,
        })
    }

    /// All shards that are listed.
    pub(super) async fn shards(&self) -> Result<Vec<Shard>, AwsError> {
        let mut shards = Vec::new();
        let mut request = match self.kind {
            Kind::DynamoDb => json!({ "StreamArn": self.arn }),
            Kind::Kinesis => json!({ "StreamARN": self.arn }),
        };
        loop {
            let next = match self.kind {
                Kind::DynamoDb => {
                    let page: Described = self.answer("DescribeStream", &request).await?;
                    let page = page.stream_description;
                    shards.extend(page.shards.into_iter().map(Shard::from));
                    page.last_evaluated_shard_id
                        .map(|last| json!({ "StreamArn": self.arn, "ExclusiveStartShardId": last }))
                }
                Kind::Kinesis => {
                    let page: Listed = self.answer("ListShards", &request).await?;
                    shards.extend(page.shards.into_iter().map(Shard::from));
                    page.next_token.map(|token| json!({ "NextToken": token }))
                }
            };
            match next {
                Some(next) => request = next,
                None => return Ok(shards),
            }
        }
    }

    pub(super) async fn iterator(&self, shard: &str, place: &Place) -> Result<String, AwsError> {
        let (arn, number) = match self.kind {
            Kind::DynamoDb => ("StreamArn", "SequenceNumber"),
            Kind::Kinesis => ("StreamARN", "StartingSequenceNumber"),
        };
        let mut request = json!({ arn: self.arn, "ShardId": shard });
        request["ShardIteratorType"] = match place {
            Place::Oldest => "TRIM_HORIZON",
            Place::Latest => "LATEST",
            Place::Since { .. } => "AT_TIMESTAMP",
            Place::After(_) => "AFTER_SEQUENCE_NUMBER",
        }
        .into();
        match place {
            Place::Since { ms } => request["Timestamp"] = (*ms as f64 / 1000.0).into(),
            Place::After(sequence_number) => request[number] = sequence_number.as_str().into(),
            Place::Oldest | Place::Latest => {}
        }
        let answer: Value = self.answer("GetShardIterator", &request).await?;
        Ok(answer["ShardIterator"].as_str().unwrap_or_default().to_owned())
    }

    /// Reads a page. `None` where the shard gives no more for now, as all its readers share what it may give.
    pub(super) async fn page(
        &self,
        mapping: &Mapping,
        shard: &str,
        iterator: &str,
        limit: usize,
    ) -> Result<Option<Page>, AwsError> {
        let request = json!({ "ShardIterator": iterator, "Limit": limit });
        let answer = match self.call("GetRecords", &request).await {
            Err(error) if error.code == "ProvisionedThroughputExceededException" => return Ok(None),
            answer => answer?,
        };
        let page = match self.kind {
            Kind::DynamoDb => Page::of_dynamodb(&answer, self.arn),
            Kind::Kinesis => {
                let role = self.role_of(&mapping.function).await?;
                Page::of_kinesis(&answer, &Origin { arn: self.arn, shard, region: &self.region.name, role: &role })
            }
        };
        page.map(Some).map_err(|error| error::internal(&error))
    }

    /// Records of Kinesis say as whom the function is invoked.
    async fn role_of(&self, function: &str) -> Result<String, AwsError> {
        let (store, key, name) = (self.service.store.clone(), self.region.key(), function.to_owned());
        let function = blocking(move || Ok(store.get::<Function>(&key, &name)?)).await?;
        Ok(function.map(|function| function.role).unwrap_or_default())
    }

    async fn answer<T: serde::de::DeserializeOwned>(&self, operation: &str, request: &Value) -> Result<T, AwsError> {
        let answer = self.call(operation, request).await?;
        serde_json::from_slice(&answer).map_err(|error| error::internal(&error))
    }

    async fn call(&self, operation: &str, request: &Value) -> Result<bytes::Bytes, AwsError> {
        let neighbours = &self.service.neighbours;
        match self.kind {
            Kind::DynamoDb => neighbours.streams(self.region, operation, request).await,
            Kind::Kinesis => neighbours.kinesis(self.region, operation, request).await,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    stream_description: Description,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    shards: Vec<RawShard>,
    last_evaluated_shard_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    shards: Vec<RawShard>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawShard {
    shard_id: String,
    parent_shard_id: Option<String>,
    adjacent_parent_shard_id: Option<String>,
    sequence_number_range: SequenceNumberRange,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SequenceNumberRange {
    ending_sequence_number: Option<String>,
}

impl From<RawShard> for Shard {
    fn from(raw: RawShard) -> Self {
        Self {
            id: raw.shard_id,
            parents: [raw.parent_shard_id, raw.adjacent_parent_shard_id].into_iter().flatten().collect(),
            is_closed: raw.sequence_number_range.ending_sequence_number.is_some(),
        }
    }
}
