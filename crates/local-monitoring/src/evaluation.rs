//! What state an alarm is in: out of the last periods, and what their gaps count as.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    #[serde(rename = "OK")]
    Ok,
    #[serde(rename = "ALARM")]
    Alarm,
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

/// What a period without data counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Gaps {
    Breaching,
    NotBreaching,
    Ignore,
    #[default]
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Comparison {
    #[serde(rename = "GreaterThanOrEqualToThreshold")]
    GreaterOrEqual,
    #[serde(rename = "GreaterThanThreshold")]
    Greater,
    #[serde(rename = "LessThanThreshold")]
    Less,
    #[serde(rename = "LessThanOrEqualToThreshold")]
    LessOrEqual,
}

impl Comparison {
    pub fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterOrEqual => value >= threshold,
            Self::Greater => value > threshold,
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
        }
    }
}

/// When an alarm is to go off: `to_alarm` of `periods` periods.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rule {
    pub comparison: Comparison,
    pub threshold: f64,
    pub period_ms: i64,
    pub periods: usize,
    pub to_alarm: usize,
    pub missing: Gaps,
}

/// Periods that are looked at beyond those that count, for data that takes the place of gaps.
const FURTHER_PERIODS: usize = 2;

impl Rule {
    /// From where to where data is looked at: periods that have ended.
    pub fn range_ms(&self, now_ms: i64) -> (i64, i64) {
        let end = now_ms - now_ms.rem_euclid(self.period_ms);
        let periods = (self.periods + FURTHER_PERIODS) as i64;
        (end - periods * self.period_ms, end)
    }

    /// The state that follows from the values of periods, by their beginning. `None` where the state stays.
    pub fn decide(&self, values: &BTreeMap<i64, f64>) -> Option<State> {
        let latest: Vec<f64> = values.values().rev().take(self.periods).copied().collect();
        let breaching = latest.iter().filter(|value| self.comparison.breaches(**value, self.threshold)).count();
        let gaps = self.periods - latest.len();
        let alarm_if = |is_alarm: bool| Some(if is_alarm { State::Alarm } else { State::Ok });
        let all_breach = !latest.is_empty() && breaching == latest.len();
        match self.missing {
            _ if breaching >= self.to_alarm => Some(State::Alarm),
            Gaps::Breaching => alarm_if(breaching + gaps >= self.to_alarm),
            Gaps::NotBreaching => Some(State::Ok),
            Gaps::Ignore if latest.is_empty() || all_breach => None,
            Gaps::Missing if latest.is_empty() => Some(State::InsufficientData),
            Gaps::Missing => alarm_if(all_breach),
            Gaps::Ignore => Some(State::Ok),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `X` breaches, `0` does not, `-` is a gap; the last period is the last one.
    fn decide(periods: &str, to_alarm: usize, missing: Gaps) -> Option<State> {
        let rule =
            Rule { comparison: Comparison::Greater, threshold: 0.5, period_ms: 1, periods: 3, to_alarm, missing };
        let values = (0..).zip(periods.chars()).filter(|(_, period)| *period != '-');
        rule.decide(&values.map(|(at, period)| (at, if period == 'X' { 1.0 } else { 0.0 })).collect())
    }

    #[test]
    fn gaps_count_as_the_alarm_says() {
        use Gaps::{Breaching, Ignore, NotBreaching};
        use State::{Alarm, InsufficientData, Ok};
        // The cases that AWS's page has, for three of three and for two of three.
        let three_of_three = [
            ("0-X-X", [Some(Ok), Some(Ok), Some(Ok), Some(Ok)]),
            ("----0", [Some(Ok), Some(Ok), Some(Ok), Some(Ok)]),
            ("-----", [Some(InsufficientData), None, Some(Alarm), Some(Ok)]),
            ("0XX-X", [Some(Alarm), Some(Alarm), Some(Alarm), Some(Alarm)]),
            ("--X--", [Some(Alarm), None, Some(Alarm), Some(Ok)]),
        ];
        let two_of_three = [
            ("0-X-X", [Some(Alarm), Some(Alarm), Some(Alarm), Some(Alarm)]),
            ("00X0X", [Some(Alarm), Some(Alarm), Some(Alarm), Some(Alarm)]),
            ("0-X--", [Some(Ok), Some(Ok), Some(Alarm), Some(Ok)]),
            ("----X", [Some(Alarm), None, Some(Alarm), Some(Ok)]),
        ];
        for (cases, to_alarm) in [(&three_of_three[..], 3), (&two_of_three[..], 2)] {
            for (periods, expected) in cases {
                let found = [Gaps::Missing, Ignore, Breaching, NotBreaching];
                let found = found.map(|missing| decide(periods, to_alarm, missing));
                assert_eq!(found, *expected, "{periods}, {to_alarm} of 3");
            }
        }
    }

    #[test]
    fn a_period_counts_once_it_has_ended() {
        let comparison = Comparison::Less;
        let rule =
            Rule { comparison, threshold: 1.0, period_ms: 60_000, periods: 1, to_alarm: 1, missing: Gaps::Ignore };
        assert_eq!(rule.range_ms(600_001), (420_000, 600_000));
    }
}
