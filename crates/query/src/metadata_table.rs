//! A table's own history and files as tables: `"transactions$snapshots"`, `$history`, `$files`, `$manifests`,
//! `$partitions`, `$refs`, with Athena's columns.
//!
//! Each kind gives a schema and its rows as JSON, which arrow reads into a batch.

mod files;
mod history;

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use iceberg::spec::{Manifest, ManifestList};
use lake::LakeTable;
use serde_json::Value;

use crate::answer::Answer;
use crate::error::{Error, NO_SUCH_TABLE, Result, UNREADABLE};
use crate::listing;
use crate::visible::Visible;

const KINDS: [&str; 6] = ["files", "history", "manifests", "partitions", "refs", "snapshots"];

/// The parts of `transactions$files`. `None` where `name` is a table's own.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    name.rsplit_once('$').filter(|(table, _)| !table.is_empty())
}

/// The metadata table `kind` of `table`, as of the snapshot that `table` reads.
pub(crate) async fn read(table: &LakeTable, kind: &str) -> Result<Arc<dyn TableProvider>> {
    let (fields, rows) = match kind {
        "snapshots" => history::snapshots(table),
        "history" => history::history(table),
        "refs" => history::references(table)?,
        "manifests" => files::manifests(&manifest_list(table).await?),
        "files" => files::files(&manifests(table).await?),
        "partitions" => files::partitions(table, &manifests(table).await?)?,
        other => {
            let message = format!("no metadata table named ${other}");
            return Err(Error::new(NO_SUCH_TABLE, message).with_help(KINDS.map(|kind| format!("${kind}")).join(", ")));
        }
    };
    let unreadable = |error: &dyn std::fmt::Display| Error::new(UNREADABLE, format!("read ${kind}: {error}"));
    let batches = batches(fields, &rows).map_err(|error| unreadable(&error))?;
    let schema = batches.0.clone();
    let table = MemTable::try_new(schema, vec![batches.1]).map_err(|error| unreadable(&error))?;
    Ok(Arc::new(table))
}

/// `date=2026-11-22/region=EU`, a row per partition; none where the table has no partitions. Columns that are not visible
/// are left out, and partitions that then are one.
pub(crate) async fn list_partitions(table: &LakeTable, visible: &Visible) -> Result<Answer> {
    let spec = table.table().metadata().default_partition_spec();
    let mut manifests = manifests(table).await?;
    // Files of another spec have values of other columns.
    manifests.retain(|manifest| manifest.metadata().partition_spec().spec_id() == spec.spec_id());
    let (_, rows) = files::partitions(table, &manifests)?;
    let fields = spec.fields().iter().filter(|field| visible.shows_field(table.columns(), field.source_id));
    let shown: HashSet<&str> = fields.map(|field| field.name.as_str()).collect();
    let line = |row: &Value| {
        let text = |value: &Value| value.as_str().map_or("null".to_owned(), str::to_owned);
        let fields = row["partition"].as_object().into_iter().flatten();
        let fields = fields.filter(|(name, _)| shown.contains(name.as_str()));
        let parts: Vec<String> = fields.map(|(name, value)| format!("{name}={}", text(value))).collect();
        (!parts.is_empty()).then(|| parts.join("/"))
    };
    let mut known = HashSet::new();
    let lines = rows.iter().filter_map(line).filter(|line| known.insert(line.clone())).map(Some).collect();
    Ok(listing::answer([("partition", lines)]))
}

type Rows = (Vec<Field>, Vec<Value>);

fn batches(fields: Vec<Field>, rows: &[Value]) -> Result<(Arc<Schema>, Vec<RecordBatch>), ArrowError> {
    let schema = Arc::new(Schema::new(fields));
    let mut decoder = ReaderBuilder::new(schema.clone()).with_batch_size(rows.len().max(1)).build_decoder()?;
    decoder.serialize(rows)?;
    Ok((schema, decoder.flush()?.into_iter().collect()))
}

async fn manifest_list(table: &LakeTable) -> Result<Option<ManifestList>> {
    let Some(snapshot) = table.snapshot() else { return Ok(None) };
    table.table().manifest_list_reader(snapshot).load().await.map(Some).map_err(unreadable)
}

async fn manifests(table: &LakeTable) -> Result<Vec<Manifest>> {
    let Some(list) = manifest_list(table).await? else { return Ok(Vec::new()) };
    let mut manifests = Vec::new();
    for file in list.entries() {
        manifests.push(file.load_manifest(table.table().file_io()).await.map_err(unreadable)?);
    }
    Ok(manifests)
}

fn unreadable(error: iceberg::Error) -> Error {
    Error::new(UNREADABLE, "read the table's manifests").with_source(error)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn int(name: &str) -> Field {
    Field::new(name, DataType::Int32, true)
}

fn bigint(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn boolean(name: &str) -> Field {
    Field::new(name, DataType::Boolean, true)
}

/// `timestamp(3) with time zone`
fn timestamp(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true)
}

fn map(name: &str, key: DataType, value: DataType) -> Field {
    let entries = vec![Field::new("key", key, false), Field::new("value", value, true)];
    let entries = Field::new("entries", DataType::Struct(entries.into()), false);
    Field::new(name, DataType::Map(Arc::new(entries), false), true)
}

fn list(name: &str, element: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("element", element, true))), true)
}
