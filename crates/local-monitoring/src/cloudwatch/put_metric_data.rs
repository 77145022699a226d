//! PutMetricData.

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::json;

use super::error::{combination, invalid};
use crate::call::{Answer, Call, milliseconds};
use crate::metric::{Datum, Dimension, UNITS, to_map};
use crate::store::Series;

/// What one call may bring.
const DATA_MAX: usize = 1_000;
const VALUES_MAX: usize = 150;
const DIMENSIONS_MAX: usize = 30;
/// How far from now a datum may be.
const PAST_MS: i64 = 14 * 24 * 60 * 60 * 1_000;
const FUTURE_MS: i64 = 2 * 60 * 60 * 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    namespace: String,
    metric_data: Vec<MetricDatum>,
    // Entities relate metrics to resources; without them nothing is there to validate.
    #[serde(rename = "StrictEntityValidation")]
    _strict_entity_validation: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct MetricDatum {
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    timestamp: Option<f64>,
    value: Option<f64>,
    statistic_values: Option<StatisticSet>,
    values: Option<Vec<f64>>,
    counts: Option<Vec<f64>>,
    unit: Option<String>,
    storage_resolution: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

pub(super) fn put(call: &Call<'_>) -> Answer {
    let Request { namespace, metric_data, .. } = call.parse()?;
    check_namespace(&namespace)?;
    if metric_data.len() > DATA_MAX {
        return Err(invalid(format!("The collection MetricData must not have a size greater than {DATA_MAX}.")));
    }
    let mut rows = Vec::new();
    for datum in &metric_data {
        check(datum)?;
        let time_ms = datum.timestamp.map_or(call.now_ms, milliseconds);
        if !(call.now_ms - PAST_MS..=call.now_ms + FUTURE_MS).contains(&time_ms) {
            let message =
                "The parameter MetricData.member.Timestamp must be within two weeks before and two hours after now.";
            return Err(invalid(message));
        }
        let series = Series {
            namespace: namespace.clone(),
            name: datum.metric_name.clone(),
            dimensions: to_map(&datum.dimensions),
        };
        let unit = datum.unit.clone().unwrap_or_else(|| "None".to_owned());
        rows.extend(data_of(datum, time_ms)?.into_iter().map(|row| (series.clone(), row, unit.clone())));
    }
    call.store.add(&call.region, &rows)?;
    Ok(json!({}))
}

fn check_namespace(namespace: &str) -> Result<(), AwsError> {
    let is_valid = (1..=255).contains(&namespace.chars().count()) && !namespace.starts_with(':');
    if !is_valid {
        return Err(invalid("The parameter Namespace must have 1 to 255 characters, the first of them no colon."));
    }
    match namespace.starts_with("AWS/") {
        true => Err(invalid("The value AWS/ for parameter Namespace is invalid: it is reserved.")),
        false => Ok(()),
    }
}

fn check(datum: &MetricDatum) -> Result<(), AwsError> {
    if !(1..=255).contains(&datum.metric_name.chars().count()) {
        return Err(invalid("The parameter MetricData.member.MetricName must have 1 to 255 characters."));
    }
    if datum.dimensions.len() > DIMENSIONS_MAX {
        return Err(invalid(format!("A metric has at most {DIMENSIONS_MAX} dimensions.")));
    }
    let is_broken = |dimension: &Dimension| dimension.name.is_empty() || dimension.value.is_empty();
    if datum.dimensions.iter().any(is_broken) {
        return Err(invalid("The name and the value of a dimension must not be empty."));
    }
    if let Some(unit) = datum.unit.as_ref().filter(|unit| !UNITS.contains(&unit.as_str())) {
        return Err(invalid(format!(
            "The parameter MetricData.member.Unit must be a value of StandardUnit, not {unit}."
        )));
    }
    match datum.storage_resolution {
        None | Some(1 | 60) => Ok(()),
        Some(_) => Err(invalid("The parameter MetricData.member.StorageResolution must be 1 or 60.")),
    }
}

fn data_of(datum: &MetricDatum, time_ms: i64) -> Result<Vec<Datum>, AwsError> {
    let given = (datum.value, &datum.statistic_values, &datum.values);
    let finite = |value: f64| match value.is_finite() {
        true => Ok(value),
        false => Err(invalid("The parameter MetricData.member.Value must be a number, and not infinite.")),
    };
    match given {
        (Some(value), None, None) => Ok(vec![Datum::of_value(time_ms, finite(value)?, 1.0)]),
        (None, Some(set), None) => {
            let StatisticSet { sample_count, sum, minimum, maximum } = set;
            if *sample_count <= 0.0 || minimum > maximum {
                return Err(invalid("StatisticValues must have samples, and a Minimum below its Maximum."));
            }
            Ok(vec![Datum { time_ms, count: *sample_count, sum: *sum, minimum: *minimum, maximum: *maximum }])
        }
        (None, None, Some(values)) => {
            let counts = datum.counts.clone().unwrap_or_else(|| vec![1.0; values.len()]);
            if values.len() > VALUES_MAX || counts.len() != values.len() {
                return Err(invalid(format!("Values has at most {VALUES_MAX} entries, and Counts as many as Values.")));
            }
            let pairs = values.iter().zip(&counts);
            pairs.map(|(value, count)| Ok(Datum::of_value(time_ms, finite(*value)?, *count))).collect()
        }
        _ => Err(combination("A datum must have one of Value, StatisticValues and Values.")),
    }
}
