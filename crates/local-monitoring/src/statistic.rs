//! Sums the data of a period up.

use std::collections::BTreeMap;

use crate::metric::Datum;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
    /// From 0 to 100.
    Percentile(f64),
}

impl Statistic {
    /// Reads `Average` or `p99.9`. Others of CloudWatch's (trimmed means, ranks) are not served.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "SampleCount" => Self::SampleCount,
            "Average" => Self::Average,
            "Sum" => Self::Sum,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            other => {
                let share: f64 = other.strip_prefix('p')?.parse().ok()?;
                return (0.0..=100.0).contains(&share).then_some(Self::Percentile(share));
            }
        })
    }

    /// `None` where there is nothing to sum up.
    pub fn of(self, data: &[Datum]) -> Option<f64> {
        let count: f64 = data.iter().map(|datum| datum.count).sum();
        if data.is_empty() || count <= 0.0 {
            return None;
        }
        let sum = || data.iter().map(|datum| datum.sum).sum::<f64>();
        Some(match self {
            Self::SampleCount => count,
            Self::Sum => sum(),
            Self::Average => sum() / count,
            Self::Minimum => data.iter().map(|datum| datum.minimum).fold(f64::INFINITY, f64::min),
            Self::Maximum => data.iter().map(|datum| datum.maximum).fold(f64::NEG_INFINITY, f64::max),
            Self::Percentile(share) => percentile(data, share / 100.0 * count),
        })
    }
}

/// The value below which `rank` of the samples lie. A summary counts as its average.
fn percentile(data: &[Datum], rank: f64) -> f64 {
    let mut values: Vec<(f64, f64)> = data.iter().map(|datum| (datum.sum / datum.count, datum.count)).collect();
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut seen = 0.0;
    for (value, count) in &values {
        seen += count;
        if seen >= rank {
            return *value;
        }
    }
    values.last().map_or(0.0, |(value, _)| *value)
}

/// The statistic of each period that has data, by the period's beginning. Periods begin at multiples of their length.
pub(crate) fn by_period(statistic: Statistic, data: &[Datum], period_ms: i64) -> BTreeMap<i64, f64> {
    let mut periods: BTreeMap<i64, Vec<Datum>> = BTreeMap::new();
    for datum in data {
        periods.entry(datum.time_ms - datum.time_ms.rem_euclid(period_ms)).or_default().push(*datum);
    }
    periods.into_iter().filter_map(|(begin, data)| Some((begin, statistic.of(&data)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_summed_up_by_themselves() {
        let data = [(0, 1.0), (30_000, 3.0), (60_000, 10.0)].map(|(at, value)| Datum::of_value(at, value, 1.0));
        let of = |statistic: &str| {
            by_period(Statistic::parse(statistic).unwrap(), &data, 60_000).into_values().collect::<Vec<_>>()
        };
        assert_eq!(of("Sum"), [4.0, 10.0]);
        assert_eq!(of("Average"), [2.0, 10.0]);
        assert_eq!(of("SampleCount"), [2.0, 1.0]);
        assert_eq!(of("Minimum"), [1.0, 10.0]);
        assert_eq!(of("Maximum"), [3.0, 10.0]);
        assert_eq!(of("p50"), [1.0, 10.0]);
        assert_eq!(of("p99.9"), [3.0, 10.0]);
        assert_eq!(Statistic::parse("tm90"), None);
        assert_eq!(Statistic::parse("p101"), None);
    }
}
