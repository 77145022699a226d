//! GetMetricData, GetMetricStatistics and ListMetrics.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{combination, invalid, invalid_token, validation};
use crate::call::{Answer, Call, milliseconds, page, seconds};
use crate::metric::{Dimension, to_list, to_map};
use crate::statistic::{Statistic, by_period};
use crate::store::Series;

const QUERIES_MAX: usize = 500;
/// Data points that one answer holds, at most and unless less is asked for.
const POINTS_MAX: usize = 100_800;
const STATISTICS_POINTS_MAX: i64 = 1_440;
const METRICS_PER_PAGE: usize = 500;
/// ListMetrics shows what had data in two weeks; with RecentlyActive, in three hours.
const RECENTLY_MS: i64 = 3 * 60 * 60 * 1_000;

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Metric {
    pub namespace: String,
    pub metric_name: String,
    #[serde(default)]
    pub dimensions: Vec<Dimension>,
}

impl Metric {
    pub fn series(&self) -> Series {
        let (namespace, name) = (self.namespace.clone(), self.metric_name.clone());
        Series { namespace, name, dimensions: to_map(&self.dimensions) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetMetricData {
    metric_data_queries: Vec<MetricDataQuery>,
    start_time: f64,
    end_time: f64,
    next_token: Option<String>,
    scan_by: Option<String>,
    max_datapoints: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct MetricDataQuery {
    id: String,
    metric_stat: Option<MetricStat>,
    expression: Option<String>,
    label: Option<String>,
    return_data: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct MetricStat {
    metric: Metric,
    period: i64,
    stat: String,
    unit: Option<String>,
}

pub(super) fn get_metric_data(call: &Call<'_>) -> Answer {
    let request: GetMetricData = call.parse()?;
    if !(1..=QUERIES_MAX).contains(&request.metric_data_queries.len()) {
        return Err(validation(format!("MetricDataQueries must have 1 to {QUERIES_MAX} members")));
    }
    if request.next_token.is_some() {
        // All that is asked for is in the first answer.
        return Err(invalid_token());
    }
    let range = range(request.start_time, request.end_time)?;
    let is_ascending = match request.scan_by.as_deref() {
        None | Some("TimestampDescending") => false,
        Some("TimestampAscending") => true,
        Some(other) => return Err(validation(format!("ScanBy {other} is not known"))),
    };
    let mut results = Vec::new();
    for query in request.metric_data_queries.iter().filter(|query| query.return_data != Some(false)) {
        let points = points_of(call, query, range)?;
        let points_max = request.max_datapoints.unwrap_or(POINTS_MAX).min(POINTS_MAX);
        let mut points: Vec<(i64, f64)> = points.into_iter().collect();
        if !is_ascending {
            points.reverse();
        }
        if points.len() > points_max {
            let message = format!("Query {} has {} data points, more than {points_max}", query.id, points.len());
            return Err(validation(format!("{message}. Try: a longer Period, or a shorter time")));
        }
        let label = query.label.clone().or_else(|| Some(query.metric_stat.as_ref()?.metric.metric_name.clone()));
        results.push(json!({
            "Id": query.id,
            "Label": label.unwrap_or_default(),
            "Timestamps": points.iter().map(|(at, _)| seconds(*at)).collect::<Vec<_>>(),
            "Values": points.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
            "StatusCode": "Complete",
        }));
    }
    Ok(json!({ "MetricDataResults": results, "Messages": [] }))
}

fn points_of(
    call: &Call<'_>,
    query: &MetricDataQuery,
    (from_ms, to_ms): (i64, i64),
) -> Result<BTreeMap<i64, f64>, AwsError> {
    if let Some(expression) = &query.expression {
        let message = format!("Query {}: the expression {expression} is not served here", query.id);
        return Err(validation(format!("{message}. Try: MetricStat")));
    }
    let Some(stat) = &query.metric_stat else {
        return Err(validation(format!("Query {} must have a MetricStat", query.id)));
    };
    let statistic = Statistic::parse(&stat.stat)
        .ok_or_else(|| validation(format!("Statistic {} is not served. Try: Sum, Average, p99", stat.stat)))?;
    let period_ms = period_ms(stat.period)?;
    let data = call.store.data(&call.region, &stat.metric.series(), stat.unit.as_deref(), from_ms, to_ms)?;
    Ok(by_period(statistic, &data, period_ms))
}

/// One second, five, ten, thirty, or whole minutes.
pub(super) fn period_ms(period: i64) -> Result<i64, AwsError> {
    match matches!(period, 1 | 5 | 10 | 20 | 30) || (period > 0 && period % 60 == 0) {
        true => Ok(period * 1_000),
        false => Err(invalid("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")),
    }
}

fn range(start: f64, end: f64) -> Result<(i64, i64), AwsError> {
    match start < end {
        true => Ok((milliseconds(start), milliseconds(end))),
        false => Err(validation("The parameter StartTime must be before EndTime")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct GetMetricStatistics {
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    start_time: f64,
    end_time: f64,
    period: i64,
    #[serde(default)]
    statistics: Vec<String>,
    #[serde(default)]
    extended_statistics: Vec<String>,
    unit: Option<String>,
}

pub(super) fn get_metric_statistics(call: &Call<'_>) -> Answer {
    let request: GetMetricStatistics = call.parse()?;
    if request.statistics.is_empty() == request.extended_statistics.is_empty() {
        return Err(combination("Give Statistics or ExtendedStatistics, and not both."));
    }
    let (from_ms, to_ms) = range(request.start_time, request.end_time)?;
    let period_ms = period_ms(request.period)?;
    if (to_ms - from_ms) / period_ms > STATISTICS_POINTS_MAX {
        let message = format!("You have requested more than {STATISTICS_POINTS_MAX} data points");
        return Err(combination(format!("{message}. Try: a longer Period, or a shorter time")));
    }
    let GetMetricStatistics { namespace, metric_name, dimensions, .. } = request;
    let metric = Metric { namespace, metric_name, dimensions };
    let data = call.store.data(&call.region, &metric.series(), request.unit.as_deref(), from_ms, to_ms)?;
    let mut points: BTreeMap<i64, Value> = BTreeMap::new();
    for name in request.statistics.iter().chain(&request.extended_statistics) {
        let statistic = Statistic::parse(name).ok_or_else(|| invalid(format!("Statistic {name} is not served.")))?;
        let is_extended = matches!(statistic, Statistic::Percentile(_));
        if is_extended != request.statistics.is_empty() {
            return Err(invalid(format!("{name} does not belong there.")));
        }
        for (at, value) in by_period(statistic, &data, period_ms) {
            let unit = request.unit.as_deref().unwrap_or("None");
            let point = points.entry(at).or_insert_with(|| json!({ "Timestamp": seconds(at), "Unit": unit }));
            match is_extended {
                true => point["ExtendedStatistics"][name] = value.into(),
                false => point[name] = value.into(),
            }
        }
    }
    Ok(json!({ "Label": metric.metric_name, "Datapoints": points.into_values().collect::<Vec<_>>() }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ListMetrics {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<DimensionFilter>,
    next_token: Option<String>,
    recently_active: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DimensionFilter {
    name: String,
    value: Option<String>,
}

pub(super) fn list_metrics(call: &Call<'_>) -> Answer {
    let request: ListMetrics = call.parse()?;
    if request.recently_active.as_deref().is_some_and(|active| active != "PT3H") {
        return Err(invalid("The parameter RecentlyActive must be PT3H."));
    }
    let is_wanted = |series: &Series| {
        let has = |filter: &DimensionFilter| {
            let value = series.dimensions.get(&filter.name);
            value.is_some_and(|value| filter.value.as_ref().is_none_or(|wanted| wanted == value))
        };
        request.namespace.as_ref().is_none_or(|namespace| *namespace == series.namespace)
            && request.metric_name.as_ref().is_none_or(|name| *name == series.name)
            && request.dimensions.iter().all(has)
    };
    let mut series: Vec<Series> = call.store.series(&call.region)?.into_iter().filter(is_wanted).collect();
    if request.recently_active.is_some() {
        let mut active = Vec::new();
        for one in series {
            let data = call.store.data(&call.region, &one, None, call.now_ms - RECENTLY_MS, i64::MAX)?;
            active.extend((!data.is_empty()).then_some(one));
        }
        series = active;
    }
    let key = |series: &Series| format!("{}\u{0}{}\u{0}{:?}", series.namespace, series.name, series.dimensions);
    series.sort_by_key(key);
    let (series, next) = page(series, request.next_token.as_deref(), METRICS_PER_PAGE, key);
    let metrics: Vec<Value> = series
        .iter()
        .map(|series| {
            let dimensions = to_list(&series.dimensions);
            json!({ "Namespace": series.namespace, "MetricName": series.name, "Dimensions": dimensions })
        })
        .collect();
    let mut answer = json!({ "Metrics": metrics });
    if let Some(next) = next {
        answer["NextToken"] = next.into();
    }
    Ok(answer)
}
