//! The services that functions and mappings read from and write to, as somebody else plugs them in.

use std::sync::Arc;

use async_trait::async_trait;
use aws_wire::{AwsError, Caller, Identity, JsonService};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::lambda::error;
use crate::lambda::function_name::Region;

pub type ObjectError = Box<dyn std::error::Error + Send + Sync>;

/// Objects of S3.
#[async_trait]
pub trait Objects: Send + Sync {
    /// A whole object; `None` where there is none.
    async fn read(&self, bucket: &str, key: &str) -> Result<Option<Bytes>, ObjectError>;

    /// Writes an object. It is durable when this returns.
    async fn write(&self, bucket: &str, key: &str, content: Bytes) -> Result<(), ObjectError>;
}

/// Other services of this process, called as the AWS services they are.
#[derive(Clone)]
pub struct Neighbours {
    pub objects: Arc<dyn Objects>,
    pub streams: Arc<dyn JsonService>,
    pub kinesis: Arc<dyn JsonService>,
    pub queues: Arc<dyn JsonService>,
}

impl Neighbours {
    /// Calls an operation of DynamoDB Streams as Lambda itself.
    pub(crate) async fn streams(&self, region: &Region, operation: &str, body: &Value) -> Result<Bytes, AwsError> {
        self.streams.call(&lambda_itself(region), operation, body.to_string().into()).await
    }

    /// Calls an operation of Kinesis Data Streams as Lambda itself.
    pub(crate) async fn kinesis(&self, region: &Region, operation: &str, body: &Value) -> Result<Bytes, AwsError> {
        self.kinesis.call(&lambda_itself(region), operation, body.to_string().into()).await
    }

    /// Calls an operation of SQS as Lambda itself.
    pub(crate) async fn queues(&self, region: &Region, operation: &str, body: &Value) -> Result<Value, AwsError> {
        let answer = self.queues.call(&lambda_itself(region), operation, body.to_string().into()).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(|error| error::internal(&error))
    }

    /// The URL of a queue, from its ARN.
    pub(crate) async fn queue_url(&self, region: &Region, arn: &str) -> Result<Value, AwsError> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "sqs", _, account_id, name] = parts[..] else {
            return Err(error::invalid(format!("{arn} is not the ARN of a queue")));
        };
        let request = json!({ "QueueName": name, "QueueOwnerAWSAccountId": account_id });
        Ok(self.queues(region, "GetQueueUrl", &request).await?["QueueUrl"].take())
    }

    /// Sends a message to the queue of that ARN. It is durable when this returns.
    pub(crate) async fn send_message(
        &self,
        region: &Region,
        queue: &str,
        body: &str,
        attributes: &[(&str, &str)],
    ) -> Result<(), AwsError> {
        let attribute =
            |(name, value): &(&str, &str)| ((*name).to_owned(), json!({ "DataType": "String", "StringValue": value }));
        let attributes: Map<String, Value> = attributes.iter().map(attribute).collect();
        let mut request = json!({ "QueueUrl": self.queue_url(region, queue).await?, "MessageBody": body });
        if !attributes.is_empty() {
            request["MessageAttributes"] = Value::Object(attributes);
        }
        self.queues(region, "SendMessage", &request).await.map(|_| ())
    }
}

fn lambda_itself(region: &Region) -> Caller {
    Caller {
        identity: Identity::administrator(&region.account_id),
        region: region.name.clone(),
        host: "localhost".to_owned(),
        request_id: String::new(),
    }
}
