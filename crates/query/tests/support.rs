//! A lake on local disk, and the blog's table in it.

use std::collections::HashMap;
use std::sync::Arc;

use ambient::Ambient;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::io::LocalFsStorageFactory;
use iceberg::memory::{MEMORY_CATALOG_WAREHOUSE, MemoryCatalogBuilder};
use iceberg::spec::{
    DataContentType, ListType, NestedField, PrimitiveType, Schema, Struct, StructType, TableMetadataBuilder, Type,
};
use iceberg::transaction::{ApplyTransactionAction, Transaction};
use iceberg::writer::file_writer::{FileWriter, FileWriterBuilder, ParquetWriterBuilder};
use iceberg::{Catalog, CatalogBuilder, MemoryCatalog, NamespaceIdent, TableCreation, TableIdent};
use lake::{Error, ErrorKind, LakeTable, ScanCache};
use object_store::local::LocalFileSystem;
use parquet::file::properties::WriterProperties;
use query::{Answer, Catalogs, Engine, EngineOptions, Tables};

/// 2026-11-22T12:00:00Z
pub const NOON_MS: u64 = 1_795_348_800_000;

/// A namespace's tables on local disk.
#[derive(Clone)]
pub struct LocalLake {
    catalog: Arc<MemoryCatalog>,
    folder: Arc<tempfile::TempDir>,
}

