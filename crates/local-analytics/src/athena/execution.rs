//! One query execution: what was asked, how far it is, what it left.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::athena::column::ColumnInfo;
use crate::athena::statement::StatementType;
use crate::json::seconds;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum State {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// Whose fault a failure is, in Athena's numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AthenaError {
    /// 1 is the system, 2 the user, 3 neither.
    pub category: i32,
    /// A number of Athena's error catalog.
    pub kind: i32,
    pub is_retryable: bool,
}

/// What decides whether two queries are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub query: String,
    pub catalog: Option<String>,
    pub database: Option<String>,
    pub work_group: String,
    pub parameters: Vec<String>,
    /// The folder that the caller named.
    pub output: Option<String>,
}

/// It is kept as it is here: every field that is added must have a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Execution {
    pub id: String,
    /// Account and region, as rows have them.
    pub region: String,
    /// The ARN of whoever started it.
    pub owner: String,
    pub asked: Asked,
    pub statement_type: StatementType,
    pub substatement: String,
    /// The object with the rows: `s3://bucket/prefix/<id>.csv`.
    pub output_location: String,
    pub reuse_minutes: Option<i64>,
    pub is_reused: bool,
    pub state: State,
    pub reason: Option<String>,
    pub error: Option<AthenaError>,
    pub submitted_ms: i64,
    /// When it left the queue.
    pub started_ms: Option<i64>,
    pub completed_ms: Option<i64>,
    pub bytes_scanned: u64,
    pub row_count: u64,
    /// Rows that the statement wrote; `None` for one that reads.
    #[serde(default)]
    pub update_count: Option<u64>,
    /// The object that lists the files of an UNLOAD.
    #[serde(default)]
    pub manifest_location: Option<String>,
    pub output_bytes: u64,
    pub columns: Vec<ColumnInfo>,
    /// The grants that were in force, by their version.
    pub policy_version: u64,
}

impl Execution {
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Succeeded | State::Failed | State::Cancelled)
    }

    /// As GetQueryExecution shows it; `now_ms` counts for what still runs.
    pub(super) fn shown(&self, now_ms: i64) -> Value {
        let asked = &self.asked;
        let mut shown = json!({
            "QueryExecutionId": self.id,
            "Query": asked.query,
            "StatementType": self.statement_type,
            "SubstatementType": self.substatement,
            "ManagedQueryResultsConfiguration": { "Enabled": false },
            "ResultConfiguration": { "OutputLocation": self.output_location },
            "ResultReuseConfiguration": {
                "ResultReuseByAgeConfiguration": { "Enabled": self.reuse_minutes.is_some() },
            },
            "QueryExecutionContext": without_nulls(json!({ "Database": asked.database, "Catalog": asked.catalog })),
            "Status": self.status(),
            "Statistics": self.statistics(now_ms),
            "WorkGroup": asked.work_group,
            "EngineVersion": super::work_groups::engine_version(),
        });
        if let Some(minutes) = self.reuse_minutes {
            shown["ResultReuseConfiguration"]["ResultReuseByAgeConfiguration"]["MaxAgeInMinutes"] = minutes.into();
        }
        if !asked.parameters.is_empty() {
            shown["ExecutionParameters"] = asked.parameters.clone().into();
        }
        shown
    }

    fn status(&self) -> Value {
        let error = self.error.as_ref().map(|error| {
            json!({
                "ErrorCategory": error.category,
                "ErrorType": error.kind,
                "Retryable": error.is_retryable,
                "ErrorMessage": self.reason,
            })
        });
        without_nulls(json!({
            "State": self.state,
            "StateChangeReason": self.reason,
            "SubmissionDateTime": seconds(self.submitted_ms),
            "CompletionDateTime": self.completed_ms.map(seconds),
            "AthenaError": error,
        }))
    }

    fn statistics(&self, now_ms: i64) -> Value {
        let mut statistics = self.timeline(now_ms);
        statistics["DataScannedInBytes"] = self.bytes_scanned.into();
        if let Some(location) = &self.manifest_location {
            statistics["DataManifestLocation"] = location.as_str().into();
        }
        statistics["ResultReuseInformation"] = json!({ "ReusedPreviousResult": self.is_reused });
        statistics
    }

    /// How long each phase took. Planning is part of the engine's time here.
    pub(super) fn timeline(&self, now_ms: i64) -> Value {
        let ended = self.completed_ms.unwrap_or(now_ms);
        let started = self.started_ms.unwrap_or(ended);
        json!({
            "QueryQueueTimeInMillis": started - self.submitted_ms,
            "ServicePreProcessingTimeInMillis": 0,
            "QueryPlanningTimeInMillis": 0,
            "EngineExecutionTimeInMillis": ended - started,
            "ServiceProcessingTimeInMillis": 0,
            "TotalExecutionTimeInMillis": ended - self.submitted_ms,
        })
    }
}

/// AWS leaves out what is not there.
pub(super) fn without_nulls(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    value
}
