//! Rows parted by the columns that folders are named after: `year=2026/month=11`.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Schema};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::error::{EXECUTION, Error, MEANING, Result};

/// What stands for NULL in the name of a folder.
pub(crate) const NULL_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// What Hive writes otherwise in the name of a folder.
const ESCAPED: &AsciiSet =
    &CONTROLS.add(b'"').add(b'#').add(b'%').add(b'\'').add(b'*').add(b'/').add(b':').add(b'=').add(b'?').add(b'\\');

/// The columns must be the last ones, as in Athena.
pub(super) fn check(schema: &Schema, keys: &[String]) -> Result<()> {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let own_count = names.len().saturating_sub(keys.len());
    let are_last = names[own_count..].iter().zip(keys).all(|(name, key)| name.eq_ignore_ascii_case(key));
    if keys.is_empty() || (are_last && own_count > 0) {
        return Ok(());
    }
    let message = format!("the columns to partition by are the last ones of the query: {}", keys.join(", "));
    Err(Error::new(MEANING, message).with_help("SELECT others, then these in their order"))
}

/// The rows of each partition, without the columns that its folder is named after.
pub(super) fn part(rows: &RecordBatch, keys: &[String]) -> Result<Vec<(Vec<Option<String>>, RecordBatch)>> {
    if keys.is_empty() {
        return Ok(vec![(Vec::new(), rows.clone())]);
    }
    let failed = |error: arrow::error::ArrowError| Error::new(EXECUTION, format!("part rows: {error}"));
    let own_count = rows.num_columns() - keys.len();
    let texts = rows.columns()[own_count..].iter().map(|column| cast(column, &DataType::Utf8));
    let texts = texts.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let texts: Vec<&StringArray> = texts.iter().map(|text| text.as_string::<i32>()).collect();
    let mut of_partition: BTreeMap<Vec<Option<String>>, Vec<u32>> = BTreeMap::new();
    for row in 0..rows.num_rows() {
        let values = texts.iter().map(|text| text.is_valid(row).then(|| text.value(row).to_owned())).collect();
        of_partition.entry(values).or_default().push(row as u32);
    }
    let own = rows.project(&(0..own_count).collect::<Vec<_>>()).map_err(failed)?;
    let taken = of_partition
        .into_iter()
        .map(|(values, rows)| Ok((values, take_record_batch(&own, &UInt32Array::from(rows)).map_err(failed)?)));
    taken.collect()
}

/// A value as it stands in the name of a folder.
pub fn folder_value(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

pub(super) fn folders(keys: &[String], values: &[Option<String>]) -> String {
    let folder = |(key, value): (&String, &Option<String>)| {
        let value = value.as_deref().map_or_else(|| NULL_PARTITION.to_owned(), folder_value);
        format!("{}={value}", key.to_lowercase())
    };
    keys.iter().zip(values).map(folder).collect::<Vec<_>>().join("/")
}
