//! What a snapshot consists of: its manifests, its files, and what the files of a partition add up to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use iceberg::spec::{DataContentType, DataFile, Datum, Manifest, ManifestFile, ManifestList};
use lake::LakeTable;
use serde_json::{Value, json};

use crate::error::{Error, Result, UNREADABLE};
use crate::metadata_table::{Rows, bigint, boolean, int, list, map, text};

pub(super) fn manifests(manifest_list: &Option<ManifestList>) -> Rows {
    let summary = vec![boolean("contains_null"), boolean("contains_nan"), text("lower_bound"), text("upper_bound")];
    let fields = vec![
        text("path"),
        bigint("length"),
        int("partition_spec_id"),
        bigint("added_snapshot_id"),
        int("added_data_files_count"),
        bigint("added_rows_count"),
        int("existing_data_files_count"),
        bigint("existing_rows_count"),
        int("deleted_data_files_count"),
        bigint("deleted_rows_count"),
        list("partition_summaries", DataType::Struct(summary.into())),
    ];
    let row = |manifest: &ManifestFile| {
        let summaries = manifest
            .partitions
            .iter()
            .flatten()
            .map(|summary| json!({"contains_null": summary.contains_null, "contains_nan": summary.contains_nan}));
        json!({
            "path": manifest.manifest_path,
            "length": manifest.manifest_length,
            "partition_spec_id": manifest.partition_spec_id,
            "added_snapshot_id": manifest.added_snapshot_id,
            "added_data_files_count": manifest.added_files_count,
            "added_rows_count": manifest.added_rows_count,
            "existing_data_files_count": manifest.existing_files_count,
            "existing_rows_count": manifest.existing_rows_count,
            "deleted_data_files_count": manifest.deleted_files_count,
            "deleted_rows_count": manifest.deleted_rows_count,
            "partition_summaries": summaries.collect::<Vec<_>>(),
        })
    };
    (fields, manifest_list.iter().flat_map(|list| list.entries()).map(row).collect())
}

pub(super) fn files(manifests: &[Manifest]) -> Rows {
    let counts = |name| map(name, DataType::Int32, DataType::Int64);
    let bounds = |name| map(name, DataType::Int32, DataType::Utf8);
    let fields = vec![
        int("content"),
        text("file_path"),
        text("file_format"),
        bigint("record_count"),
        bigint("file_size_in_bytes"),
        counts("column_sizes"),
        counts("value_counts"),
        counts("null_value_counts"),
        counts("nan_value_counts"),
        bounds("lower_bounds"),
        bounds("upper_bounds"),
        Field::new("key_metadata", DataType::Binary, true),
        list("split_offsets", DataType::Int64),
        list("equality_ids", DataType::Int32),
    ];
    let row = |file: &DataFile| {
        json!({
            "content": file.content_type() as i32,
            "file_path": file.file_path(),
            "file_format": file.file_format().to_string().to_uppercase(),
            "record_count": file.record_count(),
            "file_size_in_bytes": file.file_size_in_bytes(),
            "column_sizes": file.column_sizes(),
            "value_counts": file.value_counts(),
            "null_value_counts": file.null_value_counts(),
            "nan_value_counts": file.nan_value_counts(),
            "lower_bounds": shown(file.lower_bounds()),
            "upper_bounds": shown(file.upper_bounds()),
            "split_offsets": file.split_offsets(),
            "equality_ids": file.equality_ids(),
        })
    };
    (fields, live(manifests).map(row).collect())
}

/// The data files of each partition, added up. A partition is shown as a row of its fields.
pub(super) fn partitions(table: &LakeTable, manifests: &[Manifest]) -> Result<Rows> {
    let unreadable = |error| Error::new(UNREADABLE, "read the table's partition spec").with_source(error);
    let metadata = table.table().metadata();
    let partition = metadata.default_partition_spec().partition_type(table.columns()).map_err(unreadable)?;
    let mut fields = vec![bigint("record_count"), bigint("file_count"), bigint("total_size")];
    if !partition.fields().is_empty() {
        let of = partition.fields().iter().map(|field| text(&field.name)).collect::<Vec<_>>();
        fields.insert(0, Field::new("partition", DataType::Struct(of.into()), false));
    }

    let mut sums: BTreeMap<String, (Value, [u64; 3])> = BTreeMap::new();
    for file in live(manifests).filter(|file| file.content_type() == DataContentType::Data) {
        let values = file.partition().iter().zip(partition.fields()).map(|(value, field)| {
            let value = value.and_then(|literal| literal.clone().try_into_json(&field.field_type).ok());
            (field.name.clone(), value.map_or(Value::Null, as_text))
        });
        let values = Value::Object(values.collect());
        let (_, [records, files, bytes]) = sums.entry(values.to_string()).or_insert((values, [0; 3]));
        (*records, *files, *bytes) = (*records + file.record_count(), *files + 1, *bytes + file.file_size_in_bytes());
    }
    let row = |(partition, [records, files, bytes]): (Value, [u64; 3])| json!({"partition": partition, "record_count": records, "file_count": files, "total_size": bytes});
    Ok((fields, sums.into_values().map(row).collect()))
}

fn live(manifests: &[Manifest]) -> impl Iterator<Item = &DataFile> {
    let entries = manifests.iter().flat_map(|manifest| manifest.entries());
    entries.filter(|entry| entry.is_alive()).map(|entry| Arc::as_ref(entry).data_file())
}

fn shown(bounds: &HashMap<i32, Datum>) -> HashMap<i32, String> {
    bounds.iter().map(|(id, bound)| (*id, bound.to_string().trim_matches('"').to_owned())).collect()
}

fn as_text(value: Value) -> Value {
    match value {
        Value::Null | Value::String(_) => value,
        other => Value::String(other.to_string()),
    }
}
