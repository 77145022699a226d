//! What went wrong, in Athena's words and numbers.

use aws_wire::AwsError;
use serde_json::Value;

use crate::athena::execution::AthenaError;

/// How a query failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub reason: String,
    pub error: AthenaError,
}

// Numbers of the error catalog: https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
const EXHAUSTED: i32 = 0;
const ENGINE: i32 = 200;
const TIMED_OUT: i32 = 206;
const RESULTS_NOT_WRITTEN: i32 = 401;
const USER: i32 = 1000;

impl Failure {
    fn new(category: i32, kind: i32, is_retryable: bool, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), error: AthenaError { category, kind, is_retryable } }
    }

    pub(super) fn of_user(reason: impl Into<String>) -> Self {
        Self::new(2, USER, false, reason)
    }

    pub(super) fn of_engine(reason: impl Into<String>) -> Self {
        Self::new(1, ENGINE, true, reason)
    }

    pub(super) fn timed_out() -> Self {
        Self::new(2, TIMED_OUT, false, "Query timeout")
    }

    pub(super) fn results_not_written(reason: impl Into<String>) -> Self {
        Self::new(1, RESULTS_NOT_WRITTEN, true, reason)
    }

    /// `COLUMN_NOT_FOUND: line 5:20: Column 'x' cannot be resolved … Try: y`.
    pub(super) fn of_query(error: &query::Error) -> Self {
        let place = error.place().map(|place| format!("line {}:{}: ", place.line, place.column)).unwrap_or_default();
        let (kind, allowed) = match error.code() {
            "DYN200" => ("SYNTAX_ERROR", ""),
            "DYN201" => ("COLUMN_NOT_FOUND", " or requester is not authorized to access requested resources"),
            "DYN202" => ("TABLE_NOT_FOUND", " or requester is not authorized to access requested resources"),
            "DYN203" => ("AMBIGUOUS_NAME", ""),
            "DYN204" | "DYN211" => ("NOT_SUPPORTED", ""),
            "DYN205" => ("FUNCTION_NOT_FOUND", ""),
            "DYN206" => ("SYNTAX_ERROR", ""),
            "DYN212" | "DYN217" => ("NOT_SUPPORTED", ""),
            "DYN213" => ("PERMISSION_DENIED", ""),
            "DYN214" => ("MERGE_TARGET_ROW_MULTIPLE_MATCHES", ""),
            "DYN215" => ("ICEBERG_COMMIT_ERROR", ""),
            "DYN208" => {
                let reason = format!("Query exhausted resources at this scale factor: {error}");
                return Self::new(2, EXHAUSTED, false, reason);
            }
            "DYN216" => return Self::of_user(format!("{error}. Try: {}", error.help().unwrap_or_default())),
            "DYN209" => return Self::of_engine(format!("GENERIC_INTERNAL_ERROR: {error}")),
            _ => ("GENERIC_USER_ERROR", ""),
        };
        let label = error.label().map(|label| format!("; {label}")).unwrap_or_default();
        let help = error.help().map(|help| format!(". Try: {help}")).unwrap_or_default();
        Self::of_user(format!("{kind}: {place}{error}{allowed}{label}{help}"))
    }
}

/// An InvalidRequestException.
pub(super) fn invalid(message: impl Into<String>) -> AwsError {
    let mut error = AwsError::bad_request("InvalidRequestException", message);
    error.details.insert("AthenaErrorCode".to_owned(), Value::from("INVALID_INPUT"));
    error
}

/// Too much at once.
pub(super) fn too_many() -> AwsError {
    let message = "You have exceeded the limit for the number of queries you can run concurrently.";
    let mut error = AwsError::bad_request("TooManyRequestsException", message);
    error.details.insert("Reason".to_owned(), Value::from("CONCURRENT_QUERY_LIMIT_EXCEEDED"));
    error
}
