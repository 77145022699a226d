//! What a table keeps of the transforms that its rows came by, in properties of its own.

use std::collections::HashMap;

use iceberg::spec::Schema as IcebergSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::sql::problem::{OTHER_KEY, Problem};

/// Begins the name of the property; the transform's id follows.
pub(crate) const PROPERTY: &str = "dynaberg.transform.";

/// One transform on record.
#[derive(Serialize, Deserialize)]
pub(crate) struct Record {
    pub sql: String,
    /// The types that attributes have in `changes`, so that later runs agree.
    pub attributes: IcebergSchema,
    /// How rows are found; empty in a changelog.
    #[serde(default)]
    pub key: Vec<KeyPart>,
}

/// A key column, and the expression that it is filled with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyPart {
    pub column: String,
    pub expression: String,
}

impl Record {
    /// All that are on record, by the names of their properties.
    pub fn all(properties: &HashMap<String, String>) -> Result<Vec<Self>> {
        let mut texts: Vec<_> = properties.iter().filter(|(name, _)| name.starts_with(PROPERTY)).collect();
        texts.sort();
        let read = |(name, text): (&String, &String)| {
            serde_json::from_str(text).map_err(|error| {
                Error::new(ErrorKind::Unexpected, format!("read the table property {name}")).with_source(error)
            })
        };
        texts.into_iter().map(read).collect()
    }
}

/// The SQL of a transform that a table has on record, by the id that checkpoints name it by.
pub fn recorded_sql(properties: &HashMap<String, String>, id: &str) -> Option<String> {
    let record: Record = serde_json::from_str(properties.get(&format!("{PROPERTY}{id}"))?).ok()?;
    Some(record.sql)
}

/// Checks that rows of the table are found by `key`. By another key the rows that are there would never be found again:
/// each changed item would have two.
pub(crate) fn check_key(properties: &HashMap<String, String>, key: &[KeyPart]) -> Result<()> {
    let is_other = |record: &Record| !record.key.is_empty() && record.key != key;
    match Record::all(properties)?.into_iter().find(is_other) {
        None => Ok(()),
        Some(other) => {
            let written = |part: &KeyPart| format!("{} AS {}", part.expression, part.column);
            let other: Vec<String> = other.key.iter().map(written).collect();
            let message =
                format!("rows of the table are found by {}, and by another key never again", other.join(", "));
            Err(Problem::new(OTHER_KEY, message).try_this("the same key, or another table").into())
        }
    }
}

/// Checks that a pipeline without a transform finds the rows of the table by the attributes `keys`.
pub fn check_plain_key(properties: &HashMap<String, String>, keys: &[String]) -> Result<()> {
    let columns = Record::all(properties)?.into_iter().flat_map(|record| record.key);
    let is_plain = |part: &KeyPart| keys.contains(&part.expression) && part.column == part.expression.to_lowercase();
    let plain = keys.iter().map(|key| KeyPart { column: key.to_lowercase(), expression: key.clone() });
    if columns.into_iter().all(|part| is_plain(&part)) {
        Ok(())
    } else {
        check_key(properties, &plain.collect::<Vec<_>>())
    }
}
