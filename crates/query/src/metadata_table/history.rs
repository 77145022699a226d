//! What happened to a table: its snapshots, which of them were current when, and what names them.

use std::collections::HashSet;

use arrow::datatypes::DataType;
use lake::LakeTable;
use serde_json::{Value, json};

use crate::error::{Error, Result, UNREADABLE};
use crate::metadata_table::{Rows, bigint, boolean, int, map, text, timestamp};

pub(super) fn snapshots(table: &LakeTable) -> Rows {
    let fields = vec![
        timestamp("committed_at"),
        bigint("snapshot_id"),
        bigint("parent_id"),
        text("operation"),
        text("manifest_list"),
        map("summary", DataType::Utf8, DataType::Utf8),
    ];
    let mut snapshots: Vec<_> = table.table().metadata().snapshots().collect();
    snapshots.sort_by_key(|snapshot| (snapshot.timestamp_ms(), snapshot.sequence_number()));
    let row = |snapshot: &&iceberg::spec::SnapshotRef| {
        json!({
            "committed_at": snapshot.timestamp_ms(),
            "snapshot_id": snapshot.snapshot_id(),
            "parent_id": snapshot.parent_snapshot_id(),
            "operation": snapshot.summary().operation.as_str(),
            "manifest_list": snapshot.manifest_list(),
            "summary": snapshot.summary().additional_properties,
        })
    };
    (fields, snapshots.iter().map(row).collect())
}

pub(super) fn history(table: &LakeTable) -> Rows {
    let fields =
        vec![timestamp("made_current_at"), bigint("snapshot_id"), bigint("parent_id"), boolean("is_current_ancestor")];
    let metadata = table.table().metadata();
    let mut ancestors = HashSet::new();
    let mut ancestor = metadata.current_snapshot();
    while let Some(snapshot) = ancestor.filter(|snapshot| ancestors.insert(snapshot.snapshot_id())) {
        ancestor = snapshot.parent_snapshot_id().and_then(|parent| metadata.snapshot_by_id(parent));
    }
    let row = |entry: &iceberg::spec::SnapshotLog| {
        let parent = metadata.snapshot_by_id(entry.snapshot_id).and_then(|snapshot| snapshot.parent_snapshot_id());
        json!({
            "made_current_at": entry.timestamp_ms(),
            "snapshot_id": entry.snapshot_id,
            "parent_id": parent,
            "is_current_ancestor": ancestors.contains(&entry.snapshot_id),
        })
    };
    (fields, metadata.history().iter().map(row).collect())
}

pub(super) fn references(table: &LakeTable) -> Result<Rows> {
    let fields = vec![
        text("name"),
        text("type"),
        bigint("snapshot_id"),
        bigint("max_reference_age_in_ms"),
        int("min_snapshots_to_keep"),
        bigint("max_snapshot_age_in_ms"),
    ];
    // The library lets one ask for a reference by name only; the metadata's JSON has them all.
    let metadata = serde_json::to_value(table.table().metadata());
    let metadata = metadata.map_err(|error| Error::new(UNREADABLE, "read the table's metadata").with_source(error))?;
    let row = |(name, reference): (&String, &Value)| {
        json!({
            "name": name,
            "type": reference["type"].as_str().map(str::to_uppercase),
            "snapshot_id": reference["snapshot-id"],
            "max_reference_age_in_ms": reference["max-ref-age-ms"],
            "min_snapshots_to_keep": reference["min-snapshots-to-keep"],
            "max_snapshot_age_in_ms": reference["max-snapshot-age-ms"],
        })
    };
    let references = metadata["refs"].as_object().into_iter().flatten();
    let mut rows: Vec<Value> = references.map(row).collect();
    rows.sort_by_key(|row| row["name"].to_string());
    Ok((fields, rows))
}
