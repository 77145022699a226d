//! `dynaberg tables show`: one table in full.

use std::collections::BTreeMap;

use iceberg::TableIdent;
use iceberg::spec::{SnapshotRef, TableMetadata};
use lake::{Catalog, Difference, Reader, TableContents, Verdict};
use serde_json::{Value, json};

use crate::cli::Format;
use crate::failure::Outcome;
use crate::output::{self, line, timestamp};

/// Snapshots that people are shown, the newest first. JSON has all.
const SNAPSHOTS_SHOWN: usize = 10;
const VALUE_CHARS_SHOWN: usize = 100;

pub async fn run(lake: &Catalog, name: &TableIdent, format: Format) -> Outcome {
    let table = lake.load_table(name).await?;
    let contents = TableContents::of(&table).await?;
    match format {
        Format::Json => output::json(&json_of(name, table.metadata(), &contents)),
        Format::Table => write(name, table.metadata(), &contents),
    }
}

fn json_of(name: &TableIdent, metadata: &TableMetadata, contents: &TableContents) -> Value {
    let columns: Vec<Value> = columns(metadata)
        .into_iter()
        .map(|(path, field_type, required)| json!({ "column": path, "type": field_type, "required": required }))
        .collect();
    let snapshots: Vec<Value> = snapshots(metadata)
        .into_iter()
        .map(|snapshot| {
            json!({
                "snapshot_id": snapshot.snapshot_id(),
                "at": timestamp(snapshot.timestamp_ms()),
                "operation": snapshot.summary().operation.as_str(),
                "schema_id": snapshot.schema_id(),
            })
        })
        .collect();
    let readers: BTreeMap<&str, Value> = lake::readers(contents)
        .into_iter()
        .map(|reader| (reader.engine, json!({ "reads": verdict(&reader), "because": reader.because })))
        .collect();
    json!({
        "table": name.to_string(),
        "location": metadata.location(),
        "format_version": contents.format_version,
        "rows": contents.rows(),
        "files": contents.data_files,
        "bytes": contents.data_bytes,
        "small_files": contents.small_files(),
        "files_by_size": contents.sizes().map(|(class, count)| json!({ "size": class, "files": count })),
        "deletes": {
            "rows": contents.deleted_records,
            "share": contents.deleted_share(),
            "position_delete_files": contents.position_delete_files,
            "deletion_vectors": contents.deletion_vectors,
            "equality_delete_files": contents.equality_delete_files,
        },
        "readable_by": readers,
        "schema_id": metadata.current_schema_id(),
        "columns": columns,
        "partitioned_by": partition(metadata),
        "properties": metadata.properties().iter().collect::<BTreeMap<_, _>>(),
        "snapshots": snapshots,
    })
}

fn write(name: &TableIdent, metadata: &TableMetadata, contents: &TableContents) -> Outcome {
    let at_most = if contents.equality_delete_files > 0 { "at most " } else { "" };
    line(format_args!("{name} · format version {}", contents.format_version))?;
    line(format_args!("location     {}", metadata.location()))?;
    line(format_args!("rows         {at_most}{}", contents.rows()))?;
    let size = output::bytes(contents.data_bytes);
    line(format_args!("files        {} · {size} · {} small", contents.data_files, contents.small_files()))?;
    let by_size = contents.sizes().into_iter().filter(|(_, count)| *count > 0);
    let by_size: Vec<String> = by_size.map(|(class, count)| format!("{class}: {count}")).collect();
    line(format_args!("by size      {}", or_none(by_size.join(" · "))))?;
    line(format_args!(
        "deletes      {} rows ({}) in {} position-delete files, {} deletion vectors · {} equality-delete files",
        contents.deleted_records,
        output::percent(contents.deleted_share()),
        contents.position_delete_files,
        contents.deletion_vectors,
        contents.equality_delete_files
    ))?;
    for (label, wanted) in [("readable by", Verdict::Yes), ("in newer", Verdict::Recent), ("not by", Verdict::No)] {
        let readers: Vec<Reader> =
            lake::readers(contents).into_iter().filter(|reader| reader.verdict == wanted).collect();
        let Some(first) = readers.first() else { continue };
        let engines: Vec<&str> = readers.iter().map(|reader| reader.engine).collect();
        let because = first.because.map_or_else(String::new, |because| format!("  ({because})"));
        line(format_args!("{label:<12} {}{because}", engines.join(", ")))?;
    }
    line(format_args!("partitions   {}", or_none(partition(metadata).join(", "))))?;
    line(format_args!("\nschema {}", metadata.current_schema_id()))?;
    for (path, field_type, required) in columns(metadata) {
        line(format_args!("  {path} {field_type}{}", if required { ", required" } else { "" }))?;
    }
    line("\nproperties")?;
    for (key, value) in metadata.properties().iter().collect::<BTreeMap<_, _>>() {
        line(format_args!("  {key} = {}", shortened(value)))?;
    }
    let all = snapshots(metadata);
    line(format_args!("\nsnapshots    {}", all.len()))?;
    for snapshot in all.iter().take(SNAPSHOTS_SHOWN) {
        let operation = snapshot.summary().operation.as_str();
        line(format_args!("  {}  {}  {operation}", timestamp(snapshot.timestamp_ms()), snapshot.snapshot_id()))?;
    }
    Ok(())
}

/// Enough of a value to tell what it is; JSON has all of it.
fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

fn verdict(reader: &Reader) -> &'static str {
    match reader.verdict {
        Verdict::Yes => "yes",
        Verdict::Recent => "newer versions",
        Verdict::No => "no",
    }
}

/// The current columns: name, type, whether required.
fn columns(metadata: &TableMetadata) -> Vec<(String, String, bool)> {
    let columns = lake::differences(None, metadata.current_schema()).into_iter();
    columns
        .filter_map(|column| match column {
            Difference::Added { path, field_type, required } => Some((path, field_type, required)),
            _ => None,
        })
        .collect()
}

fn partition(metadata: &TableMetadata) -> Vec<String> {
    let schema = metadata.current_schema();
    let fields = metadata.default_partition_spec().fields().iter();
    let name = |id| schema.name_by_field_id(id).unwrap_or("a dropped column");
    fields.map(|field| format!("{}({})", field.transform, name(field.source_id))).collect()
}

/// The newest first.
fn snapshots(metadata: &TableMetadata) -> Vec<&SnapshotRef> {
    let mut snapshots: Vec<_> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence_number()));
    snapshots
}
