//! A table on local disk that a test writes file by file.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::FileIO;
use iceberg::spec::*;
use iceberg::table::Table;
use iceberg::writer::file_writer::{FileWriter, FileWriterBuilder, ParquetWriterBuilder};
use iceberg::{MetadataLocation, TableCreation, TableIdent};
use object_store::local::LocalFileSystem;
use parquet::file::properties::WriterProperties;

use crate::scan::{LakeTable, OpenStore, ScanCache};

pub struct TestTable {
    folder: tempfile::TempDir,
    pub file_io: FileIO,
    metadata: TableMetadata,
    location: MetadataLocation,
    files: usize,
    /// With it, every file is large; ...
    pub cache: Arc<ScanCache>,
    /// ... with this one, they are small.
    cache_of_small_files: Arc<ScanCache>,
}

/// What to write into a data file besides its rows.
#[derive(Default)]
pub struct FileOptions<'a> {
    /// Below the table's `data` folder.
    pub name: Option<&'a str>,
    pub rows_per_group: Option<usize>,
    pub partition: Option<Struct>,
}

impl TestTable {
    pub fn new(fields: Vec<NestedField>) -> Self {
        Self::partitioned(fields, None)
    }

    pub fn partitioned(fields: Vec<NestedField>, spec: Option<UnboundPartitionSpec>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}/table", folder.path().display());
        let creation =
            TableCreation::builder().name("t".to_owned()).location(location.clone()).schema(schema(vec![])).build();
        // Creation assigns ids of its own, a schema added later keeps those it has.
        let mut builder = TableMetadataBuilder::from_table_creation(creation).unwrap();
        builder = builder.add_current_schema(schema(fields)).unwrap();
        if let Some(spec) = spec {
            builder = builder.add_default_partition_spec(spec).unwrap();
        }
        let metadata = builder.build().unwrap().metadata;
        Self {
            folder,
            file_io: FileIO::new_with_fs(),
            location: MetadataLocation::new_with_metadata(location, &metadata),
            metadata,
            files: 0,
            cache: Arc::new(ScanCache::with_small_files_up_to(0)),
            cache_of_small_files: Arc::default(),
        }
    }

    pub fn schema(&self) -> SchemaRef {
        self.metadata.current_schema().clone()
    }

    /// A batch of the table's current schema.
    pub fn batch(&self, columns: Vec<ArrayRef>) -> RecordBatch {
        let schema = schema_to_arrow_schema(&self.schema()).unwrap();
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    /// Writes a data file that no snapshot holds yet.
    pub async fn write(&mut self, columns: Vec<ArrayRef>, options: FileOptions<'_>) -> DataFile {
        let batch = self.batch(columns);
        self.files += 1;
        let name = options.name.map_or_else(|| format!("{}.parquet", self.files), str::to_owned);
        let path = format!("{}/data/{name}", self.metadata.location());
        let mut file = self.write_parquet(&path, self.schema(), &batch, options.rows_per_group).await;
        file.content(DataContentType::Data).partition_spec_id(self.metadata.default_partition_spec_id());
        file.partition(options.partition.unwrap_or_else(Struct::empty));
        file.build().unwrap()
    }

    /// Writes a position-delete file for `(path, position)` pairs; `referenced` is what the manifest says of it.
    pub async fn write_deletes(&mut self, rows: &[(&str, i64)], referenced: Option<&str>) -> DataFile {
        let string = Type::Primitive(PrimitiveType::String);
        let fields = [
            NestedField::required(2147483546, "file_path", string),
            NestedField::required(2147483545, "pos", Type::Primitive(PrimitiveType::Long)),
        ];
        let schema = Arc::new(Schema::builder().with_fields(fields.map(Arc::new)).build().unwrap());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|(path, _)| *path))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, position)| *position))),
        ];
        let batch = RecordBatch::try_new(Arc::new(schema_to_arrow_schema(&schema).unwrap()), columns).unwrap();
        self.files += 1;
        let path = format!("{}/data/{}-deletes.parquet", self.metadata.location(), self.files);
        let mut file = self.write_parquet(&path, schema, &batch, None).await;
        file.content(DataContentType::PositionDeletes).partition(Struct::empty());
        file.partition_spec_id(self.metadata.default_partition_spec_id());
        file.referenced_data_file(referenced.map(str::to_owned));
        file.build().unwrap()
    }

    async fn write_parquet(
        &self,
        path: &str,
        schema: SchemaRef,
        batch: &RecordBatch,
        rows_per_group: Option<usize>,
    ) -> DataFileBuilder {
        let properties = WriterProperties::builder()
            .set_statistics_truncate_length(None)
            .set_max_row_group_row_count(Some(rows_per_group.unwrap_or(1 << 20)))
            .build();
        let builder = ParquetWriterBuilder::new(properties, schema);
        let mut writer = builder.build(self.file_io.new_output(path).unwrap()).await.unwrap();
        writer.write(batch).await.unwrap();
        writer.close().await.unwrap().remove(0)
    }

    /// Appends `columns` in a file of their own, in a snapshot of their own.
    pub async fn append(&mut self, columns: Vec<ArrayRef>) -> DataFile {
        let file = self.write(columns, FileOptions::default()).await;
        self.commit(vec![file.clone()], vec![]).await;
        file
    }

    /// Adds files to the table in one snapshot.
    pub async fn commit(&mut self, data: Vec<DataFile>, deletes: Vec<DataFile>) {
        let parent = self.metadata.current_snapshot().cloned();
        let snapshot_id = self.metadata.snapshots().len() as i64 + 1;
        let sequence_number = self.metadata.next_sequence_number();
        let mut manifests = match &parent {
            Some(parent) => {
                let list = self.table().manifest_list_reader(parent).load().await.unwrap();
                list.consume_entries().into_iter().collect()
            }
            None => Vec::new(),
        };
        for (files, content) in [(data, ManifestContentType::Data), (deletes, ManifestContentType::Deletes)] {
            if files.is_empty() {
                continue;
            }
            let path = format!("{}/metadata/{snapshot_id}-{content}.avro", self.metadata.location());
            let builder = ManifestWriterBuilder::new(
                self.file_io.new_output(path).unwrap(),
                Some(snapshot_id),
                self.schema(),
                self.metadata.default_partition_spec().as_ref().clone(),
            );
            let mut writer = match content {
                ManifestContentType::Data => builder.build_v2_data(),
                ManifestContentType::Deletes => builder.build_v2_deletes(),
            };
            for file in files {
                writer.add_file(file, -1).unwrap();
            }
            manifests.push(writer.write_manifest_file().await.unwrap());
        }

        let list_path = format!("{}/metadata/snap-{snapshot_id}.avro", self.metadata.location());
        let output = self.file_io.new_output(&list_path).unwrap().writer().await.unwrap();
        let parent_id = parent.map(|parent| parent.snapshot_id());
        let mut list = ManifestListWriter::v2(output, snapshot_id, parent_id, sequence_number);
        list.add_manifests(manifests.into_iter()).unwrap();
        list.close().await.unwrap();

        let snapshot = Snapshot::builder()
            .with_snapshot_id(snapshot_id)
            .with_parent_snapshot_id(parent_id)
            .with_sequence_number(sequence_number)
            .with_timestamp_ms(self.metadata.last_updated_ms() + 1)
            .with_manifest_list(list_path)
            .with_schema_id(self.metadata.current_schema_id())
            .with_summary(Summary { operation: Operation::Append, additional_properties: HashMap::new() })
            .build();
        self.change(|builder| builder.set_branch_snapshot(snapshot, MAIN_BRANCH).unwrap()).await;
    }

    /// Makes `fields` the table's schema.
    pub async fn evolve(&mut self, fields: Vec<NestedField>) {
        self.change(|builder| builder.add_current_schema(schema(fields)).unwrap()).await;
    }

    async fn change(&mut self, change: impl FnOnce(TableMetadataBuilder) -> TableMetadataBuilder) {
        let builder = self.metadata.clone().into_builder(Some(self.location.to_string()));
        self.metadata = change(builder).build().unwrap().metadata;
        self.location = self.location.with_next_version();
        self.metadata.write_to(&self.file_io, &self.location).await.unwrap();
    }

    pub fn table(&self) -> Table {
        Table::builder()
            .identifier(TableIdent::from_strs(["ns", "t"]).unwrap())
            .file_io(self.file_io.clone())
            .metadata(self.metadata.clone())
            .metadata_location(self.location.to_string())
            .runtime(iceberg::Runtime::current())
            .build()
            .unwrap()
    }

    pub fn provider(&self) -> LakeTable {
        self.provider_with(self.cache.clone())
    }

    fn provider_with(&self, cache: Arc<ScanCache>) -> LakeTable {
        let open_store: OpenStore = Arc::new(|_| Ok(Arc::new(LocalFileSystem::new())));
        LakeTable::new(self.table(), open_store, cache).unwrap()
    }

    /// What `sql` answers about the table `t`, a line per row, columns separated by a bar. Small files are read in
    /// another way than large ones, and must give the same.
    pub async fn query(&self, sql: &str) -> Vec<String> {
        let answer = async |table| lines(&context(table).sql(sql).await.unwrap().collect().await.unwrap());
        let mut small = answer(self.provider_with(self.cache_of_small_files.clone())).await;
        let mut large = answer(self.provider()).await;
        let answered = large.clone();
        small.sort();
        large.sort();
        match sql.contains("LIMIT") {
            true => assert_eq!(small.len(), large.len(), "{sql}"),
            false => assert_eq!(small, large, "{sql}"),
        }
        answered
    }

    pub async fn query_error(&self, sql: &str) -> String {
        let frame = context(self.provider()).sql(sql).await.unwrap();
        format!("{:?}", frame.collect().await.expect_err("the query should fail"))
    }

    /// The physical plan of `sql`.
    pub async fn plan(&self, sql: &str) -> String {
        let plan = context(self.provider()).sql(sql).await.unwrap().create_physical_plan().await.unwrap();
        datafusion::physical_plan::displayable(plan.as_ref()).indent(false).to_string()
    }

    /// A path below the table's location, on disk.
    pub fn path(&self, below: &str) -> std::path::PathBuf {
        self.folder.path().join("table").join(below)
    }

    /// Deletes a file of the table behind its back.
    pub fn destroy(&self, file: &DataFile) {
        let below = file.file_path().strip_prefix(self.metadata.location()).unwrap();
        std::fs::remove_file(self.path(below.trim_start_matches('/'))).unwrap();
    }
}

fn schema(fields: Vec<NestedField>) -> Schema {
    Schema::builder().with_fields(fields.into_iter().map(Arc::new)).build().unwrap()
}

/// A session in which `table` is `t`.
pub fn context(table: LakeTable) -> SessionContext {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    context.register_table("t", Arc::new(table)).unwrap();
    context
}

pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(values.join("|"));
        }
    }
    lines
}

pub fn bytes_scanned(plan: &dyn ExecutionPlan) -> usize {
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name("bytes_scanned"));
    own.map_or(0, |value| value.as_usize())
        + plan.children().iter().map(|child| bytes_scanned(child.as_ref())).sum::<usize>()
}

pub fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

pub fn strings<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub fn long(id: i32, name: &str) -> NestedField {
    NestedField::optional(id, name, Type::Primitive(PrimitiveType::Long))
}

pub fn string(id: i32, name: &str) -> NestedField {
    NestedField::optional(id, name, Type::Primitive(PrimitiveType::String))
}
