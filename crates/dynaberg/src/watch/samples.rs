//! Reads Prometheus' text back into samples.

use std::collections::{BTreeMap, HashMap};

/// A number that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// What is now, or how much a counter has grown since the last time.
    pub value: f64,
}

impl Sample {
    /// The unit of a metric, which its name ends with, as CloudWatch spells it.
    pub fn unit(&self) -> &'static str {
        let base = self.name.trim_end_matches("_sum");
        match base {
            _ if base.ends_with("_seconds") => "Seconds",
            _ if base.contains("_bytes") => "Bytes",
            _ => "Count",
        }
    }
}

/// Of the quantiles of a distribution, the one that is worth its price as a metric of CloudWatch.
const QUANTILE: &str = "0.99";

/// What was measured from one time to the next.
///
/// CloudWatch adds up what it is told in a period, so it is told how much a counter has grown, not how high it is.
#[derive(Default)]
pub struct Interval {
    counters: HashMap<(String, BTreeMap<String, String>), f64>,
}

impl Interval {
    /// The samples of `text`, which is what `/metrics` shows now.
    pub fn samples(&mut self, text: &str) -> Vec<Sample> {
        let mut kind = "";
        let mut samples = Vec::new();
        for line in text.lines() {
            if let Some(described) = line.strip_prefix("# TYPE ") {
                kind = described.rsplit(' ').next().unwrap_or_default();
            }
            let Some(mut sample) = read(line) else { continue };
            if sample.labels.get("quantile").is_some_and(|quantile| quantile != QUANTILE) {
                continue;
            }
            let counts = kind == "counter" || sample.name.ends_with("_sum") || sample.name.ends_with("_count");
            if counts {
                let key = (sample.name.clone(), sample.labels.clone());
                let before = self.counters.insert(key, sample.value).unwrap_or_default();
                sample.value = (sample.value - before).max(0.0);
            }
            // A quantile of nothing is not a number.
            if sample.value.is_finite() {
                samples.push(sample);
            }
        }
        samples
    }
}

/// Reads `name{label="value",…} number`; `None` for comments and blank lines.
fn read(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        None => (series, BTreeMap::new()),
        Some((name, labels)) => (name, read_labels(labels.strip_suffix('}')?)?),
    };
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

fn read_labels(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        text = &rest[end + 1..];
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(samples: &[Sample]) -> Vec<String> {
        let one = |sample: &Sample| {
            let labels: Vec<_> = sample.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {} {}", sample.name, labels.join(","), sample.value)
        };
        samples.iter().map(one).collect()
    }

    #[test]
    fn counters_are_given_by_what_they_grew_and_gauges_as_they_are() {
        let mut interval = Interval::default();
        let text = |rows: u32, age: f64| {
            format!(
                "# TYPE rows_total counter\nrows_total{{pipeline=\"a\",table=\"s.t\"}} {rows}\n\n# TYPE age_seconds gauge\n\
                 age_seconds{{table=\"s.t\"}} {age}\n"
            )
        };
        assert_eq!(
            shown(&interval.samples(&text(5, 2.5))),
            ["rows_total pipeline=a,table=s.t 5", "age_seconds table=s.t 2.5"]
        );
        assert_eq!(
            shown(&interval.samples(&text(7, 1.0))),
            ["rows_total pipeline=a,table=s.t 2", "age_seconds table=s.t 1"]
        );
    }

    #[test]
    fn of_a_distribution_the_99th_percentile_is_given_and_what_came_in_the_interval() {
        let mut interval = Interval::default();
        let text = "# TYPE c_seconds summary\nc_seconds{quantile=\"0.5\"} 1\nc_seconds{quantile=\"0.99\"} 2\n\
                    c_seconds_sum 3\nc_seconds_count 2\n";
        assert_eq!(
            shown(&interval.samples(text)),
            ["c_seconds quantile=0.99 2", "c_seconds_sum  3", "c_seconds_count  2"]
        );
        assert_eq!(shown(&interval.samples(text))[2], "c_seconds_count  0");
    }

    #[test]
    fn labels_hold_quotes_commas_and_lines() {
        let sample = read(r#"a{x="1,\"2\"",y="a\\b\nc"} 1"#).unwrap();
        assert_eq!(sample.labels["x"], "1,\"2\"");
        assert_eq!(sample.labels["y"], "a\\b\nc");
    }
}
