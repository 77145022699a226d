//! What a transform makes of items, without a table.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use serde_json::{Map, Value as JsonValue, json};

use crate::change::{Position, RawRecord, SequenceNumber, ShardId};
use crate::decode::Decoded;
use crate::error::Result;
use crate::intake::Intake;
use crate::shape::TableShape;
use crate::sql::SqlTransform;

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// The columns with their values as text; `None` is null.
    Row(Vec<(String, Option<String>)>),
    Filtered,
    Rejected {
        code: &'static str,
        reason: String,
    },
}

impl Trial {
    /// What became of `record`, which is one of those that `taken` was made of.
    pub(crate) fn of(record: &RawRecord, taken: &Decoded) -> Self {
        if let Some(letter) = taken.rejected.iter().find(|letter| letter.position() == &record.position) {
            return Self::Rejected { code: letter.code, reason: letter.reason.clone() };
        }
        let changes = &taken.changes;
        let row = changes.positions.iter().position(|position| *position == record.position);
        let row = row.expect("a record that is not rejected is a change");
        if changes.passed.as_ref().is_some_and(|passed| !passed.value(row)) {
            return Self::Filtered;
        }
        let value = |column: &Arc<dyn Array>| {
            (!column.is_null(row)).then(|| array_value_to_string(column, row).unwrap_or_default())
        };
        let fields = changes.rows.schema_ref().fields().iter().map(|field| field.name().clone());
        Self::Row(fields.zip(changes.rows.columns().iter().map(value)).collect())
    }
}

/// What another transform makes of the same items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    pub items: u64,
    /// Rows that are new, or have another value.
    pub changed: u64,
    /// Items that had a row or none, and would be rejected.
    pub rejected: u64,
    /// Items that had a row, and would be filtered.
    pub filtered: u64,
}

impl Differences {
    pub fn between(before: &[Trial], after: &[Trial]) -> Self {
        let mut differences = Self { items: after.len() as u64, ..Self::default() };
        for (before, after) in before.iter().zip(after) {
            match (before, after) {
                (before, after) if before == after => {}
                (Trial::Rejected { .. }, Trial::Rejected { .. }) => {}
                (_, Trial::Rejected { .. }) => differences.rejected += 1,
                (Trial::Row(_), Trial::Filtered) => differences.filtered += 1,
                (_, Trial::Filtered) => {}
                (Trial::Row(before), Trial::Row(after)) if has_same_values(before, after) => {}
                (_, Trial::Row(_)) => differences.changed += 1,
            }
        }
        differences
    }
}

/// A column that is not there is as one that is null.
fn has_same_values(before: &[(String, Option<String>)], after: &[(String, Option<String>)]) -> bool {
    let value = |row: &[(String, Option<String>)], name: &str| {
        row.iter().find(|(other, _)| other == name).and_then(|(_, value)| value.clone())
    };
    let names = before.iter().chain(after).map(|(name, _)| name);
    names.into_iter().all(|name| value(before, name) == value(after, name))
}

impl SqlTransform {
    /// Takes each of `items`, which are DynamoDB JSON, as the image of a change.
    pub fn try_items(self: &Arc<Self>, items: &[JsonValue]) -> Result<Vec<Trial>> {
        let table = TableShape::of_transformed(self.schema(), self.key_columns().to_vec(), self.mode);
        let records: Vec<RawRecord> =
            items.iter().zip(1..).map(|(item, number)| self.record_of(item, number)).collect();
        let taken = Intake::new(Some(self), &table)?.take(&records);
        Ok(records.iter().map(|record| Trial::of(record, &taken)).collect())
    }

    /// The item, with something for each part of the key that it lacks.
    pub fn with_key(&self, item: &JsonValue) -> JsonValue {
        let mut attributes = item.as_object().cloned().unwrap_or_default();
        for key in &self.input().key_attributes {
            let field = self.input().schema.field_with_name(key).expect("the key is always read");
            let value = match field.data_type() {
                DataType::Utf8 => json!({ "S": "test" }),
                DataType::LargeBinary => json!({ "B": "dGVzdA==" }),
                _ => json!({ "N": "0" }),
            };
            attributes.entry(key.clone()).or_insert(value);
        }
        attributes.into()
    }

    fn record_of(&self, item: &JsonValue, number: u64) -> RawRecord {
        let is_key = |name: &str| self.input().key_attributes.iter().any(|key| key == name);
        let attributes = item.as_object().cloned().unwrap_or_default();
        let keys: Map<String, JsonValue> = attributes.into_iter().filter(|(name, _)| is_key(name)).collect();
        let change = json!({ "Keys": keys, "NewImage": item });
        let record = json!({ "eventName": "INSERT", "dynamodb": change }).to_string();
        let sequence_number = SequenceNumber::parse(&number.to_string()).expect("it is a number");
        let position = Position { shard: ShardId::new("trial"), sequence_number, part: 0 };
        RawRecord { position, json: Bytes::from(record) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_items_is_compared_row_by_row() {
        let row = |values: &[(&str, Option<&str>)]| {
            Trial::Row(values.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect())
        };
        let rejected = |code| Trial::Rejected { code, reason: String::new() };
        let pairs = [
            (row(&[("a", Some("1"))]), row(&[("a", Some("1")), ("b", None)])),
            (row(&[("a", Some("1"))]), row(&[("a", Some("2"))])),
            (row(&[("a", Some("1")), ("b", Some("x"))]), row(&[("a", Some("1"))])),
            (rejected("DYN412"), row(&[("a", Some("1"))])),
            (rejected("DYN412"), rejected("DYN413")),
            (Trial::Filtered, rejected("DYN412")),
            (row(&[]), Trial::Filtered),
            (Trial::Filtered, Trial::Filtered),
        ];
        let (before, after): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let expected = Differences { items: 8, changed: 3, rejected: 1, filtered: 1 };
        assert_eq!(Differences::between(&before, &after), expected);
    }
}
