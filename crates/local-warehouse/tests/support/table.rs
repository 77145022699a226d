//! A table with snapshots, made without a query engine.

use std::collections::HashMap;

use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFileBuilder, DataFileFormat, ManifestListWriter, ManifestWriterBuilder, Schema, Struct,
    TableMetadata,
};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Value, json};

use super::{NOW_MS, Served};

/// `sales.orders`, with a required `id`, an `amount` and a nested `place`.
pub async fn create_orders(served: &Served) -> TableMetadata {
    let schema = json!({ "type": "struct", "schema-id": 0, "fields": [
        { "id": 1, "name": "id", "type": "string", "required": true },
        { "id": 2, "name": "amount", "type": "decimal(12,2)", "required": false },
        { "id": 3, "name": "count", "type": "int", "required": false },
        { "id": 4, "name": "place", "required": false, "type": { "type": "struct", "fields": [
            { "id": 5, "name": "city", "type": "string", "required": false }
        ] } }
    ] });
    let (status, answer) =
        served.iceberg("POST", "namespaces/sales/tables", json!({ "name": "orders", "schema": schema })).await;
    assert_eq!(status, 200, "{answer}");
    metadata(&answer)
}

pub async fn load_orders(served: &Served) -> TableMetadata {
    let (status, answer) = served.iceberg("GET", "namespaces/sales/tables/orders", Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    metadata(&answer)
}

pub async fn commit(served: &Served, requirements: Value, updates: Value) -> (u16, Value) {
    let body = json!({ "requirements": requirements, "updates": updates });
    served.iceberg("POST", "namespaces/sales/tables/orders", body).await
}

/// The paths that a snapshot names, one below the other.
pub struct SnapshotPaths {
    pub manifest_list: String,
    pub manifest: String,
    pub data_file: String,
}

impl SnapshotPaths {
    pub fn inside(table: &TableMetadata) -> Self {
        let location = table.location();
        Self {
            manifest_list: format!("{location}/metadata/list.avro"),
            manifest: format!("{location}/metadata/manifest.avro"),
            data_file: format!("{location}/data/file.parquet"),
        }
    }
}

/// Updates that add a snapshot of one data file. Its list and manifest are put where the paths say, if that is in the
/// table's warehouse.
pub async fn snapshot_updates(served: &Served, table: &TableMetadata, paths: &SnapshotPaths, id: i64) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file_io = FileIO::new_with_fs();
    let local = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let schema: Schema = table.current_schema().as_ref().clone();
    let spec = table.default_partition_spec().as_ref().clone();
    let output = file_io.new_output(local("manifest")).unwrap();
    let mut writer = ManifestWriterBuilder::new(output, Some(id), schema.into(), spec).build_v2_data();
    let file = DataFileBuilder::default()
        .content(DataContentType::Data)
        .file_path(paths.data_file.clone())
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::empty())
        .partition_spec_id(0)
        .record_count(1)
        .file_size_in_bytes(100)
        .build()
        .unwrap();
    let sequence_number = table.last_sequence_number() + 1;
    writer.add_file(file, sequence_number).unwrap();
    let mut manifest = writer.write_manifest_file().await.unwrap();
    manifest.manifest_path.clone_from(&paths.manifest);

    let output = file_io.new_output(local("list")).unwrap().writer().await.unwrap();
    let mut list = ManifestListWriter::v2(output, id, table.current_snapshot_id(), sequence_number);
    list.add_manifests([manifest].into_iter()).unwrap();
    list.close().await.unwrap();
    put(served, table, &paths.manifest, &local("manifest")).await;
    put(served, table, &paths.manifest_list, &local("list")).await;

    let mut snapshot = json!({
        "snapshot-id": id,
        "sequence-number": sequence_number,
        "timestamp-ms": table.last_updated_ms().max(NOW_MS as i64),
        "manifest-list": paths.manifest_list,
        "summary": { "operation": "append" },
        "schema-id": table.current_schema_id()
    });
    if let Some(parent) = table.current_snapshot_id() {
        snapshot["parent-snapshot-id"] = parent.into();
    }
    json!([
        { "action": "add-snapshot", "snapshot": snapshot },
        { "action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": id }
    ])
}

async fn put(served: &Served, table: &TableMetadata, path: &str, local: &str) {
    let Some(key) = path.strip_prefix(&format!("{}/", table.location())) else { return };
    let Some(key) = Path::parse(key).ok().filter(|key| !key.as_ref().is_empty()) else { return };
    let bytes = std::fs::read(local).unwrap();
    store(served, table).put(&key, bytes.into()).await.unwrap();
}

/// The objects of a table's warehouse.
pub fn store(served: &Served, table: &TableMetadata) -> std::sync::Arc<dyn ObjectStore> {
    let bucket = table.location().strip_prefix("s3://").unwrap();
    served.warehouse.object_store(bucket).unwrap()
}

pub fn metadata(answer: &Value) -> TableMetadata {
    serde_json::from_value(answer["metadata"].clone()).unwrap()
}

pub fn config(answer: &Value) -> HashMap<String, String> {
    serde_json::from_value(answer["config"].clone()).unwrap()
}
