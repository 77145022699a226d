//! What an on-failure destination is told: where in the stream the records are, and from S3 on what they were.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>

use aws_wire::AwsError;
use serde_json::{Value, json};

use super::delivery::Delivery;
use super::event_source_mapping::SourceKind;
use super::record::{StreamRecord, event};
use crate::lambda::error;
use crate::lambda::function_name::LATEST;

/// Why records are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    RetryAttemptsExhausted,
    MaximumRecordAgeExceeded,
}

impl Condition {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::MaximumRecordAgeExceeded => "MaximumRecordAgeExceeded",
        }
    }
}

/// The last invocation that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub request_id: String,
    /// Otherwise the function reported records.
    pub is_error: bool,
}

pub(super) fn message(
    delivery: &Delivery<'_>,
    records: &[StreamRecord],
    invocations: u32,
    condition: Condition,
    failure: Option<&Failure>,
) -> Value {
    let ambient = &delivery.service.ambient;
    let (first, last) = (records.first(), records.last());
    let time = |record: Option<&StreamRecord>| date_time(record.map_or(0, |record| (record.created_s * 1000.0) as i64));
    let sequence_number = |record: Option<&StreamRecord>| record.map(|record| record.sequence_number.clone());
    let request_id = failure.map_or_else(|| ambient.uuid().to_string(), |failure| failure.request_id.clone());
    let mut message = json!({
        "requestContext": {
            "requestId": request_id,
            "functionArn": delivery.region.function_arn(&delivery.mapping.function),
            "condition": condition.as_str(),
            "approximateInvokeCount": invocations,
        },
        "version": "1.0",
        "timestamp": date_time(ambient.now_ms()),
    });
    let info = match delivery.mapping.source() {
        Ok(SourceKind::KinesisStream) => "KinesisBatchInfo",
        _ => "DDBStreamBatchInfo",
    };
    message[info] = json!({
        "shardId": delivery.shard,
        "startSequenceNumber": sequence_number(first),
        "endSequenceNumber": sequence_number(last),
        "approximateArrivalOfFirstRecord": time(first),
        "approximateArrivalOfLastRecord": time(last),
        "batchSize": records.len(),
        "streamArn": delivery.mapping.source_arn,
    });
    if let Some(failure) = failure {
        message["responseContext"] = json!({ "statusCode": 200, "executedVersion": LATEST });
        if failure.is_error {
            message["responseContext"]["functionError"] = "Unhandled".into();
        }
    }
    message
}

/// Sends a message. It is durable when this returns. An object in S3 has the records as well.
pub(super) async fn send(
    delivery: &Delivery<'_>,
    destination: &str,
    message: &Value,
    records: &[StreamRecord],
) -> Result<(), AwsError> {
    let (neighbours, ambient) = (&delivery.service.neighbours, &delivery.service.ambient);
    let Some(bucket) = destination.strip_prefix("arn:aws:s3:::") else {
        return neighbours.send_message(delivery.region, destination, &message.to_string(), &[]).await;
    };
    let mut message = message.clone();
    message["payload"] = event(records.iter()).into();
    let now = jiff::Timestamp::from_millisecond(ambient.now_ms()).unwrap_or_default();
    let key = format!(
        "aws/lambda/{}/{}/{}-{}",
        delivery.mapping.uuid,
        delivery.shard,
        now.strftime("%Y/%m/%d/%Y-%m-%dT%H.%M.%S"),
        ambient.uuid()
    );
    let written = neighbours.objects.write(bucket, &key, message.to_string().into()).await;
    written.map_err(|error| error::internal(&*error))
}

fn date_time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|time| format!("{time:.3}")).unwrap_or_default()
}
