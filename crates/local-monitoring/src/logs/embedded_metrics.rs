//! Metrics that log lines describe: CloudWatch's embedded metric format.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::Value;

use crate::call::Call;
use crate::metric::Datum;
use crate::store::Series;

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "_aws")]
    aws: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: i64,
    cloud_watch_metrics: Vec<Directive>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: String,
    dimensions: Vec<Vec<String>>,
    metrics: Vec<MetricDefinition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricDefinition {
    name: String,
    unit: Option<String>,
}

/// Adds the metrics of all lines that describe some. A line that describes them wrongly is a line of the log, no more.
pub(super) fn extract(call: &Call<'_>, events: &[(i64, &str)]) -> Result<(), AwsError> {
    let rows: Vec<_> = events.iter().flat_map(|(_, message)| rows_of(message)).collect();
    match rows.is_empty() {
        true => Ok(()),
        false => Ok(call.store.add(&call.region, &rows)?),
    }
}

fn rows_of(message: &str) -> Vec<(Series, Datum, String)> {
    if !message.contains("\"_aws\"") {
        return Vec::new();
    }
    let (Ok(Document { aws }), Ok(members)) = (serde_json::from_str(message), serde_json::from_str::<Value>(message))
    else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for directive in &aws.cloud_watch_metrics {
        for names in &directive.dimensions {
            let pair = |name: &String| Some((name.clone(), members.get(name)?.as_str()?.to_owned()));
            let Some(dimensions) = names.iter().map(pair).collect::<Option<_>>() else { continue };
            for metric in &directive.metrics {
                let (namespace, name) = (directive.namespace.clone(), metric.name.clone());
                let series = Series { namespace, name, dimensions: Clone::clone(&dimensions) };
                let unit = metric.unit.clone().unwrap_or_else(|| "None".to_owned());
                for value in values(&members[&metric.name]) {
                    rows.push((series.clone(), Datum::of_value(aws.timestamp, value, 1.0), unit.clone()));
                }
            }
        }
    }
    rows
}

/// A number, or a list of them.
fn values(member: &Value) -> Vec<f64> {
    match member {
        Value::Array(members) => members.iter().filter_map(Value::as_f64).collect(),
        other => other.as_f64().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_datum_of_each_of_its_metrics_under_each_set_of_dimensions() {
        let line = r#"{"_aws":{"Timestamp":7,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["a"],[]],
            "Metrics":[{"Name":"x","Unit":"Seconds"},{"Name":"y"}]}]},"a":"1","x":2.5,"y":[1,2]}"#;
        let rows = rows_of(line);
        assert_eq!(rows.len(), 6);
        let (series, datum, unit) = &rows[0];
        assert_eq!((series.name.as_str(), series.dimensions["a"].as_str(), unit.as_str()), ("x", "1", "Seconds"));
        assert_eq!((datum.time_ms, datum.sum), (7, 2.5));
        assert_eq!(rows_of("plain \"_aws\" text"), []);
    }
}
