//! Partial batch responses: `{"batchItemFailures": [{"itemIdentifier": "…"}]}`.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>

use std::collections::BTreeSet;

use serde::Deserialize;

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "batchItemFailures")]
    failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "itemIdentifier")]
    item: String,
}

/// The places of the records that failed. An answer that cannot be understood, or names a record that is not in the
/// batch, means all of them.
pub(crate) fn failed(answer: &[u8], identifiers: &[&str]) -> BTreeSet<usize> {
    let all = || (0..identifiers.len()).collect();
    let response: Option<Response> = match serde_json::from_slice::<Option<Response>>(answer) {
        Ok(response) => response,
        // Whatever else a function answers, such as a string, counts as no report.
        Err(_) if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(answer).is_err() => None,
        Err(_) => return all(),
    };
    let failures = response.and_then(|response| response.failures).unwrap_or_default();
    let place = |failure: &Failure| identifiers.iter().position(|identifier| *identifier == failure.item);
    failures.iter().map(place).collect::<Option<_>>().unwrap_or_else(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read_as_lambda_reads_them() {
        for (answer, expected) in [
            (r#"{"batchItemFailures": [{"itemIdentifier": "30"}, {"itemIdentifier": "20"}]}"#, vec![1, 2]),
            (r#"{"batchItemFailures": []}"#, vec![]),
            (r#"{"batchItemFailures": null}"#, vec![]),
            ("{}", vec![]),
            ("null", vec![]),
            (r#""fine""#, vec![]),
            (r#"{"batchItemFailures": [{"itemIdentifier": ""}]}"#, vec![0, 1, 2]),
            (r#"{"batchItemFailures": [{"itemIdentifier": null}]}"#, vec![0, 1, 2]),
            (r#"{"batchItemFailures": [{"item": "20"}]}"#, vec![0, 1, 2]),
            (r#"{"batchItemFailures": [{"itemIdentifier": "40"}]}"#, vec![0, 1, 2]),
        ] {
            let places: Vec<usize> = failed(answer.as_bytes(), &["10", "20", "30"]).into_iter().collect();
            assert_eq!(places, expected, "{answer}");
        }
    }
}
