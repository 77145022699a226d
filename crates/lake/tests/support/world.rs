//! One table in a [`MemoryCatalog`], its objects in memory, and writers of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ambient::Ambient;
use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use iceberg::spec::{
    MAIN_BRANCH, Operation, Snapshot, SnapshotReference, SnapshotRetention, SortOrder, Summary, TableMetadata,
    UnboundPartitionSpec,
};
use iceberg::table::Table;
use iceberg::{NamespaceIdent, TableIdent, TableUpdate};
use lake::{
    Catalog, CatalogConfig, Error, ErrorKind, LakeTable, Result, RowChanges, StorageConfig, TableCreation, TableWriter,
    Turns, WriterOptions, schema_from_arrow,
};
use object_store::ObjectStore;
use tempfile::TempDir;

use super::clock::Clock;
use super::dated_store::DatedStore;
use super::memory_catalog::MemoryCatalog;

const IN_MEMORY: &str = "s3://warehouse";

pub struct World {
    pub double: Arc<MemoryCatalog>,
    pub catalog: Catalog,
    pub objects: DatedStore,
    pub clock: Clock,
    pub table: TableIdent,
    key_columns: Vec<String>,
    folder: TempDir,
}

impl World {
    /// A table of `id` and `n` that only grows.
    pub async fn changelog() -> Self {
        Self::new(&[], |_| IN_MEMORY.to_owned()).await
    }

    /// A table of `id` and `n` with one row per `id`.
    pub async fn mirror() -> Self {
        Self::new(&["id"], |_| IN_MEMORY.to_owned()).await
    }

    /// A mirror whose files are on the local disk.
    pub async fn on_disk() -> Self {
        Self::new(&["id"], |folder| format!("file://{}/warehouse", folder.path().display())).await
    }

    /// A mirror that is partitioned or sorted.
    pub async fn laid_out(partition_spec: Option<UnboundPartitionSpec>, sort_order: Option<SortOrder>) -> Self {
        Self::create(&["id"], |_| IN_MEMORY.to_owned(), partition_spec, sort_order).await
    }

    async fn new(key_columns: &[&str], root: impl FnOnce(&TempDir) -> String) -> Self {
        Self::create(key_columns, root, None, None).await
    }

    async fn create(
        key_columns: &[&str],
        root: impl FnOnce(&TempDir) -> String,
        partition_spec: Option<UnboundPartitionSpec>,
        sort_order: Option<SortOrder>,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Clock::new();
        let double = Arc::new(MemoryCatalog::new(root(&folder), clock.clone()));
        let objects = DatedStore::new(clock.clone());
        let warehouse: Arc<dyn ObjectStore> = Arc::new(objects.clone());
        let storage = StorageConfig {
            local: Some(Arc::new(move |bucket| (bucket == "warehouse").then(|| warehouse.clone()))),
            ..StorageConfig::default()
        };
        let config = CatalogConfig {
            uri: "http://double/catalog/".to_owned(),
            warehouse: None,
            signing: None,
            storage,
            turns: Turns::default(),
        };
        let catalog = Catalog::connect_through(double.clone(), config, ambient(&clock)).await.unwrap();

        let namespace = NamespaceIdent::new("shop".to_owned());
        catalog.ensure_namespace(&namespace).await.unwrap();
        let creation = TableCreation {
            name: "orders".to_owned(),
            schema: schema_from_arrow(&schema()).unwrap(),
            partition_spec,
            sort_order,
            properties: Default::default(),
        };
        let table = catalog.create_table(&namespace, creation).await.unwrap();
        Self {
            double,
            catalog,
            objects,
            clock,
            table: table.identifier().clone(),
            key_columns: key_columns.iter().map(|name| name.to_string()).collect(),
            folder,
        }
    }

    /// A writer of the table on the machine `host`, which has its own key index.
    pub async fn writer(&self, host: &str) -> TableWriter {
        self.try_writer(host, "orders").await.unwrap()
    }

    pub async fn try_writer(&self, host: &str, pipeline: &str) -> Result<TableWriter> {
        let options = WriterOptions {
            pipeline: pipeline.to_owned(),
            key_columns: self.key_columns.clone(),
            index_dir: self.folder.path().join(host),
        };
        TableWriter::open(self.catalog.clone(), self.table.clone(), options).await
    }

    pub async fn load(&self) -> Table {
        self.catalog.load_table(&self.table).await.unwrap()
    }

    /// The checkpoint in the head's summary.
    pub async fn checkpoint(&self) -> Option<String> {
        let table = self.load().await;
        table.metadata().current_snapshot().and_then(|head| {
            let summary = &head.summary().additional_properties;
            summary.get("dynaberg.checkpoint").cloned()
        })
    }

    /// Along the history, no commit landed twice, and none of an older epoch after a takeover.
    pub async fn check_history(&self) {
        let landed = self.double.landed();
        assert!(landed.is_sorted_by_key(|commit| commit.epoch), "{landed:?}");
        let mut commit_ids: Vec<_> = landed.iter().map(|commit| &commit.commit_id).collect();
        commit_ids.sort();
        assert!(commit_ids.is_sorted_by(|a, b| a < b), "{landed:?}");
    }

