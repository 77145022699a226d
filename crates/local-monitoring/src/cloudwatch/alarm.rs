//! An alarm: when it goes off, and what state it is in.

use std::collections::BTreeMap;

use aws_wire::AwsError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{combination, invalid, validation};
use super::read::period_ms;
use crate::call::seconds;
use crate::evaluation::{Comparison, Gaps, Rule, State};
use crate::metric::{Dimension, to_map};
use crate::statistic::Statistic;
use crate::store::Series;

/// As PutMetricAlarm gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Definition {
    pub alarm_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_description: Option<String>,
    #[serde(default = "yes")]
    pub actions_enabled: bool,
    #[serde(default, rename = "OKActions")]
    pub ok_actions: Vec<String>,
    #[serde(default)]
    pub alarm_actions: Vec<String>,
    #[serde(default)]
    pub insufficient_data_actions: Vec<String>,
    pub metric_name: String,
    pub namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_statistic: Option<String>,
    #[serde(default)]
    pub dimensions: Vec<Dimension>,
    pub period: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    pub evaluation_periods: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datapoints_to_alarm: Option<usize>,
    pub threshold: f64,
    pub comparison_operator: Comparison,
    #[serde(default, skip_serializing_if = "is_default")]
    pub treat_missing_data: Gaps,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct Tag {
    pub key: String,
    pub value: String,
}

fn yes() -> bool {
    true
}

fn is_default(missing: &Gaps) -> bool {
    *missing == Gaps::default()
}

/// As it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Alarm {
    pub definition: Definition,
    pub arn: String,
    pub configured_ms: i64,
    pub state: State,
    pub reason: String,
    pub reason_data: Option<String>,
    pub state_ms: i64,
}

/// What actions a state has, and periods an evaluation may look at.
const ACTIONS_MAX: usize = 5;
const DAY_SECONDS: i64 = 24 * 60 * 60;

impl Definition {
    /// Refuses what CloudWatch refuses.
    pub fn check(&self) -> Result<(), AwsError> {
        if !(1..=255).contains(&self.alarm_name.chars().count()) {
            return Err(validation("AlarmName must have 1 to 255 characters"));
        }
        if self.statistic.is_some() == self.extended_statistic.is_some() {
            return Err(combination("Give Statistic or ExtendedStatistic, and not both."));
        }
        let Some(statistic) = self.statistic() else {
            return Err(invalid("The statistic is not served. Try: Sum, Average, p99"));
        };
        if matches!(statistic, Statistic::Percentile(_)) != self.extended_statistic.is_some() {
            return Err(invalid("A percentile is an ExtendedStatistic, and everything else a Statistic."));
        }
        if self.period < 10 {
            return Err(invalid("The parameter Period of an alarm must be 10, 20, 30 or a multiple of 60."));
        }
        period_ms(self.period)?;
        let to_alarm = self.datapoints_to_alarm.unwrap_or(self.evaluation_periods);
        if self.evaluation_periods == 0 || !(1..=self.evaluation_periods).contains(&to_alarm) {
            return Err(validation("DatapointsToAlarm must be from 1 to EvaluationPeriods"));
        }
        if self.period.saturating_mul(self.evaluation_periods as i64) > 7 * DAY_SECONDS {
            return Err(validation(
                "Metrics cannot be checked across more than seven days (EvaluationPeriods * Period)",
            ));
        }
        let actions = [&self.ok_actions, &self.alarm_actions, &self.insufficient_data_actions];
        if actions.iter().any(|actions| actions.len() > ACTIONS_MAX) {
            return Err(validation(format!("A state has at most {ACTIONS_MAX} actions")));
        }
        Ok(())
    }

    pub fn statistic(&self) -> Option<Statistic> {
        Statistic::parse(self.statistic.as_deref().or(self.extended_statistic.as_deref())?)
    }

    pub fn series(&self) -> Series {
        let (namespace, name) = (self.namespace.clone(), self.metric_name.clone());
        Series { namespace, name, dimensions: to_map(&self.dimensions) }
    }

    pub fn rule(&self) -> Rule {
        Rule {
            comparison: self.comparison_operator,
            threshold: self.threshold,
            period_ms: self.period * 1_000,
            periods: self.evaluation_periods,
            to_alarm: self.datapoints_to_alarm.unwrap_or(self.evaluation_periods),
            missing: self.treat_missing_data,
        }
    }

    pub fn actions_of(&self, state: State) -> &[String] {
        match state {
            State::Ok => &self.ok_actions,
            State::Alarm => &self.alarm_actions,
            State::InsufficientData => &self.insufficient_data_actions,
        }
    }
}

impl Alarm {
    pub fn new(definition: Definition, arn: String, now_ms: i64) -> Self {
        let (state, reason) = (State::InsufficientData, "Unchecked: Initial alarm creation".to_owned());
        Self { definition, arn, configured_ms: now_ms, state, reason, reason_data: None, state_ms: now_ms }
    }

    /// As DescribeAlarms shows it.
    pub fn describe(&self) -> Result<Value, serde_json::Error> {
        let mut shown = serde_json::to_value(&self.definition)?;
        let members = shown.as_object_mut().expect("a struct is an object");
        // Tags are asked for by themselves.
        members.remove("Tags");
        let state = json!({
            "AlarmArn": self.arn,
            "AlarmConfigurationUpdatedTimestamp": seconds(self.configured_ms),
            "StateValue": self.state.name(),
            "StateReason": self.reason,
            "StateUpdatedTimestamp": seconds(self.state_ms),
            "StateTransitionedTimestamp": seconds(self.state_ms),
        });
        members.extend(state.as_object().cloned().unwrap_or_default());
        if let Some(data) = &self.reason_data {
            members.insert("StateReasonData".to_owned(), json!(data));
        }
        Ok(shown)
    }

    /// Says why a state follows from the values of the periods that were looked at.
    pub fn reason_for(&self, state: State, values: &BTreeMap<i64, f64>) -> String {
        let definition = &self.definition;
        let shown: Vec<String> =
            values.values().rev().take(definition.evaluation_periods).map(f64::to_string).collect();
        let comparison = match definition.comparison_operator {
            Comparison::GreaterOrEqual => "greater than or equal to",
            Comparison::Greater => "greater than",
            Comparison::Less => "less than",
            Comparison::LessOrEqual => "less than or equal to",
        };
        let threshold = definition.threshold;
        match (shown.is_empty(), state) {
            (true, State::InsufficientData) => "Insufficient Data: no datapoint was received".to_owned(),
            (true, _) => "Threshold Crossed: no datapoint was received, and missing data was treated as set".to_owned(),
            (false, State::Alarm) => {
                format!(
                    "Threshold Crossed: datapoints [{}] were {comparison} the threshold ({threshold})",
                    shown.join(", ")
                )
            }
            (false, _) => {
                let said = format!("datapoints [{}] were not {comparison} the threshold", shown.join(", "));
                format!("Threshold Crossed: {said} ({threshold}) often enough")
            }
        }
    }
}
