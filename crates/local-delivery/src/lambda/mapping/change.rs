//! The members of a request that set what a mapping does.

use aws_wire::AwsError;
use serde::Deserialize;

use super::event_source_mapping::{MappingSettings, SourceKind};
use super::pattern::Pattern;
use crate::lambda::error;

/// AWS's limit of filters, before one asks for ten.
const FILTERS_MAX: usize = 5;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MappingChange {
    enabled: Option<bool>,
    batch_size: Option<i64>,
    maximum_batching_window_in_seconds: Option<i64>,
    parallelization_factor: Option<i64>,
    bisect_batch_on_function_error: Option<bool>,
    maximum_retry_attempts: Option<i64>,
    maximum_record_age_in_seconds: Option<i64>,
    tumbling_window_in_seconds: Option<i64>,
    filter_criteria: Option<FilterCriteria>,
    destination_config: Option<DestinationConfig>,
    function_response_types: Option<Vec<String>>,
    scaling_config: Option<ScalingConfig>,
}

/// The names of those members.
pub(super) const CHANGE: [&str; 12] = [
    "Enabled",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "TumblingWindowInSeconds",
    "FilterCriteria",
    "DestinationConfig",
    "FunctionResponseTypes",
    "ScalingConfig",
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterCriteria {
    #[serde(default)]
    filters: Vec<Filter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    pattern: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationConfig {
    on_failure: Option<Destination>,
    on_success: Option<Destination>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Destination {
    destination: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScalingConfig {
    maximum_concurrency: Option<i64>,
}

impl MappingChange {
    /// Applies what was asked for, or says what of it cannot be.
    pub(super) fn apply(self, source: SourceKind, settings: &mut MappingSettings) -> Result<(), AwsError> {
        self.refuse_foreign(source)?;
        let batch_size_max = match source {
            SourceKind::DynamoDbStream | SourceKind::KinesisStream | SourceKind::Queue { is_fifo: false } => 10_000,
            SourceKind::Queue { is_fifo: true } => 10,
        };
        set(&mut settings.batch_size, self.batch_size, 1, batch_size_max, "batchSize")?;
        let window = self.maximum_batching_window_in_seconds;
        set(&mut settings.batching_window_seconds, window, 0, 300, "maximumBatchingWindowInSeconds")?;
        set(&mut settings.parallelization_factor, self.parallelization_factor, 1, 10, "parallelizationFactor")?;
        set(&mut settings.retries_max, self.maximum_retry_attempts, -1, 10_000, "maximumRetryAttempts")?;
        let age = self.maximum_record_age_in_seconds;
        set(&mut settings.record_age_seconds_max, age, -1, 604_800, "maximumRecordAgeInSeconds")?;
        if (0..60).contains(&settings.record_age_seconds_max) {
            return Err(error::invalid("MaximumRecordAgeInSeconds must be -1, or between 60 and 604800"));
        }
        settings.is_enabled = self.enabled.unwrap_or(settings.is_enabled);
        settings.bisects = self.bisect_batch_on_function_error.unwrap_or(settings.bisects);
        let window = self.tumbling_window_in_seconds;
        set(&mut settings.tumbling_window_seconds, window, 0, 900, "tumblingWindowInSeconds")?;
        if settings.tumbling_window_seconds > 0 && settings.parallelization_factor > 1 {
            let what = "A tumbling window together with a ParallelizationFactor above 1";
            return Err(error::not_served(what, "one of the two"));
        }
        if let Some(criteria) = self.filter_criteria {
            settings.filters = filters(source, criteria)?;
        }
        if let Some(config) = self.destination_config {
            settings.on_failure = on_failure(config)?;
        }
        if let Some(types) = self.function_response_types {
            settings.reports_item_failures = reports_item_failures(&types)?;
        }
        if let Some(config) = self.scaling_config {
            let mut max = settings.concurrency_max.unwrap_or_default();
            set(&mut max, config.maximum_concurrency, 2, 1000, "scalingConfig.maximumConcurrency")?;
            settings.concurrency_max = config.maximum_concurrency.map(|_| max);
        }
        let needs_window = source == (SourceKind::Queue { is_fifo: false }) && settings.batch_size > 10;
        if needs_window && settings.batching_window_seconds == 0 {
            return Err(error::invalid(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10",
            ));
        }
        Ok(())
    }

    /// What the other kind of source has.
    fn refuse_foreign(&self, source: SourceKind) -> Result<(), AwsError> {
        let (foreign, kind) = match source {
            SourceKind::DynamoDbStream | SourceKind::KinesisStream => {
                (vec![("ScalingConfig", self.scaling_config.is_some())], "streams")
            }
            SourceKind::Queue { .. } => (
                vec![
                    ("ParallelizationFactor", self.parallelization_factor.is_some()),
                    ("BisectBatchOnFunctionError", self.bisect_batch_on_function_error.is_some()),
                    ("MaximumRetryAttempts", self.maximum_retry_attempts.is_some()),
                    ("MaximumRecordAgeInSeconds", self.maximum_record_age_in_seconds.is_some()),
                    ("TumblingWindowInSeconds", self.tumbling_window_in_seconds.is_some()),
                    ("DestinationConfig", self.destination_config.is_some()),
                ],
                "queues",
            ),
        };
        match foreign.iter().find(|(_, is_set)| *is_set) {
            Some((member, _)) => {
                Err(error::invalid(format!("Unsupported {member} parameter for event sources that are {kind}.")))
            }
            None => Ok(()),
        }
    }
}

fn set<T: TryFrom<i64>>(setting: &mut T, value: Option<i64>, min: i64, max: i64, member: &str) -> Result<(), AwsError> {
    let Some(value) = value else { return Ok(()) };
    let (rule, bound) = if value < min { ("greater", min) } else { ("less", max) };
    let rule = format!("Member must have value {rule} than or equal to {bound}");
    let is_within = (min..=max).contains(&value);
    *setting = T::try_from(value)
        .ok()
        .filter(|_| is_within)
        .ok_or_else(|| error::constraint(&value.to_string(), member, &rule))?;
    Ok(())
}

fn filters(source: SourceKind, criteria: FilterCriteria) -> Result<Vec<String>, AwsError> {
    if criteria.filters.len() > FILTERS_MAX {
        return Err(error::invalid(format!("A mapping has at most {FILTERS_MAX} filters")));
    }
    for filter in &criteria.filters {
        let checked = match source {
            SourceKind::KinesisStream => Pattern::parse_for_data(&filter.pattern),
            SourceKind::DynamoDbStream | SourceKind::Queue { .. } => Pattern::parse(&filter.pattern),
        };
        checked.map_err(|problem| error::invalid(format!("Invalid filter pattern definition: {problem}.")))?;
    }
    Ok(criteria.filters.into_iter().map(|filter| filter.pattern).collect())
}

fn on_failure(config: DestinationConfig) -> Result<Option<String>, AwsError> {
    let named = |destination: Option<Destination>| {
        destination.and_then(|destination| destination.destination).filter(|arn| !arn.is_empty())
    };
    if named(config.on_success).is_some() {
        return Err(error::invalid(
            "Unsupported DestinationConfig.OnSuccess parameter for given event source mapping.",
        ));
    }
    match named(config.on_failure) {
        Some(arn) if arn.starts_with("arn:aws:sqs:") || arn.starts_with("arn:aws:s3:::") => Ok(Some(arn)),
        Some(arn) => {
            Err(error::not_served(&format!("The destination {arn}"), "the ARN of an SQS queue or of an S3 bucket"))
        }
        None => Ok(None),
    }
}

fn reports_item_failures(types: &[String]) -> Result<bool, AwsError> {
    match types.iter().find(|kind| *kind != "ReportBatchItemFailures") {
        Some(other) => {
            let rule = "Member must satisfy enum value set: [ReportBatchItemFailures]";
            Err(error::constraint(other, "functionResponseTypes", rule))
        }
        None => Ok(!types.is_empty()),
    }
}
