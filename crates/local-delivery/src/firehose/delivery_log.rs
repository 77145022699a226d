//! Tells CloudWatch Logs of records that failed, where a delivery stream asks for that.
//!
//! <https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-logs.html>

use std::collections::BTreeMap;

use aws_wire::{Caller, Identity};
use serde_json::{Value, json};
use tracing::warn;

use crate::firehose::Firehose;
use crate::firehose::stream::{DeliveryStream, Destination};

/// Tells of the lines of an error object, one event for each code. The values of records are in the object alone. What
/// cannot be told, as its log group is missing, is not: the delivery goes on.
pub(super) async fn tell(firehose: &Firehose, stream: &DeliveryStream, bucket: &str, object: &str, lines: &str) {
    let (options, destination) = match &stream.document.destination {
        Destination::Iceberg(settings) => (&settings.cloud_watch_logging_options, "Iceberg"),
        Destination::S3 { settings, .. } => (&settings.cloud_watch_logging_options, "S3"),
    };
    let Some(options) = options.as_ref().filter(|options| options.enabled) else { return };
    let now_ms = firehose.ambient.now_ms();
    let event = |(code, count): (String, usize)| {
        let message = json!({
            "deliveryStreamARN": stream.address.arn(),
            "destination": destination,
            "deliveryStreamVersionId": stream.document.version,
            "message": format!("{count} record(s) could not be delivered: s3://{bucket}/{object}"),
            "errorCode": code,
        });
        json!({ "timestamp": now_ms, "message": message.to_string() })
    };
    let request = json!({
        "logGroupName": options.log_group_name,
        "logStreamName": options.log_stream_name,
        "logEvents": codes(lines).into_iter().map(event).collect::<Vec<Value>>(),
    });
    let caller = Caller {
        identity: Identity::administrator(&stream.address.account),
        region: stream.address.region.clone(),
        host: "localhost".to_owned(),
        request_id: String::new(),
    };
    let told = firehose.neighbours.logs.call(&caller, "PutLogEvents", request.to_string().into()).await;
    if let Err(refusal) = told {
        warn!(stream = stream.address.name, code = %refusal.code, "delivery errors are not logged");
    }
}

/// How many lines have each code.
fn codes(lines: &str) -> BTreeMap<String, usize> {
    let mut codes = BTreeMap::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        let code = line["errorCode"].as_str().unwrap_or_default().to_owned();
        *codes.entry(code).or_default() += 1;
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_their_code() {
        let lines = "{\"errorCode\":\"a\"}\n{\"errorCode\":\"b\"}\n{\"errorCode\":\"a\"}\n";
        assert_eq!(codes(lines), BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
    }
}
