//! A committed change as DynamoDB puts it into a Kinesis stream.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Change, event_id, raw};
use crate::kinesis::destination::Precision;
use crate::shard_log::stream::SEQUENCE_NUMBER_MIN;

impl Change<'_> {
    /// The record's JSON, always with both images.
    pub(crate) fn render_for_kinesis(&self, region: &str, precision: Precision) -> Vec<u8> {
        let row = self.row;
        let drawn = SEQUENCE_NUMBER_MIN + u128::from(row.sequence.max(0).unsigned_abs());
        let record = KinesisRecord {
            aws_region: region,
            event_id: row.event_id.clone().unwrap_or_else(|| event_id(region, &row.table_name, drawn)),
            event_name: &row.event_name,
            user_identity: row
                .user_identity
                .is_some()
                .then_some(EventIdentity { principal_id: "dynamodb.amazonaws.com", identity_type: "Service" }),
            record_format: "application/json",
            table_name: &row.table_name,
            dynamodb: KinesisChange {
                // The engine's numbers are microseconds since the epoch, made to grow with each change of a table.
                approximate_creation_date_time: precision.of_micros(row.sequence),
                approximate_creation_date_time_precision: precision.as_str(),
                keys: raw(&row.keys),
                new_image: row.new_image.as_deref().map(raw),
                old_image: row.old_image.as_deref().map(raw),
                size_bytes: self.keys_bytes + self.new_bytes + self.old_bytes,
            },
            event_source: "aws:dynamodb",
        };
        serde_json::to_vec(&record).expect("a record of strings, numbers and raw JSON serialises")
    }
}

#[derive(Serialize)]
struct KinesisRecord<'a> {
    #[serde(rename = "awsRegion")]
    aws_region: &'a str,
    #[serde(rename = "eventID")]
    event_id: String,
    #[serde(rename = "eventName")]
    event_name: &'a str,
    /// Null where a client made the change.
    #[serde(rename = "userIdentity")]
    user_identity: Option<EventIdentity>,
    #[serde(rename = "recordFormat")]
    record_format: &'a str,
    #[serde(rename = "tableName")]
    table_name: &'a str,
    dynamodb: KinesisChange<'a>,
    #[serde(rename = "eventSource")]
    event_source: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KinesisChange<'a> {
    approximate_creation_date_time: i64,
    approximate_creation_date_time_precision: &'a str,
    keys: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_image: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_image: Option<&'a RawValue>,
    size_bytes: usize,
}

#[derive(Serialize)]
struct EventIdentity {
    #[serde(rename = "principalId")]
    principal_id: &'static str,
    #[serde(rename = "type")]
    identity_type: &'static str,
}
