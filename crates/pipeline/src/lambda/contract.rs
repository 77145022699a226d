//! What a function is sent and has to answer: the shapes of Firehose's data transformation.
//!
//! <https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html>

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::LambdaTransform;
use super::record::created_ms;
use crate::change::RawRecord;

/// What the answer says of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok(Bytes),
    Dropped,
    ProcessingFailed,
    /// It says nothing, or nothing that can be meant: why.
    Unaccounted(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    invocation_id: String,
    delivery_stream_arn: String,
    region: String,
    records: Vec<EventRecord>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventRecord {
    record_id: String,
    approximate_arrival_timestamp: i64,
    data: String,
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
}

/// The event that hands records over. A record's id is its position.
pub(super) fn event<'a>(transform: &LambdaTransform, records: impl Iterator<Item = &'a RawRecord>) -> Bytes {
    let record = |record: &RawRecord| EventRecord {
        record_id: record.position.to_string(),
        approximate_arrival_timestamp: created_ms(&record.json).unwrap_or_else(|| transform.ambient.now_ms()),
        data: BASE64_STANDARD.encode(&record.json),
    };
    let event = Event {
        invocation_id: transform.ambient.uuid().to_string(),
        delivery_stream_arn: transform.source_arn.clone(),
        region: transform.region.clone(),
        records: records.map(record).collect(),
    };
    serde_json::to_vec(&event).expect("strings and numbers are JSON").into()
}

/// Reads an answer: a verdict for each of the records with these ids, in their order. Fails with the reason, where it
/// is not the answer of such a function at all.
pub(super) fn read(answer: &[u8], ids: &[String]) -> Result<Vec<Verdict>, String> {
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|error| format!("the function's answer is not {{\"records\": [{{\"recordId\", …}}]}}: {error}"))?;
    let mut by_id: HashMap<&str, Vec<&AnswerRecord>> = HashMap::new();
    for record in &answer.records {
        by_id.entry(&record.record_id).or_default().push(record);
    }
    let verdict = |id: &String| match by_id.get(id.as_str()).map(Vec::as_slice) {
        None | Some([]) => Verdict::Unaccounted("the function's answer does not have the recordId".to_owned()),
        Some([record]) => verdict(record),
        Some(several) => {
            Verdict::Unaccounted(format!("the function's answer has the recordId {} times", several.len()))
        }
    };
    Ok(ids.iter().map(verdict).collect())
}

fn verdict(record: &AnswerRecord) -> Verdict {
    match (record.result.as_deref(), &record.data) {
        (Some("Ok"), Some(data)) => match BASE64_STANDARD.decode(data) {
            Ok(data) => Verdict::Ok(data.into()),
            Err(error) => Verdict::Unaccounted(format!("the record's data is not base64: {error}")),
        },
        (Some("Ok"), None) => Verdict::Unaccounted("the record has no data".to_owned()),
        (Some("Dropped"), _) => Verdict::Dropped,
        (Some("ProcessingFailed"), _) => Verdict::ProcessingFailed,
        (Some(_), _) => Verdict::Unaccounted("the record's result is not Ok, Dropped or ProcessingFailed".to_owned()),
        (None, _) => Verdict::Unaccounted("the record has no result".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_gets_one_verdict_in_its_place() {
        let ids = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
        let answer = br#"{"records": [
            {"recordId": "f", "result": "ProcessingFailed", "data": "eA=="},
            {"recordId": "b", "result": "Dropped"},
            {"recordId": "a", "result": "Ok", "data": "eyJ4IjoxfQ=="},
            {"recordId": "d", "result": "Ok", "data": "e30="},
            {"recordId": "d", "result": "Ok", "data": "e30="},
            {"recordId": "e", "result": "Ok", "data": "?"},
            {"recordId": "unknown", "result": "Ok", "data": "e30="}
        ]}"#;
        let verdicts = read(answer, &ids).unwrap();
        assert_eq!(verdicts[0], Verdict::Ok(Bytes::from_static(br#"{"x":1}"#)));
        assert_eq!(verdicts[1], Verdict::Dropped);
        assert_eq!(verdicts[5], Verdict::ProcessingFailed);
        for (place, reason) in [(2, "does not have the recordId"), (3, "2 times"), (4, "not base64")] {
            assert!(matches!(&verdicts[place], Verdict::Unaccounted(text) if text.contains(reason)), "{place}");
        }
    }

    #[test]
    fn what_is_no_answer_of_the_contract_is_told_apart() {
        for answer in ["", "null", "\"fine\"", "{}", "{\"records\": 1}", "{\"records\": [{\"result\": \"Ok\"}]}"] {
            assert!(read(answer.as_bytes(), &["a".to_owned()]).is_err(), "{answer}");
        }
    }
}
