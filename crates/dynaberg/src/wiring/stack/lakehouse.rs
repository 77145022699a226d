//! Lends the warehouse to the analysts' services.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use iceberg::spec::{Schema, TableMetadata};
use iceberg::{NamespaceIdent, TableIdent};
use lake::{ErrorKind, LakeTable, ScanCache};
use local_analytics::{Column, Lakehouse, LakehouseError, Region, TableDescription};
use local_warehouse::{Directory, TableEntry, Warehouse, WarehouseError};
use object_store::ObjectStore;
use query::{Engine, EngineOptions, Tables, type_name};

use crate::aws::Aws;
use crate::config::Catalog;
use crate::failure::Failure;

/// What the queries of one engine may hold in memory together; beyond it they spill, then fail.
const QUERY_MEMORY_BYTES_MAX: usize = 1 << 30;
/// Engines that are kept, for databases that were asked last.
const ENGINES_MAX: usize = 64;

/// The warehouse, seen by analysts.
pub struct WarehouseLakehouse {
    warehouse: Warehouse,
    aws: Aws,
    engines: Mutex<HashMap<EngineKey, Arc<Engine>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct EngineKey {
    region: Region,
    table_bucket: Option<String>,
    namespace: Option<String>,
}

type Result<T> = std::result::Result<T, LakehouseError>;

impl WarehouseLakehouse {
    /// `aws` are the settings of a client of this very stack.
    pub fn new(warehouse: Warehouse, aws: Aws) -> Self {
        Self { warehouse, aws, engines: Mutex::default() }
    }

    fn directory(&self, region: &Region) -> Directory {
        self.warehouse.directory(&region.account_id, &region.name)
    }

    async fn open_engine(&self, key: &EngineKey) -> Result<Engine> {
        let options = EngineOptions {
            default_namespace: key.namespace.clone(),
            memory_bytes_max: Some(QUERY_MEMORY_BYTES_MAX),
            ..EngineOptions::default()
        };
        let ambient = self.aws.ambient();
        let engine = match &key.table_bucket {
            Some(table_bucket) => {
                let region = key.region.name.clone();
                let arn = format!("arn:aws:s3tables:{region}:{}:bucket/{table_bucket}", key.region.account_id);
                let catalog = Catalog::TableBucket { arn, region };
                Engine::new(self.aws.lake(Some(&catalog)).await.map_err(unanswered)?, ambient, options)
            }
            None => Engine::new(NoTables, ambient, options),
        };
        engine.map_err(|error| LakehouseError(error.into()))
    }
}

#[async_trait]
impl Lakehouse for WarehouseLakehouse {
    fn table_buckets(&self, region: &Region) -> Result<Vec<String>> {
        self.directory(region).table_buckets().map_err(failed)
    }

    fn namespaces(&self, region: &Region, table_bucket: &str) -> Result<Option<Vec<String>>> {
        self.directory(region).namespaces(table_bucket).map_err(failed)
    }

    fn tables(&self, region: &Region, table_bucket: &str, namespace: &str) -> Result<Option<Vec<TableDescription>>> {
        let tables = self.directory(region).tables(table_bucket, namespace).map_err(failed)?;
        tables.map(|tables| tables.into_iter().map(describe).collect()).transpose()
    }

    fn table(
        &self,
        region: &Region,
        table_bucket: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<TableDescription>> {
        let table = self.directory(region).table(table_bucket, namespace, name).map_err(failed)?;
        table.map(describe).transpose()
    }

    async fn engine(
        &self,
        region: &Region,
        table_bucket: Option<&str>,
        namespace: Option<&str>,
    ) -> Result<Arc<Engine>> {
        let key = EngineKey {
            region: region.clone(),
            table_bucket: table_bucket.map(str::to_owned),
            namespace: namespace.map(str::to_owned),
        };
        let engines = || self.engines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = engines().get(&key) {
            return Ok(engine.clone());
        }
        let engine = Arc::new(self.open_engine(&key).await?);
        let mut engines = engines();
        if engines.len() >= ENGINES_MAX {
            engines.clear();
        }
        engines.insert(key, engine.clone());
        Ok(engine)
    }

    fn objects(&self, bucket: &str) -> Option<Arc<dyn ObjectStore>> {
        self.warehouse.object_store(bucket)
    }
}

/// For queries that name no catalog with tables.
struct NoTables;

#[async_trait]
impl Tables for NoTables {
    async fn list_namespaces(&self) -> lake::Result<Vec<NamespaceIdent>> {
        Ok(Vec::new())
    }

    async fn list_tables(&self, _namespace: &NamespaceIdent) -> lake::Result<Vec<TableIdent>> {
        Ok(Vec::new())
    }

    async fn load(&self, table: &TableIdent, _cache: &Arc<ScanCache>) -> lake::Result<LakeTable> {
        Err(lake::Error::new(ErrorKind::NotFound, format!("no table named {table}")))
    }
}

fn describe(table: TableEntry) -> Result<TableDescription> {
    let columns = table.metadata.as_deref().map(columns).transpose()?.unwrap_or_default();
    Ok(TableDescription {
        name: table.name,
        location: table.location,
        metadata_location: table.metadata_location,
        created_ms: table.created_ms,
        modified_ms: table.modified_ms,
        columns,
    })
}

fn columns(metadata: &TableMetadata) -> Result<Vec<Column>> {
    let schema: &Schema = metadata.current_schema();
    let arrow = iceberg::arrow::schema_to_arrow_schema(schema).map_err(|error| LakehouseError(error.into()))?;
    // As Hive has them, partition keys are columns that the files are laid out by as they are.
    let is_identity = |field: &&iceberg::spec::PartitionField| field.transform == iceberg::spec::Transform::Identity;
    let spec = metadata.default_partition_spec();
    let keys: BTreeSet<i32> = spec.fields().iter().filter(is_identity).map(|field| field.source_id).collect();
    let fields = schema.as_struct().fields().iter().zip(arrow.fields());
    Ok(fields
        .map(|(field, arrow)| Column {
            name: field.name.clone(),
            type_name: type_name(arrow.data_type()),
            comment: field.doc.clone(),
            is_partition_key: keys.contains(&field.id),
        })
        .collect())
}

fn failed(error: WarehouseError) -> LakehouseError {
    LakehouseError(error.into())
}

fn unanswered(failure: Failure) -> LakehouseError {
    LakehouseError(failure.to_string().into())
}
