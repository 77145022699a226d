//! The alarms of deploy/alerts, for one pipeline.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::parts::Parts;

/// The file that the CDK app, the rules for Prometheus and the tests go by.
const ALARMS: &str = include_str!("../../../../deploy/alerts/alarms.json");

#[derive(Deserialize)]
struct File {
    namespace: String,
    alarms: Vec<Definition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    name: String,
    metric: String,
    labels: Vec<String>,
    #[serde(default)]
    dimensions: BTreeMap<String, String>,
    statistic: String,
    comparison: String,
    threshold: f64,
    period: u32,
    periods: u32,
    missing: String,
    description: String,
}

/// An alarm in CloudWatch's words.
pub struct Alarm {
    /// `Freshness`.
    pub name: String,
    /// `dynaberg-orders-Freshness`.
    pub full_name: String,
    pub namespace: String,
    pub metric: String,
    pub dimensions: BTreeMap<String, String>,
    pub statistic: String,
    pub comparison: String,
    pub threshold: f64,
    /// Seconds.
    pub period: u32,
    pub periods: u32,
    pub missing: String,
    pub description: String,
}

pub fn alarms(parts: &Parts<'_>) -> Vec<Alarm> {
    let file: File = serde_json::from_str(ALARMS).expect("a test reads the file that was compiled in");
    let label = |name: &str| match name {
        "pipeline" => parts.pipeline.to_owned(),
        _ => parts.table(),
    };
    // S3 Tables maintains its tables itself: Dynaberg has no metrics of such jobs there.
    let ours = file.alarms.into_iter().filter(|alarm| !alarm.dimensions.contains_key("job"));
    ours.map(|alarm| Alarm {
        full_name: format!("dynaberg-{}-{}", parts.pipeline, alarm.name),
        name: alarm.name,
        namespace: file.namespace.clone(),
        metric: alarm.metric,
        dimensions: alarm.labels.iter().map(|name| (name.clone(), label(name))).chain(alarm.dimensions).collect(),
        statistic: alarm.statistic,
        comparison: alarm.comparison,
        threshold: alarm.threshold,
        period: alarm.period,
        periods: alarm.periods,
        missing: alarm.missing,
        description: alarm.description,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_alarms_is_read_whole() {
        let file: File = serde_json::from_str(ALARMS).unwrap();
        assert_eq!(file.namespace, "Dynaberg");
        assert!(file.alarms.iter().all(|alarm| alarm.labels.iter().all(|name| name == "pipeline" || name == "table")));
    }
}
