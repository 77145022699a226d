//! A capture on a temporary folder with a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use ambient::Ambient;
use aws_wire::{AwsError, Caller, Identity, JsonService};
use bytes::Bytes;
use local_capture::{Capture, CaptureOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const START_MS: i64 = 1_795_331_536_123;

/// Time as the test sets it.
#[derive(Clone)]
pub struct Clock {
    now_ms: Arc<AtomicI64>,
}

impl Clock {
    pub fn advance(&self, by: Duration) {
        self.now_ms.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    fn ambient(&self) -> Ambient {
        let now_ms = self.now_ms.clone();
        let drawn = AtomicU64::new(1);
        Ambient::new(
            move || UNIX_EPOCH + Duration::from_millis(now_ms.load(Ordering::SeqCst) as u64),
            move || {
                u128::from(drawn.fetch_add(1, Ordering::Relaxed))
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            },
        )
    }
}

pub struct World {
    pub capture: Capture,
    pub clock: Clock,
    pub options: CaptureOptions,
    folder: TempDir,
    region: String,
}

impl World {
    pub async fn new() -> Self {
        Self::with(CaptureOptions { shards_per_table: 1, ..CaptureOptions::default() }).await
    }

    pub async fn with(options: CaptureOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock { now_ms: Arc::new(AtomicI64::new(START_MS)) };
        let capture = Capture::open(folder.path(), options.clone(), clock.ambient()).await.unwrap();
        Self { capture, clock, options, folder, region: "eu-west-1".to_owned() }
    }

    pub fn path(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Drops everything, as at a kill, and opens the folder again.
    pub async fn restart(self) -> Self {
        let Self { capture, clock, options, folder, region } = self;
        drop(capture);
        let capture = Capture::open(folder.path(), options.clone(), clock.ambient()).await.unwrap();
        Self { capture, clock, options, folder, region }
    }

    pub fn in_region(mut self, region: &str) -> Self {
        self.region = region.to_owned();
        self
    }

    fn caller(&self) -> Caller {
        Caller {
            identity: Identity {
                account_id: "000000000000".to_owned(),
                arn: "arn:aws:iam::000000000000:root".to_owned(),
                is_administrator: true,
            },
            region: self.region.clone(),
            host: "127.0.0.1:4566".to_owned(),
            request_id: "request".to_owned(),
        }
    }

    async fn call(&self, service: Arc<dyn JsonService>, operation: &str, body: &str) -> Result<Value, AwsError> {
        let answer = service.call(&self.caller(), operation, Bytes::from(body.to_owned())).await?;
        // Operations without a result answer with an empty body.
        Ok(if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer).unwrap() })
    }

    pub async fn try_dynamodb(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        self.call(self.capture.dynamodb(), operation, &body.to_string()).await
    }

    pub async fn try_dynamodb_text(&self, operation: &str, body: &str) -> Result<Value, AwsError> {
        self.call(self.capture.dynamodb(), operation, body).await
    }

    pub async fn dynamodb(&self, operation: &str, body: Value) -> Value {
        self.try_dynamodb(operation, body).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    pub async fn try_streams(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        self.call(self.capture.streams(), operation, &body.to_string()).await
    }

    pub async fn streams(&self, operation: &str, body: Value) -> Value {
        self.try_streams(operation, body).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    pub async fn try_kinesis(&self, operation: &str, body: Value) -> Result<Value, AwsError> {
        self.call(self.capture.kinesis(), operation, &body.to_string()).await
    }

    pub async fn kinesis(&self, operation: &str, body: Value) -> Value {
        self.try_kinesis(operation, body).await.unwrap_or_else(|error| panic!("{operation}: {error}"))
    }

    /// Makes a table with a string key `id` and a stream, and returns the stream's ARN.
    pub async fn table(&self, name: &str, view_type: &str) -> String {
        let answer = self
            .dynamodb(
                "CreateTable",
                json!({
                    "TableName": name,
                    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "BillingMode": "PAY_PER_REQUEST",
                    "StreamSpecification": {"StreamEnabled": true, "StreamViewType": view_type},
                }),
            )
            .await;
        answer["TableDescription"]["LatestStreamArn"].as_str().unwrap().to_owned()
    }

    pub async fn put(&self, table: &str, item: Value) {
        self.dynamodb("PutItem", json!({"TableName": table, "Item": item})).await;
    }

    pub async fn put_id(&self, table: &str, id: &str) {
        self.put(table, json!({"id": {"S": id}})).await;
    }

    pub async fn delete(&self, table: &str, id: &str) {
        self.dynamodb("DeleteItem", json!({"TableName": table, "Key": {"id": {"S": id}}})).await;
    }

    pub async fn shards(&self, arn: &str) -> Vec<Value> {
        let answer = self.streams("DescribeStream", json!({"StreamArn": arn})).await;
        answer["StreamDescription"]["Shards"].as_array().unwrap().clone()
    }

    pub async fn iterator(&self, arn: &str, shard: &Value, iterator_type: &str) -> String {
        let body = json!({"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": iterator_type});
        let answer = self.streams("GetShardIterator", body).await;
        answer["ShardIterator"].as_str().unwrap().to_owned()
    }

    pub async fn iterator_at(
        &self,
        arn: &str,
        shard: &Value,
        iterator_type: &str,
        number: &str,
    ) -> Result<String, AwsError> {
        let body = json!({
            "StreamArn": arn,
            "ShardId": shard["ShardId"],
            "ShardIteratorType": iterator_type,
            "SequenceNumber": number,
        });
        let answer = self.try_streams("GetShardIterator", body).await?;
        Ok(answer["ShardIterator"].as_str().unwrap().to_owned())
    }

    pub async fn page(&self, iterator: &str) -> Value {
        self.streams("GetRecords", json!({"ShardIterator": iterator})).await
    }

    /// All records of all shards from their beginning, shard by shard.
    pub async fn records(&self, arn: &str) -> Vec<Value> {
        let mut records = Vec::new();
        for shard in self.shards(arn).await {
            let mut iterator = Some(self.iterator(arn, &shard, "TRIM_HORIZON").await);
            while let Some(current) = iterator {
                let page = self.page(&current).await;
                let found = page["Records"].as_array().unwrap();
                records.extend(found.iter().cloned());
                // An open shard has no end: an empty page is the last one there is now.
                iterator = page["NextShardIterator"].as_str().filter(|_| !found.is_empty()).map(str::to_owned);
            }
        }
        records
    }
}

/// The world's clock as another process would see it.
pub fn ambient(world: &World) -> Ambient {
    world.clock.ambient()
}

/// The names of the events, in order.
pub fn event_names(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["eventName"].as_str().unwrap()).collect()
}

pub fn sequence_number(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap()
}
