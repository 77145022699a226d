//! A table in a temporary folder for tests of this crate's parts, without a catalog.

use std::collections::HashMap;

use iceberg::io::FileIO;
use iceberg::spec::{
    FormatVersion, MAIN_BRANCH, ManifestContentType, ManifestListWriter, ManifestWriterBuilder, NestedField, Operation,
    PrimitiveType, Schema, Snapshot, SnapshotReference, SnapshotRetention, SortOrder, Summary, TableMetadataBuilder,
    Transform, Type, UnboundPartitionSpec,
};
use iceberg::table::Table;
use iceberg::{Runtime, TableIdent};
use tempfile::TempDir;

use crate::data_file::WrittenFile;

pub(crate) struct TestTable {
    pub(crate) table: Table,
    pub(crate) dir: TempDir,
}

pub(crate) fn column(id: i32, name: &str, data_type: Type) -> NestedField {
    NestedField::optional(id, name, data_type)
}

pub(crate) fn required(id: i32, name: &str, data_type: PrimitiveType) -> NestedField {
    NestedField::required(id, name, Type::Primitive(data_type))
}

impl TestTable {
    pub(crate) fn new(columns: Vec<NestedField>) -> Self {
        Self::partitioned(columns, &[])
    }

    /// `partition` lists (source field id, transform).
    pub(crate) fn partitioned(columns: Vec<NestedField>, partition: &[(i32, Transform)]) -> Self {
        let schema = Schema::builder().with_fields(columns.into_iter().map(Into::into)).build().unwrap();
        let mut spec = UnboundPartitionSpec::builder();
        for (number, (source_id, transform)) in partition.iter().enumerate() {
            spec = spec.add_partition_field(*source_id, format!("part_{number}"), *transform).unwrap();
        }
        let dir = TempDir::new().unwrap();
        let location = format!("file://{}/table", dir.path().display());
        let metadata = TableMetadataBuilder::new(
            schema,
            spec.build(),
            SortOrder::unsorted_order(),
            location,
            FormatVersion::V2,
            HashMap::new(),
        );
        Self { table: loaded(metadata.unwrap().build().unwrap().metadata), dir }
    }

    pub(crate) fn set_property(&mut self, key: &str, value: &str) {
        self.update(|metadata| metadata.set_properties(HashMap::from([(key.to_owned(), value.to_owned())])));
    }

    pub(crate) fn update(
        &mut self,
        change: impl FnOnce(TableMetadataBuilder) -> iceberg::Result<TableMetadataBuilder>,
    ) {
        let builder = self.table.metadata().clone().into_builder(None);
        self.table = loaded(change(builder).unwrap().build().unwrap().metadata);
    }

    /// Adds the files in one snapshot and gives its id.
    pub(crate) async fn commit(&mut self, data: &[WrittenFile], deletes: &[WrittenFile]) -> i64 {
        self.replace(&[], data, deletes).await
    }

    /// Adds files in one snapshot, without those of its parent that are at `removed`, and gives its id.
    pub(crate) async fn replace(&mut self, removed: &[&str], data: &[WrittenFile], deletes: &[WrittenFile]) -> i64 {
        let metadata = self.table.metadata();
        let sequence_number = metadata.next_sequence_number();
        let snapshot_id = 1000 + sequence_number;
        let mut manifests = Vec::new();
        if let Some(parent) = metadata.current_snapshot() {
            let list = self.table.manifest_list_reader(parent).load().await.unwrap();
            for manifest in list.consume_entries() {
                // One file each.
                let loaded = manifest.load_manifest(self.table.file_io()).await.unwrap();
                if !removed.contains(&loaded.entries()[0].file_path()) {
                    manifests.push(manifest);
                }
            }
        }
        for (files, content) in [(data, ManifestContentType::Data), (deletes, ManifestContentType::Deletes)] {
            for file in files {
                let path = format!("{}/metadata/{snapshot_id}-{}.avro", metadata.location(), manifests.len());
                let spec = metadata.partition_spec_by_id(file.spec_id).unwrap().as_ref().clone();
                let output = self.table.file_io().new_output(path).unwrap();
                let schema = metadata.current_schema().clone();
                let builder = ManifestWriterBuilder::new(output, Some(snapshot_id), schema, spec);
                let mut writer = match content {
                    ManifestContentType::Data => builder.build_v2_data(),
                    ManifestContentType::Deletes => builder.build_v2_deletes(),
                };
                writer.add_file(file.data_file.clone(), -1).unwrap();
                manifests.push(writer.write_manifest_file().await.unwrap());
            }
        }
        let operation = if removed.is_empty() { Operation::Append } else { Operation::Replace };
        let list_path = format!("{}/metadata/snap-{snapshot_id}.avro", metadata.location());
        let output = self.table.file_io().new_output(&list_path).unwrap().writer().await.unwrap();
        let parent = metadata.current_snapshot_id();
        let mut list = ManifestListWriter::v2(output, snapshot_id, parent, sequence_number);
        list.add_manifests(manifests.into_iter()).unwrap();
        list.close().await.unwrap();
        let snapshot = Snapshot::builder()
            .with_snapshot_id(snapshot_id)
            .with_parent_snapshot_id(parent)
            .with_sequence_number(sequence_number)
            .with_timestamp_ms(metadata.last_updated_ms() + 1)
            .with_manifest_list(list_path)
            .with_schema_id(metadata.current_schema_id())
            .with_summary(Summary { operation, additional_properties: HashMap::new() })
            .build();
        let reference = SnapshotReference::new(snapshot_id, SnapshotRetention::branch(None, None, None));
        self.update(|metadata| metadata.add_snapshot(snapshot)?.set_ref(MAIN_BRANCH, reference));
        snapshot_id
    }
}

fn loaded(metadata: iceberg::spec::TableMetadata) -> Table {
    Table::builder()
        .identifier(TableIdent::from_strs(["shop", "items"]).unwrap())
        .file_io(FileIO::new_with_fs())
        .metadata(metadata)
        .runtime(Runtime::current())
        .build()
        .unwrap()
}
