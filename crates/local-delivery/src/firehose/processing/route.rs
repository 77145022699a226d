//! Where a record goes, and what it does there.
//!
//! <https://docs.aws.amazon.com/firehose/latest/dev/apache-iceberg-format-input-record-different.html>

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Query;
use super::lambda::{Seen, Verdict};
use crate::firehose::buffer::{Arrived, Fate, OBJECTS, Operation, TABLE};
use crate::firehose::failure::{Failure, Kind};
use crate::firehose::prefix;
use crate::firehose::settings::{IcebergDestination, S3Destination};
use crate::firehose::stream::{DeliveryStream, Destination};

/// Decides about records one by one.
pub(super) struct Router<'a> {
    pub stream: &'a DeliveryStream,
    pub query: Option<&'a Query>,
    /// What is put behind each record.
    pub delimiter: Option<&'a str>,
}

impl Router<'_> {
    pub fn route(&self, record: &Arrived, seen: Seen) -> Fate {
        let changed = match seen.verdict {
            Verdict::Untouched => None,
            Verdict::Changed(data) => Some(data),
            Verdict::Dropped => return Fate::Dropped,
            Verdict::Failed { code, reason, attempts, function } => {
                let mut failure = Failure::new(Kind::Processing, code, reason, self.error_prefix());
                failure.attempts = attempts;
                failure.details.insert("lambdaArn".to_owned(), function.into());
                return Fate::Failed(failure);
            }
        };
        let data = changed.as_ref().unwrap_or(&record.data);
        let routed = match &self.stream.document.destination {
            Destination::Iceberg(settings) => self.to_table(settings, data, &seen.metadata),
            Destination::S3 { settings, .. } => self.to_objects(settings, data, &seen.metadata),
        };
        let (kind, lane, operation) = match routed {
            Ok(routed) => routed,
            Err(failure) => return Fate::Failed(failure),
        };
        let data = match self.delimiter {
            Some(delimiter) => Some(Bytes::from([data, delimiter.as_bytes()].concat())),
            None => changed,
        };
        Fate::Routed { kind, lane, operation, data }
    }

    fn to_table(
        &self,
        settings: &IcebergDestination,
        data: &[u8],
        metadata: &Value,
    ) -> Result<(&'static str, String, Operation), Failure> {
        let only = match &settings.destination_table_configuration_list[..] {
            [table] => Some(table),
            _ => None,
        };
        let failed = |code: &str, reason: String| {
            let prefix = only.and_then(|table| table.s3_error_output_prefix.as_deref());
            Failure::new(Kind::Iceberg, code, reason, prefix.unwrap_or(self.error_prefix()))
        };
        let is_object = serde_json::from_slice::<serde_json::Map<String, Value>>(data).is_ok();
        if !is_object {
            return Err(failed("Iceberg.InvalidRecordFormat", "the record is not a JSON object".to_owned()));
        }
        let extracted = self.extract(data)?;
        let from_function = &metadata["otfMetadata"];
        let told = |name: &str| {
            let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            text(&from_function[name]).or_else(|| text(&extracted[name]))
        };
        let database = told("destinationDatabaseName").or_else(|| Some(only?.destination_database_name.clone()));
        let table = told("destinationTableName").or_else(|| Some(only?.destination_table_name.clone()));
        let (Some(database), Some(table)) = (database, table) else {
            let reason = "the record does not tell its table, and the destination has not exactly one".to_owned();
            return Err(failed("Iceberg.InvalidRouting", reason));
        };
        let lane = format!("{database}.{table}");
        let of_table = settings.table(&lane);
        let failed = |code: &str, reason: String| {
            let prefix = of_table.and_then(|table| table.s3_error_output_prefix.as_deref());
            Failure::new(Kind::Iceberg, code, reason, prefix.unwrap_or(self.error_prefix()))
        };
        let operation = match told("operation").as_deref() {
            None | Some("insert") => Operation::Insert,
            Some("update") => Operation::Update,
            Some("delete") => Operation::Delete,
            Some(_) => {
                let reason = "the operation is not insert, update or delete".to_owned();
                return Err(failed("Iceberg.InvalidOperation", reason));
            }
        };
        if operation != Operation::Insert {
            if settings.append_only {
                let reason = "the destination is AppendOnly: nothing is updated or deleted".to_owned();
                return Err(failed("Iceberg.InvalidOperation", reason));
            }
            if of_table.is_none_or(|table| table.unique_keys.is_empty()) {
                let reason = format!("table {lane} has no UniqueKeys by which a row could be updated or deleted");
                return Err(failed("Iceberg.UniqueKeysNotFound", reason));
            }
        }
        Ok((TABLE, lane, operation))
    }

    fn to_objects(
        &self,
        settings: &S3Destination,
        data: &[u8],
        metadata: &Value,
    ) -> Result<(&'static str, String, Operation), Failure> {
        let mut keys = BTreeMap::new();
        if settings.is_partitioned() {
            let extracted = self.extract(data)?;
            let prefix = settings.prefix.as_deref().unwrap_or_default();
            for (namespace, name) in prefix::partition_keys(prefix) {
                let value = match namespace {
                    "partitionKeyFromLambda" => &metadata["partitionKeys"][name],
                    _ => &extracted[name],
                };
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(_) | Value::Bool(_) => value.to_string(),
                    _ => String::new(),
                };
                if text.is_empty() {
                    let (kind, code) = match namespace {
                        "partitionKeyFromLambda" => {
                            (Kind::Processing, "DynamicPartitioning.PartitionKeyFromLambdaNotFound")
                        }
                        _ => (Kind::MetadataExtraction, "DynamicPartitioning.MetadataExtractionFailed"),
                    };
                    let reason = format!("the record has no partition key `{name}`");
                    return Err(Failure::new(kind, code, reason, self.error_prefix()));
                }
                keys.insert(name.to_owned(), text);
            }
        }
        Ok((OBJECTS, json!(keys).to_string(), Operation::Insert))
    }

    fn extract(&self, data: &[u8]) -> Result<Value, Failure> {
        let Some(query) = self.query else { return Ok(Value::Null) };
        query.apply(data).map_err(|reason| {
            let code = "DynamicPartitioning.MetadataExtractionFailed";
            Failure::new(Kind::MetadataExtraction, code, reason, self.error_prefix())
        })
    }

    fn error_prefix(&self) -> &str {
        match &self.stream.document.destination {
            Destination::Iceberg(settings) => settings.s3_configuration.error_output_prefix.as_deref(),
            Destination::S3 { settings, .. } => settings.error_output_prefix.as_deref(),
        }
        .unwrap_or_default()
    }
}
