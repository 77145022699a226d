//! CloudWatch's embedded metric format: lines of JSON that CloudWatch Logs makes metrics of.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{NAMESPACE, Sample};

/// Metrics that one line may describe.
const METRICS_MAX: usize = 100;

/// One line for all samples that have the same labels, which are its dimensions.
pub(super) fn lines(samples: &[Sample], now_ms: i64) -> Vec<String> {
    let mut by_labels: BTreeMap<&BTreeMap<String, String>, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        by_labels.entry(&sample.labels).or_default().push(sample);
    }
    let chunks =
        by_labels.iter().flat_map(|(labels, samples)| samples.chunks(METRICS_MAX).map(move |it| (*labels, it)));
    chunks.map(|(labels, samples)| line(labels, samples, now_ms)).collect()
}

fn line(labels: &BTreeMap<String, String>, samples: &[&Sample], now_ms: i64) -> String {
    let dimensions: Vec<&String> = labels.keys().collect();
    let metrics: Vec<Value> =
        samples.iter().map(|sample| json!({ "Name": sample.name, "Unit": sample.unit() })).collect();
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics });
    let mut document = Map::new();
    document.insert("_aws".into(), json!({ "Timestamp": now_ms, "CloudWatchMetrics": [directive] }));
    document.extend(labels.iter().map(|(name, value)| (name.clone(), json!(value))));
    document.extend(samples.iter().map(|sample| (sample.name.clone(), json!(sample.value))));
    Value::Object(document).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_with_the_same_labels_share_a_line() {
        let sample = |name: &str, table: &str, value| Sample {
            name: name.to_owned(),
            labels: BTreeMap::from([("table".to_owned(), table.to_owned())]),
            value,
        };
        let samples = [sample("age_seconds", "a", 1.5), sample("rows_total", "a", 3.0), sample("rows_total", "b", 0.0)];
        let lines: Vec<Value> = lines(&samples, 7).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[0],
            json!({
                "_aws": { "Timestamp": 7, "CloudWatchMetrics": [{
                    "Namespace": "Dynaberg",
                    "Dimensions": [["table"]],
                    "Metrics": [{ "Name": "age_seconds", "Unit": "Seconds" }, { "Name": "rows_total", "Unit": "Count" }],
                }]},
                "table": "a", "age_seconds": 1.5, "rows_total": 3.0,
            })
        );
    }
}
