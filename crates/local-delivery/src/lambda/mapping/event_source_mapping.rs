//! A mapping as it is kept and shown.

use aws_wire::AwsError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::pattern::Pattern;
use super::retry::RetryPolicy;
use crate::lambda::error;
use crate::lambda::function_name::Region;
use crate::lambda::store::Document;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mapping {
    pub uuid: String,
    pub function: String,
    pub source_arn: String,
    /// Of streams; queues have none.
    pub starting_position: Option<String>,
    /// Of AT_TIMESTAMP, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub starting_timestamp_ms: Option<i64>,
    pub settings: MappingSettings,
    pub last_modified_ms: i64,
    /// Drawn anew at every change.
    pub revision_id: String,
}

/// What `UpdateEventSourceMapping` may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MappingSettings {
    pub is_enabled: bool,
    pub batch_size: u32,
    pub batching_window_seconds: u32,
    pub parallelization_factor: u32,
    pub bisects: bool,
    /// −1 is for ever.
    pub retries_max: i32,
    /// −1 is for ever.
    pub record_age_seconds_max: i32,
    pub filters: Vec<String>,
    /// The ARN of a queue, or of a bucket.
    pub on_failure: Option<String>,
    pub reports_item_failures: bool,
    /// 0 where records are no part of windows.
    #[serde(default)]
    pub tumbling_window_seconds: u32,
    /// Of queues: how many batches may be in the function at a time.
    pub concurrency_max: Option<u32>,
}

impl Document for Mapping {
    const KIND: &'static str = "event-source-mapping";
}

/// What records a mapping reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceKind {
    DynamoDbStream,
    KinesisStream,
    Queue { is_fifo: bool },
}

impl SourceKind {
    /// Tells by the ARN; refuses what cannot be read here.
    pub(crate) fn of_arn(arn: &str) -> Result<Self, AwsError> {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        match parts[..] {
            ["arn", "aws", "dynamodb", _, _, resource] if resource.contains("/stream/") => Ok(Self::DynamoDbStream),
            ["arn", "aws", "kinesis", _, _, resource] if resource.contains("/consumer/") => {
                let what = "A consumer with enhanced fan-out as an event source";
                Err(error::not_served(what, "the ARN of its stream"))
            }
            ["arn", "aws", "kinesis", _, _, resource] if resource.starts_with("stream/") => Ok(Self::KinesisStream),
            ["arn", "aws", "sqs", _, _, name] => Ok(Self::Queue { is_fifo: name.ends_with(".fifo") }),
            ["arn", "aws", service, ..] if !["dynamodb", "kinesis"].contains(&service) => {
                let what = format!("An event source of {service}");
                Err(error::not_served(&what, "the ARN of a DynamoDB stream, a Kinesis stream or an SQS queue"))
            }
            _ => Err(error::invalid(format!("Unrecognized event source: {arn}"))),
        }
    }

    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::DynamoDbStream | Self::KinesisStream)
    }
}

impl MappingSettings {
    /// AWS's defaults.
    pub(crate) fn default_of(source: SourceKind) -> Self {
        Self {
            is_enabled: true,
            batch_size: if source.is_stream() { 100 } else { 10 },
            batching_window_seconds: 0,
            parallelization_factor: 1,
            bisects: false,
            retries_max: -1,
            record_age_seconds_max: -1,
            filters: Vec::new(),
            on_failure: None,
            reports_item_failures: false,
            tumbling_window_seconds: 0,
            concurrency_max: None,
        }
    }

    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy { retries_max: u32::try_from(self.retries_max).ok(), bisects: self.bisects }
    }

    /// The filters, which were checked when they were set.
    pub(crate) fn patterns(&self) -> Vec<Pattern> {
        self.filters.iter().filter_map(|text| Pattern::parse(text).ok()).collect()
    }
}

impl Mapping {
    pub(crate) fn source(&self) -> Result<SourceKind, AwsError> {
        SourceKind::of_arn(&self.source_arn)
    }

    /// Where it is.
    pub(crate) fn state(&self) -> &'static str {
        if self.settings.is_enabled { "Enabled" } else { "Disabled" }
    }

    /// The mapping as an `EventSourceMappingConfiguration`.
    pub(crate) fn configuration(&self, region: &Region, state: &str, last_result: &str) -> Value {
        let settings = &self.settings;
        let response_types: &[&str] = if settings.reports_item_failures { &["ReportBatchItemFailures"] } else { &[] };
        let mut shown = json!({
            "UUID": self.uuid,
            "EventSourceMappingArn": region.mapping_arn(&self.uuid),
            "EventSourceArn": self.source_arn,
            "FunctionArn": region.function_arn(&self.function),
            "BatchSize": settings.batch_size,
            "MaximumBatchingWindowInSeconds": settings.batching_window_seconds,
            "LastModified": self.last_modified_ms as f64 / 1000.0,
            "State": state,
            "StateTransitionReason": "USER_INITIATED",
            "FunctionResponseTypes": response_types,
        });
        if let Some(position) = &self.starting_position {
            let on_failure = settings.on_failure.as_ref().map_or(json!({}), |arn| json!({ "Destination": arn }));
            shown["StartingPosition"] = position.as_str().into();
            shown["ParallelizationFactor"] = settings.parallelization_factor.into();
            shown["BisectBatchOnFunctionError"] = settings.bisects.into();
            shown["MaximumRetryAttempts"] = settings.retries_max.into();
            shown["MaximumRecordAgeInSeconds"] = settings.record_age_seconds_max.into();
            shown["TumblingWindowInSeconds"] = settings.tumbling_window_seconds.into();
            shown["DestinationConfig"] = json!({ "OnFailure": on_failure });
            shown["LastProcessingResult"] = last_result.into();
        }
        if let Some(ms) = self.starting_timestamp_ms {
            shown["StartingPositionTimestamp"] = (ms as f64 / 1000.0).into();
        }
        if let Some(max) = settings.concurrency_max {
            shown["ScalingConfig"] = json!({ "MaximumConcurrency": max });
        }
        if !settings.filters.is_empty() {
            let filters: Vec<Value> = settings.filters.iter().map(|pattern| json!({ "Pattern": pattern })).collect();
            shown["FilterCriteria"] = json!({ "Filters": filters });
        }
        shown
    }
}
