//! Records that cannot be delivered, in the lines of error objects.
//!
//! <https://docs.aws.amazon.com/firehose/latest/dev/apache-iceberg-troubleshooting.html>, and for functions
//! <https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html>

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};

use crate::firehose::buffer::Arrived;
use crate::firehose::error::Result;

/// Why, and where it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub kind: Kind,
    pub code: String,
    pub message: String,
    /// The error output prefix of the table, or of the destination.
    pub prefix: String,
    pub attempts: u32,
    /// Further members of the line, such as `lambdaArn`.
    pub details: Map<String, Value>,
}

/// Which step failed; the folder of the error object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Processing,
    MetadataExtraction,
    Iceberg,
    FormatConversion,
}

impl Kind {
    pub fn folder(self) -> &'static str {
        match self {
            Self::Processing => "processing-failed",
            Self::MetadataExtraction => "metadata-extraction-failed",
            Self::Iceberg => "iceberg-failed",
            Self::FormatConversion => "format-conversion-failed",
        }
    }
}

impl Failure {
    pub fn new(kind: Kind, code: impl Into<String>, message: impl Into<String>, prefix: &str) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            prefix: prefix.to_owned(),
            attempts: 1,
            details: Map::new(),
        }
    }

    pub fn store(&self, connection: &Connection, stream: i64, record: &Arrived, now_ms: i64) -> Result<()> {
        let mut line = json!({
            "attemptsMade": self.attempts,
            "arrivalTimestamp": record.arrived_ms,
            "errorCode": self.code,
            "errorMessage": self.message,
            "attemptEndingTimestamp": now_ms,
            "rawData": BASE64_STANDARD.encode(&record.data),
        });
        for (name, value) in &self.details {
            line[name] = value.clone();
        }
        let sql = "INSERT INTO failure (stream, record, failed_at, arrived_at, prefix, kind, line)
                   VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        connection.prepare_cached(sql)?.execute(params![
            stream,
            record.number,
            now_ms,
            record.arrived_ms,
            self.prefix,
            self.kind.folder(),
            line.to_string(),
        ])?;
        Ok(())
    }
}
