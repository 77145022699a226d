//! Snapshots of another writer that takes data files away.

use std::collections::HashMap;

use futures::TryStreamExt;
use iceberg::TableUpdate;
use iceberg::spec::{
    ManifestContentType, ManifestListWriter, ManifestWriterBuilder, Operation, Snapshot, SnapshotReference,
    SnapshotRetention, Summary,
};
use iceberg::table::Table;
use object_store::ObjectStore;

use super::world::{World, point_main_to};

/// Takes the data files away that `stays` is false for, all others being listed in one new manifest.
pub async fn remove_data_files(world: &World, stays: impl Fn(&str) -> bool) {
    let table = world.load().await;
    let metadata = table.metadata();
    let parent = metadata.current_snapshot().unwrap();
    let snapshot_id = parent.snapshot_id() % 1_000_000_007 + metadata.next_sequence_number() * 10_000_000_000;
    let path = |name: &str| format!("{}/metadata/foreign-{snapshot_id}-{name}.avro", metadata.location());

    let output = table.file_io().new_output(path("m")).unwrap();
    let spec = metadata.default_partition_spec().as_ref().clone();
    let builder = ManifestWriterBuilder::new(output, Some(snapshot_id), metadata.current_schema().clone(), spec);
    let mut writer = builder.build_v2_data();
    let mut manifests = Vec::new();
    for manifest in table.manifest_list_reader(parent).load().await.unwrap().consume_entries() {
        if manifest.content == ManifestContentType::Deletes {
            manifests.push(manifest);
            continue;
        }
        let loaded = manifest.load_manifest(table.file_io()).await.unwrap();
        for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
            let (file, number) = (entry.data_file().clone(), entry.sequence_number().unwrap());
            if stays(entry.file_path()) {
                writer.add_existing_file(file, entry.snapshot_id().unwrap(), number, Some(number)).unwrap();
            } else {
                writer.add_delete_file(file, number, Some(number)).unwrap();
            }
        }
    }
    manifests.push(writer.write_manifest_file().await.unwrap());

    let output = table.file_io().new_output(path("list")).unwrap().writer().await.unwrap();
    let (parent_id, number) = (Some(parent.snapshot_id()), metadata.next_sequence_number());
    let mut list = ManifestListWriter::v2(output, snapshot_id, parent_id, number);
    list.add_manifests(manifests.into_iter()).unwrap();
    list.close().await.unwrap();
    let snapshot = Snapshot::builder()
        .with_snapshot_id(snapshot_id)
        .with_parent_snapshot_id(parent_id)
        .with_sequence_number(number)
        .with_timestamp_ms(world.clock.now_ms().max(metadata.last_updated_ms() + 1))
        .with_manifest_list(path("list"))
        .with_schema_id(metadata.current_schema_id())
        .with_summary(Summary { operation: Operation::Delete, additional_properties: HashMap::new() })
        .build();
    world.double.meddle(&world.table, |_| vec![TableUpdate::AddSnapshot { snapshot }, point_main_to(snapshot_id)]);
}

pub fn tag(name: &str, snapshot_id: i64) -> TableUpdate {
    let reference = SnapshotReference::new(snapshot_id, SnapshotRetention::Tag { max_ref_age_ms: None });
    TableUpdate::SetSnapshotRef { ref_name: name.to_owned(), reference }
}

/// The keys of all objects, sorted.
pub async fn keys(world: &World) -> Vec<String> {
    let listed = world.objects.list(None).map_ok(|file| file.location.to_string());
    let mut keys: Vec<String> = listed.try_collect().await.unwrap();
    keys.sort();
    keys
}

/// The keys of all files of all snapshots, found without the code under test.
pub async fn named_keys(table: &Table) -> Vec<String> {
    let mut locations = Vec::new();
    for snapshot in table.metadata().snapshots() {
        locations.push(snapshot.manifest_list().to_owned());
        for manifest in table.manifest_list_reader(snapshot).load().await.unwrap().consume_entries() {
            let loaded = manifest.load_manifest(table.file_io()).await.unwrap();
            let live = loaded.entries().iter().filter(|entry| entry.is_alive());
            locations.extend(live.map(|entry| entry.file_path().to_owned()));
            locations.push(manifest.manifest_path);
        }
    }
    let mut keys: Vec<_> =
        locations.iter().map(|path| path.strip_prefix("s3://warehouse/").unwrap().to_owned()).collect();
    keys.sort();
    keys.dedup();
    keys
}