    /// Along the history, positions that are numbers never fall.
    pub async fn check_positions(&self) {
        let table = self.load().await;
        let metadata = table.metadata();
        let mut later = u64::MAX;
        let mut id = metadata.current_snapshot_id();
        while let Some(snapshot) = id.and_then(|id| metadata.snapshot_by_id(id)) {
            if let Some(text) = snapshot.summary().additional_properties.get("dynaberg.checkpoint") {
                let position = text.parse().unwrap();
                assert!(position <= later, "{position} before {later}");
                later = position;
            }
            id = snapshot.parent_snapshot_id();
        }
    }

    /// The table's rows, sorted.
    pub async fn rows(&self) -> Vec<(String, i64)> {
        let table = self.load().await;
        let scan = async {
            let stream = table.scan().select(["id", "n"]).build()?.to_arrow().await?;
            stream.try_collect::<Vec<RecordBatch>>().await
        };
        // The crate's reader can lose a wake-up.
        let batches = tokio::time::timeout(Duration::from_secs(60), scan).await.expect("the scan ends").unwrap();
        let mut rows = Vec::new();
        for batch in batches {
            let (ids, numbers) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
            rows.extend((0..batch.num_rows()).map(|row| (ids.value(row).to_owned(), numbers.value(row))));
        }
        rows.sort();
        rows
    }
}

/// The rows of a table, sorted.
pub async fn read(table: &LakeTable) -> Result<Vec<(String, i64)>> {
    // Making one takes longer than reading a small table.
    static SESSION: LazyLock<SessionContext> = LazyLock::new(SessionContext::new);
    let frame = SESSION.read_table(Arc::new(table.clone())).unwrap();
    let batches = frame.select_columns(&["id", "n"]).unwrap().collect().await;
    let batches = batches.map_err(|error| Error::new(ErrorKind::Unexpected, "read a table").with_source(error))?;
    let mut rows = Vec::new();
    for batch in batches {
        let ids = cast(batch.column(0), &DataType::Utf8).unwrap();
        let (ids, numbers) = (ids.as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
        rows.extend((0..batch.num_rows()).map(|row| (ids.value(row).to_owned(), numbers.value(row))));
    }
    rows.sort();
    Ok(rows)
}

/// The bits look random, unlike those of `Ambient::fixed`, so that back-off takes its time.
fn ambient(clock: &Clock) -> Ambient {
    let drawn = AtomicU64::new(1);
    let clock = clock.clone();
    Ambient::new(
        move || clock.now(),
        move || {
            u128::from(drawn.fetch_add(1, Ordering::Relaxed)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        },
    )
}

/// How many objects the table has.
pub async fn object_count(world: &World) -> usize {
    world.objects.list(None).try_collect::<Vec<_>>().await.unwrap().len()
}

/// A snapshot of somebody else that changes no row.
pub fn foreign_compaction(metadata: &TableMetadata) -> Vec<TableUpdate> {
    let parent = metadata.current_snapshot().unwrap();
    let snapshot_id = parent.snapshot_id() + 1;
    let snapshot = Snapshot::builder()
        .with_snapshot_id(snapshot_id)
        .with_parent_snapshot_id(Some(parent.snapshot_id()))
        .with_sequence_number(metadata.next_sequence_number())
        .with_timestamp_ms(metadata.last_updated_ms() + 1)
        .with_manifest_list(parent.manifest_list())
        .with_schema_id(metadata.current_schema_id())
        .with_summary(Summary { operation: Operation::Replace, additional_properties: HashMap::new() })
        .build();
    vec![TableUpdate::AddSnapshot { snapshot }, point_main_to(snapshot_id)]
}

pub fn expire_all_but_head(metadata: &TableMetadata) -> Vec<TableUpdate> {
    let ids = metadata.snapshots().map(|snapshot| snapshot.snapshot_id());
    let snapshot_ids = ids.filter(|id| Some(*id) != metadata.current_snapshot_id()).collect();
    vec![TableUpdate::RemoveSnapshots { snapshot_ids }]
}

pub fn point_main_to(snapshot_id: i64) -> TableUpdate {
    let reference = SnapshotReference::new(snapshot_id, SnapshotRetention::branch(None, None, None));
    TableUpdate::SetSnapshotRef { ref_name: MAIN_BRANCH.to_owned(), reference }
}

pub fn schema() -> Schema {
    Schema::new(vec![Field::new("id", DataType::Utf8, false), Field::new("n", DataType::Int64, true)])
}

pub fn upserts(rows: &[(&str, i64)]) -> RowChanges {
    let ids = StringArray::from_iter_values(rows.iter().map(|(id, _)| id));
    let numbers = Int64Array::from_iter_values(rows.iter().map(|(_, n)| *n));
    let batch = RecordBatch::try_new(Arc::new(schema()), vec![Arc::new(ids), Arc::new(numbers)]).unwrap();
    RowChanges { upserts: vec![batch], deletes: Vec::new() }
}

pub fn changes(rows: &[(&str, i64)], deleted: &[&str]) -> RowChanges {
    let ids: Arc<dyn Array> = Arc::new(StringArray::from_iter_values(deleted));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    RowChanges { deletes: vec![batch], ..upserts(rows) }
}

pub fn rows_of(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter().map(|(id, n)| (id.to_string(), *n)).collect()
}
