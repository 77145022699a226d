//! Live records before and after the transform, for whoever looks on. Nothing is written, and no position is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value as JsonValue;

use crate::change::{Position, RawRecord};
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::intake::Intake;
use crate::shape::TableShape;
use crate::source::Source;
use crate::sql::{SqlTransform, Trial};

/// Reads a pipeline's stream beside it.
pub struct Tap {
    source: Box<dyn Source>,
    intake: Intake,
    /// The attributes whose values may be seen; all of them where there is no transform.
    shown: Option<BTreeSet<String>>,
}

/// A record, and what the pipeline makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tapped {
    pub position: Position,
    /// INSERT, MODIFY or REMOVE; empty where the record does not say.
    pub operation: String,
    /// The attributes of the new image, or the key of a removed item, by name.
    pub before: Vec<(String, Attribute)>,
    /// The row; of a removed item its key columns.
    pub after: Trial,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// As DynamoDB writes it.
    Shown(JsonValue),
    /// The table does not hold it as it is, so neither is it shown here.
    Hidden,
}

impl Tap {
    /// Begins at the start position of `source`. `sensitive` are attributes, in any case, that are never shown.
    pub async fn open(
        mut source: Box<dyn Source>,
        sql: Option<&Arc<SqlTransform>>,
        sensitive: &[String],
        table: &TableShape,
    ) -> Result<Self> {
        let intake = Intake::new(sql, table)?;
        source.resume(&Checkpoint::default()).await?;
        let is_public = |name: &String| !sensitive.iter().any(|hidden| hidden.to_lowercase() == name.to_lowercase());
        let shown = sql.map(|sql| sql.plain_attributes().into_iter().filter(is_public).collect());
        Ok(Self { source, intake, shown })
    }

    /// The records that came next; `None` where the source has an end. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Vec<Tapped>>> {
        loop {
            let Some(polled) = self.source.poll().await? else { return Ok(None) };
            if !polled.records.is_empty() {
                let taken = self.intake.take(&polled.records);
                let tapped = |record: &RawRecord| tapped(record, Trial::of(record, &taken), self.shown.as_ref());
                return Ok(Some(polled.records.iter().map(tapped).collect()));
            }
        }
    }
}

fn tapped(record: &RawRecord, after: Trial, shown: Option<&BTreeSet<String>>) -> Tapped {
    let parsed: JsonValue = serde_json::from_slice(&record.json).unwrap_or_default();
    let change = &parsed["dynamodb"];
    let image = change.get("NewImage").or(change.get("Keys")).and_then(JsonValue::as_object);
    let before = image.into_iter().flatten().map(|(name, value)| {
        let is_shown = shown.is_none_or(|shown| shown.contains(name));
        (name.clone(), if is_shown { Attribute::Shown(value.clone()) } else { Attribute::Hidden })
    });
    Tapped {
        position: record.position.clone(),
        operation: parsed["eventName"].as_str().unwrap_or_default().to_owned(),
        before: before.collect(),
        after,
    }
}
