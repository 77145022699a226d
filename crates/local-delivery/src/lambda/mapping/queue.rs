//! A mapping on an SQS queue: messages are received, handed over, and deleted when the function has taken them.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_wire::AwsError;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::event_source_mapping::{Mapping, SourceKind};
use super::item_failures;
use super::pattern::Pattern;
use crate::lambda::environment::Work;
use crate::lambda::error;
use crate::lambda::function::Function;
use crate::lambda::function_name::Region;
use crate::lambda::service::{Service, blocking};

/// Batches in the function at a time, where the mapping does not say. Lambda begins with five.
const CONCURRENCY_DEFAULT: u32 = 5;

/// Messages that one call gives or deletes.
const CALL_MAX: usize = 10;

/// How long to wait where something fails.
const FAILURE_INTERVAL: Duration = Duration::from_secs(1);

/// How long a receive waits for a message.
const WAIT_SECONDS: u64 = 2;

struct Reader<'a> {
    service: &'a Service,
    region: &'a Region,
    mapping: &'a Mapping,
    queue_url: Value,
    filters: Vec<Pattern>,
}

/// Reads a queue, for ever. Messages that are in the function when it is dropped become visible again.
pub(super) async fn run(service: &Service, region: &Region, mapping: &Mapping) {
    // A queue of the FIFO kind keeps its groups in order by itself: what is in flight blocks the rest of its group.
    let reader_count = mapping.settings.concurrency_max.unwrap_or(CONCURRENCY_DEFAULT);
    let mut readers = JoinSet::new();
    for _ in 0..reader_count {
        let (service, region, mapping) = (service.clone(), region.clone(), mapping.clone());
        readers.spawn(async move {
            loop {
                if let Err(error) = read(&service, &region, &mapping).await {
                    tracing::debug!(mapping = mapping.uuid, %error, "queue not read; trying again");
                    service.mappings.set_last_result(&mapping.uuid, &format!("PROBLEM: {}", error.message));
                }
                tokio::time::sleep(FAILURE_INTERVAL).await;
            }
        });
    }
    while readers.join_next().await.is_some() {}
}

async fn read(service: &Service, region: &Region, mapping: &Mapping) -> Result<(), AwsError> {
    let queue_url = service.neighbours.queue_url(region, &mapping.source_arn).await?;
    let reader = Reader { service, region, mapping, queue_url, filters: mapping.settings.patterns() };
    loop {
        let messages = reader.receive_batch().await?;
        if !messages.is_empty() {
            reader.hand_over(messages).await?;
        }
    }
}