impl LocalLake {
    pub async fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let warehouse = format!("file://{}", folder.path().display());
        let builder = MemoryCatalogBuilder::default().with_storage_factory(Arc::new(LocalFsStorageFactory));
        let properties = HashMap::from([(MEMORY_CATALOG_WAREHOUSE.to_owned(), warehouse)]);
        Self { catalog: Arc::new(builder.load("local", properties).await.unwrap()), folder }
    }

    /// Makes a table and gives it the rows, each a list of values as text.
    pub async fn create(&self, namespace: &str, name: &str, columns: Vec<NestedField>, rows: &[Vec<Option<&str>>]) {
        let namespace = NamespaceIdent::new(namespace.to_owned());
        if !self.catalog.namespace_exists(&namespace).await.unwrap() {
            self.catalog.create_namespace(&namespace, HashMap::new()).await.unwrap();
        }
        let schema = Schema::builder().with_fields(columns.into_iter().map(Arc::new)).build().unwrap();
        let creation = TableCreation::builder().name(name.to_owned()).schema(schema).build();
        self.catalog.create_table(&namespace, creation).await.unwrap();
        if !rows.is_empty() {
            self.append(&TableIdent::new(namespace, name.to_owned()), rows, HashMap::new()).await;
        }
    }

    pub async fn append(&self, table: &TableIdent, rows: &[Vec<Option<&str>>], summary: HashMap<String, String>) {
        let table = self.catalog.load_table(table).await.unwrap();
        let schema = Arc::new(schema_to_arrow_schema(table.metadata().current_schema()).unwrap());
        let column = |index: usize| -> ArrayRef {
            let text: StringArray = rows.iter().map(|row| row[index]).collect();
            cast(&text, schema.field(index).data_type()).unwrap()
        };
        let columns = (0..schema.fields().len()).map(column).collect();
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        self.append_batch(table.identifier(), batch, summary).await;
    }

    pub async fn append_batch(&self, table: &TableIdent, batch: RecordBatch, summary: HashMap<String, String>) {
        self.append_file(table, batch, summary, Struct::empty()).await;
    }

    /// Appends a file that lies in a partition.
    pub async fn append_file(
        &self,
        table: &TableIdent,
        batch: RecordBatch,
        summary: HashMap<String, String>,
        partition: Struct,
    ) {
        let table = self.catalog.load_table(table).await.unwrap();
        let snapshots = table.metadata().snapshots().len();
        let path = format!("{}/data/{snapshots}.parquet", table.metadata().location());
        let properties = WriterProperties::builder().set_statistics_truncate_length(None).build();
        let writer = ParquetWriterBuilder::new(properties, table.metadata().current_schema().clone());
        let mut writer = writer.build(table.file_io().new_output(path).unwrap()).await.unwrap();
        writer.write(&batch).await.unwrap();
        let mut file = writer.close().await.unwrap().remove(0);
        let spec_id = table.metadata().default_partition_spec_id();
        let file = file.content(DataContentType::Data).partition(partition).partition_spec_id(spec_id).build().unwrap();

        let transaction = Transaction::new(&table);
        let append = transaction.fast_append().add_data_files([file]).set_snapshot_properties(summary);
        append.apply(transaction).unwrap().commit(self.catalog.as_ref()).await.unwrap();
    }

    /// Changes a table's metadata as no writer would.
    pub async fn change(
        &self,
        table: &TableIdent,
        change: impl FnOnce(TableMetadataBuilder) -> iceberg::Result<TableMetadataBuilder>,
    ) {
        let loaded = self.catalog.load_table(table).await.unwrap();
        let location = loaded.metadata_location_result().unwrap().to_owned();
        let builder = change(loaded.metadata().clone().into_builder(Some(location))).unwrap();
        let changed = serde_json::to_vec(&builder.build().unwrap().metadata).unwrap();
        let path = format!(
            "{}/metadata/00100-00000000-0000-4000-8000-000000000000.metadata.json",
            loaded.metadata().location()
        );
        loaded.file_io().new_output(&path).unwrap().write(changed.into()).await.unwrap();
        self.catalog.drop_table(table).await.unwrap();
        self.catalog.register_table(table, path).await.unwrap();
    }

    pub fn engine(&self) -> Engine {
        self.engine_with(EngineOptions::default())
    }

    pub fn engine_with(&self, options: EngineOptions) -> Engine {
        Engine::new(self.clone(), Ambient::fixed(NOON_MS), options).unwrap()
    }

    pub async fn lines(&self, sql: &str) -> Vec<String> {
        match self.engine().query(sql).await {
            Ok(answer) => lines(&answer),
            Err(error) => panic!("{}: {error} ({error:?})", error.code()),
        }
    }

    pub async fn error(&self, sql: &str) -> query::Error {
        self.engine().query(sql).await.expect_err("the query should fail")
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

#[async_trait]
impl Tables for LocalLake {
    async fn list_namespaces(&self) -> lake::Result<Vec<NamespaceIdent>> {
        self.catalog.list_namespaces(None).await.map_err(failed)
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> lake::Result<Vec<TableIdent>> {
        self.catalog.list_tables(namespace).await.map_err(failed)
    }

    async fn load(&self, table: &TableIdent, cache: &Arc<ScanCache>) -> lake::Result<LakeTable> {
        let table = self.catalog.load_table(table).await.map_err(failed)?;
        LakeTable::new(table, Arc::new(|_| Ok(Arc::new(LocalFileSystem::new()))), cache.clone())
    }
}

/// Lakes by catalog.
pub struct Buckets(pub Vec<(&'static str, LocalLake)>);

#[async_trait]
impl Catalogs for Buckets {
    async fn list_catalogs(&self) -> lake::Result<Vec<String>> {
        Ok(self.0.iter().map(|(name, _)| (*name).to_owned()).collect())
    }

    async fn catalog(&self, name: &str) -> lake::Result<Option<Arc<dyn Tables>>> {
        let found = self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        Ok(found.map(|(_, lake)| Arc::new(lake.clone()) as _))
    }
}

fn failed(error: iceberg::Error) -> Error {
    let kind = match error.kind() {
        iceberg::ErrorKind::TableNotFound | iceberg::ErrorKind::NamespaceNotFound => ErrorKind::NotFound,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, error.to_string())
}

/// A line per row, columns separated by a bar.
pub fn lines(answer: &Answer) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let mut lines = Vec::new();
    for batch in &answer.batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(values.join("|"));
        }
    }
    lines
}

pub fn column(id: i32, name: &str, primitive: PrimitiveType) -> NestedField {
    NestedField::optional(id, name, Type::Primitive(primitive))
}

/// The columns of the blog's `analytics.transactions`.
pub fn transactions_columns() -> Vec<NestedField> {
    use PrimitiveType::{Date, Decimal, Int, Long, String};
    let amount = Decimal { precision: 12, scale: 2 };
    let columns = [
        ("transaction_id", String),
        ("timestamp", Long),
        ("customer_id", String),
        ("date", Date),
        ("hour", Int),
        ("minute", Int),
        ("transaction_type", String),
        ("amount", amount),
        ("currency", String),
        ("merchant_category", String),
        ("payment_method", String),
        ("region", String),
        ("risk_score", String),
        ("status", String),
        ("processing_timestamp", Long),
        ("device_type", String),
        ("authentication_method", String),
        ("merchant_id", String),
        ("velocity_check", String),
        ("amount_threshold", String),
        ("location_risk", String),
        ("pattern_match", String),
    ];
    columns.into_iter().zip(1..).map(|((name, primitive), id)| column(id, name, primitive)).collect()
}

/// The blog's table with four rows of today, 2026-11-22, and one each of six and eight days before.
pub async fn transactions() -> LocalLake {
    let lake = LocalLake::new().await;
    // Id, customer, date, hour, amount, status, risk score, velocity check, amount threshold.
    let rows = [
        ["T1", "C1", "2026-11-22", "9", "10.25", "APPROVED", "LOW", "PASS", "NORMAL"],
        ["T2", "C1", "2026-11-22", "9", "999.99", "DECLINED", "HIGH", "FLAG", "HIGH"],
        ["T3", "C2", "2026-11-22", "9", "0.01", "FLAGGED", "HIGH", "PASS", "NORMAL"],
        ["T4", "C3", "2026-11-22", "10", "5.00", "APPROVED", "LOW", "PASS", "NORMAL"],
        ["T5", "C3", "2026-11-16", "1", "7.50", "FLAGGED", "HIGH", "FLAG", "HIGH"],
        ["T6", "C3", "2026-11-14", "1", "8.50", "FLAGGED", "HIGH", "FLAG", "HIGH"],
    ];
    let names = [
        "transaction_id",
        "customer_id",
        "date",
        "hour",
        "amount",
        "status",
        "risk_score",
        "velocity_check",
        "amount_threshold",
    ];
    let fixed = HashMap::from([
        ("merchant_category", "RETAIL"),
        ("payment_method", "CARD"),
        ("region", "EU"),
        ("timestamp", "1795340000000"),
    ]);
    let columns = transactions_columns();
    let row = |values: [&'static str; 9]| -> Vec<Option<&'static str>> {
        let given: HashMap<&str, &str> = names.into_iter().zip(values).chain(fixed.clone()).collect();
        columns.iter().map(|column| given.get(column.name.as_str()).copied()).collect()
    };
    let rows: Vec<_> = rows.into_iter().map(row).collect();
    lake.create("analytics", "transactions", transactions_columns(), &rows).await;
    lake
}

/// `sales.orders`: a price, a list of structs, and a NULL of each; `sales.empty`, without rows.
pub async fn orders(lake: &LocalLake) {
    let field = |id, name: &str, primitive| Arc::new(column(id, name, primitive));
    let fields = vec![field(5, "product", PrimitiveType::String), field(6, "quantity", PrimitiveType::Int)];
    let item = NestedField::optional(4, "element", Type::Struct(StructType::new(fields)));
    let items = NestedField::optional(3, "items", Type::List(ListType::new(Arc::new(item))));
    let columns =
        || vec![column(1, "order_id", PrimitiveType::String), column(2, "price", PrimitiveType::Double), items.clone()];
    lake.create("sales", "orders", columns(), &[]).await;
    lake.create("sales", "empty", columns(), &[]).await;
    let rows = r#"
        {"order_id": "A", "price": 1.5, "items": [{"product": "pen", "quantity": 2}, {"product": "ink", "quantity": 1}]}
        {"order_id": "B", "price": 2.25, "items": [{"product": "pen", "quantity": null}]}
        {"order_id": "C", "price": null, "items": []}
        {"order_id": "D", "price": -0.5, "items": null}
    "#;
    let ident = TableIdent::from_strs(["sales", "orders"]).unwrap();
    let table = lake.catalog.load_table(&ident).await.unwrap();
    let schema = Arc::new(schema_to_arrow_schema(table.metadata().current_schema()).unwrap());
    let mut reader = arrow::json::ReaderBuilder::new(schema).build(rows.as_bytes()).unwrap();
    lake.append_batch(&ident, reader.next().unwrap().unwrap(), HashMap::new()).await;
}
