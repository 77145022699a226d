//! A function that records pass through: what it is sent and has to answer.
//!
//! <https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html>

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;

use crate::firehose::buffer::Arrived;
use crate::firehose::error::Result;
use crate::firehose::put::record_id;
use crate::firehose::settings::LambdaProcessor;
use crate::firehose::stream::{DeliveryStream, Source};
use crate::firehose::{Firehose, Invocation};

/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// A record after the function has seen it.
pub(super) struct Seen {
    pub verdict: Verdict,
    /// What its answer says beside the data: `otfMetadata`, `partitionKeys`.
    pub metadata: Value,
}

pub(super) enum Verdict {
    Untouched,
    Changed(Bytes),
    Dropped,
    Failed { code: &'static str, reason: String, attempts: u32, function: String },
}

impl Seen {
    pub fn untouched() -> Self {
        Self { verdict: Verdict::Untouched, metadata: Value::Null }
    }
}

#[derive(Deserialize)]
struct Answer {
    records: Vec<AnswerRecord>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerRecord {
    record_id: String,
    result: Option<String>,
    data: Option<String>,
    #[serde(default)]
    metadata: Value,
}

/// Has the function see the records, again where it fails on them, and accounts for each. Fails only where the function
/// cannot be asked.
pub(super) async fn apply(
    firehose: &Firehose,
    stream: &DeliveryStream,
    processor: &LambdaProcessor,
    records: &[Arrived],
) -> Result<Vec<Seen>> {
    let ids: Vec<String> = records.iter().map(|record| record_id(stream, record.number)).collect();
    let event = event(firehose, stream, records, &ids);
    let mut attempts = 0;
    let failed = loop {
        attempts += 1;
        let invoked = firehose.neighbours.functions.invoke(&processor.arn, event.clone()).await;
        let failed = match invoked {
            Invocation::Answered(answer) => match read(&answer, &ids, &processor.arn, attempts) {
                Ok(seen) => return Ok(seen),
                Err(reason) => ("Lambda.JsonProcessingException", reason),
            },
            Invocation::TimedOut => {
                ("Lambda.FunctionTimedOut", "the function takes longer than its timeout".to_owned())
            }
            Invocation::Failed(reason) => ("Lambda.FunctionError", reason),
        };
        if attempts > processor.retries {
            break failed;
        }
        warn!(function = processor.arn, reason = failed.1, attempts, "a processor is asked again");
        tokio::time::sleep((PAUSE * 2_u32.saturating_pow(attempts.min(16))).min(PAUSE_MAX)).await;
    };
    let (code, reason) = failed;
    let seen = |_: &Arrived| Seen {
        verdict: Verdict::Failed { code, reason: reason.clone(), attempts, function: processor.arn.clone() },
        metadata: Value::Null,
    };
    Ok(records.iter().map(seen).collect())
}

fn event(firehose: &Firehose, stream: &DeliveryStream, records: &[Arrived], ids: &[String]) -> Bytes {
    let record = |(record, id): (&Arrived, &String)| {
        json!({
            "recordId": id,
            "approximateArrivalTimestamp": record.arrived_ms,
            "data": BASE64_STANDARD.encode(&record.data),
        })
    };
    let mut event = json!({
        "invocationId": firehose.ambient.uuid().to_string(),
        "deliveryStreamArn": stream.address.arn(),
        "region": stream.address.region,
        "records": records.iter().zip(ids).map(record).collect::<Vec<_>>(),
    });
    if let Source::Kinesis { stream_arn, .. } = &stream.document.source {
        event["sourceKinesisStreamArn"] = stream_arn.as_str().into();
    }
    event.to_string().into()
}

/// A verdict for each record, in order. Fails where it is not the answer of such a function at all.
fn read(answer: &[u8], ids: &[String], function: &str, attempts: u32) -> Result<Vec<Seen>, String> {
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|error| format!("the function's answer is not {{\"records\": [{{\"recordId\", …}}]}}: {error}"))?;
    let mut by_id: HashMap<String, Vec<AnswerRecord>> = HashMap::new();
    for record in answer.records {
        by_id.entry(record.record_id.clone()).or_default().push(record);
    }
    let seen = |id: &String| {
        let failed = |code, reason: &str| Seen {
            verdict: Verdict::Failed { code, reason: reason.to_owned(), attempts, function: function.to_owned() },
            metadata: Value::Null,
        };
        let mut answers = by_id.remove(id).unwrap_or_default();
        if answers.len() > 1 {
            return failed("Lambda.DuplicatedRecordId", "the function's answer has the recordId more than once");
        }
        let Some(record) = answers.pop() else {
            return failed("Lambda.MissingRecordId", "the function's answer does not have the recordId");
        };
        let verdict = match (record.result.as_deref(), record.data) {
            (Some("Ok"), Some(data)) => match BASE64_STANDARD.decode(data) {
                Ok(data) => Verdict::Changed(data.into()),
                Err(_) => return failed("Lambda.JsonProcessingException", "the record's data is not base64"),
            },
            (Some("Ok"), None) => return failed("Lambda.JsonProcessingException", "the record has no data"),
            (Some("Dropped"), _) => Verdict::Dropped,
            (Some("ProcessingFailed"), _) => {
                return failed("Lambda.ProcessingFailedStatus", "ProcessingFailed status set for record");
            }
            _ => return failed("Lambda.JsonProcessingException", "the result is not Ok, Dropped or ProcessingFailed"),
        };
        Seen { verdict, metadata: record.metadata }
    };
    Ok(ids.iter().map(seen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_gets_one_verdict_in_its_place() {
        let ids = ["a", "b", "c", "d", "e"].map(str::to_owned);
        let answer = br#"{"records": [
            {"recordId": "e", "result": "ProcessingFailed", "data": "eA=="},
            {"recordId": "b", "result": "Dropped"},
            {"recordId": "a", "result": "Ok", "data": "eyJ4IjoxfQ==", "metadata": {"otfMetadata": {"operation": "update"}}},
            {"recordId": "d", "result": "Ok", "data": "e30="},
            {"recordId": "d", "result": "Ok", "data": "e30="},
            {"recordId": "unknown", "result": "Ok", "data": "e30="}
        ]}"#;
        let seen = read(answer, &ids, "f", 1).unwrap();
        let codes: Vec<&str> = seen
            .iter()
            .map(|seen| match &seen.verdict {
                Verdict::Changed(_) => "ok",
                Verdict::Dropped => "dropped",
                Verdict::Failed { code, .. } => code,
                Verdict::Untouched => "untouched",
            })
            .collect();
        let expected =
            ["ok", "dropped", "Lambda.MissingRecordId", "Lambda.DuplicatedRecordId", "Lambda.ProcessingFailedStatus"];
        assert_eq!(codes, expected);
        assert_eq!(seen[0].metadata["otfMetadata"]["operation"], "update");
    }

    #[test]
    fn what_is_no_answer_of_the_contract_is_told_apart() {
        for answer in ["", "null", "{}", "{\"records\": 1}", "{\"records\": [{\"result\": \"Ok\"}]}"] {
            assert!(read(answer.as_bytes(), &["a".to_owned()], "f", 1).is_err(), "{answer}");
        }
    }
}