impl Reader<'_> {
    /// Receives until there are as many as one goes, or the window is over.
    async fn receive_batch(&self) -> Result<Vec<Value>, AwsError> {
        let settings = &self.mapping.settings;
        let count_max = settings.batch_size as usize;
        let window = Duration::from_secs(settings.batching_window_seconds.into());
        let mut messages = self.receive(count_max, WAIT_SECONDS).await?;
        let opened = Instant::now();
        while !messages.is_empty() && messages.len() < count_max && opened.elapsed() < window {
            let wait_seconds = WAIT_SECONDS.min((window - opened.elapsed()).as_secs().max(1));
            messages.extend(self.receive(count_max - messages.len(), wait_seconds).await?);
        }
        Ok(messages)
    }

    async fn receive(&self, count_max: usize, wait_seconds: u64) -> Result<Vec<Value>, AwsError> {
        let request = json!({
            "QueueUrl": self.queue_url,
            "MaxNumberOfMessages": count_max.min(CALL_MAX),
            "WaitTimeSeconds": wait_seconds,
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        match self.service.neighbours.queues(self.region, "ReceiveMessage", &request).await?["Messages"].take() {
            Value::Array(messages) => Ok(messages),
            _ => Ok(Vec::new()),
        }
    }

    /// Invokes the function with those messages that pass; deletes what it took, and what no filter wants.
    async fn hand_over(&self, messages: Vec<Value>) -> Result<(), AwsError> {
        let (wanted, unwanted): (Vec<Value>, Vec<Value>) =
            messages.into_iter().map(|message| self.record(message)).partition(|record| self.passes(record));
        self.delete(unwanted.iter()).await?;
        if wanted.is_empty() {
            return Ok(());
        }
        let failed = self.invoke(&wanted).await?;
        self.service.mappings.set_last_result(
            &self.mapping.uuid,
            if failed.is_empty() { "OK" } else { "PROBLEM: Function call failed" },
        );
        // Those that failed become visible again when their time is up.
        let taken = wanted.iter().enumerate().filter(|(place, _)| !failed.contains(place)).map(|(_, record)| record);
        self.delete(taken).await
    }

    /// The places of the records that failed.
    async fn invoke(&self, records: &[Value]) -> Result<BTreeSet<usize>, AwsError> {
        let (store, key, name) = (self.service.store.clone(), self.region.key(), self.mapping.function.clone());
        let function = blocking(move || Ok(store.get::<Function>(&key, &name)?)).await?;
        let function =
            function.ok_or_else(|| error::function_not_found(&self.region.function_arn(&self.mapping.function)))?;
        let work = Work {
            request_id: self.service.ambient.uuid().to_string(),
            event: json!({ "Records": records }).to_string().into(),
            client_context: None,
        };
        let outcome = self.service.fleet.invoke(self.region, &function, work).await?;
        if outcome.is_error {
            return Ok((0..records.len()).collect());
        }
        if !self.mapping.settings.reports_item_failures {
            return Ok(BTreeSet::new());
        }
        let identifiers: Vec<&str> =
            records.iter().map(|record| record["messageId"].as_str().unwrap_or_default()).collect();
        let mut failed = item_failures::failed(&outcome.payload, &identifiers);
        if self.mapping.source()? == (SourceKind::Queue { is_fifo: true }) {
            // What comes after the first failure stays behind it.
            failed.extend(failed.first().copied().unwrap_or(records.len())..records.len());
        }
        Ok(failed)
    }

    async fn delete(&self, records: impl Iterator<Item = &Value>) -> Result<(), AwsError> {
        let handles: Vec<&Value> = records.map(|record| &record["receiptHandle"]).collect();
        for handles in handles.chunks(CALL_MAX) {
            let entry = |(id, handle): (usize, &&Value)| json!({ "Id": id.to_string(), "ReceiptHandle": handle });
            let entries: Vec<Value> = handles.iter().enumerate().map(entry).collect();
            let request = json!({ "QueueUrl": self.queue_url, "Entries": entries });
            self.service.neighbours.queues(self.region, "DeleteMessageBatch", &request).await?;
        }
        Ok(())
    }

    /// Whether a filter takes the record, whose body counts as JSON where it is some.
    fn passes(&self, record: &Value) -> bool {
        if self.filters.is_empty() {
            return true;
        }
        let mut seen = record.clone();
        let body = record["body"].as_str().unwrap_or_default();
        if let Ok(body @ Value::Object(_)) = serde_json::from_str(body) {
            seen["body"] = body;
        }
        self.filters.iter().any(|filter| filter.matches(&seen))
    }

    /// A message as a function gets it.
    fn record(&self, message: Value) -> Value {
        json!({
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes").cloned().unwrap_or_else(|| json!({})),
            "messageAttributes": message_attributes(&message["MessageAttributes"]),
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self.mapping.source_arn,
            "awsRegion": self.region.name,
        })
    }
}

/// Message attributes, whose members begin with a small letter in events.
fn message_attributes(attributes: &Value) -> Value {
    let Value::Object(attributes) = attributes else { return json!({}) };
    let renamed = attributes.iter().map(|(name, attribute)| {
        let mut shown = Map::new();
        for (member, event_member) in
            [("StringValue", "stringValue"), ("BinaryValue", "binaryValue"), ("DataType", "dataType")]
        {
            if let Some(value) = attribute.get(member) {
                shown.insert(event_member.to_owned(), value.clone());
            }
        }
        shown.insert("stringListValues".to_owned(), json!([]));
        shown.insert("binaryListValues".to_owned(), json!([]));
        (name.clone(), Value::Object(shown))
    });
    Value::Object(renamed.collect())
}
