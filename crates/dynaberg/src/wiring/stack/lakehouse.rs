//! Lends the warehouse to the analysts' services.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use iceberg::spec::{Schema, TableMetadata};
use local_analytics::{Column, Lakehouse, LakehouseError, Region, TableDescription};
use local_warehouse::{Directory, TableEntry, Warehouse, WarehouseError};
use object_store::ObjectStore;
use query::{Catalogs, Tables, type_name};

use crate::aws::Aws;
use crate::config::Catalog;

/// Table buckets that are kept open, those that were asked last.
const CONNECTED_MAX: usize = 64;

/// The warehouse, seen by analysts.
pub struct WarehouseLakehouse {
    warehouse: Warehouse,
    lakes: Arc<Lakes>,
}

/// Connected catalogs of table buckets.
struct Lakes {
    warehouse: Warehouse,
    aws: Aws,
    connected: Mutex<HashMap<(Region, String), lake::Catalog>>,
}

type Result<T> = std::result::Result<T, LakehouseError>;

impl WarehouseLakehouse {
    /// `aws` are the settings of a client of this very stack.
    pub fn new(warehouse: Warehouse, aws: Aws) -> Self {
        let lakes = Lakes { warehouse: warehouse.clone(), aws, connected: Mutex::default() };
        Self { warehouse, lakes: Arc::new(lakes) }
    }

    fn directory(&self, region: &Region) -> Directory {
        self.warehouse.directory(&region.account_id, &region.name)
    }
}

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

    fn catalogs(&self, region: &Region) -> Arc<dyn Catalogs> {
        Arc::new(TableBuckets { lakes: self.lakes.clone(), region: region.clone() })
    }

    fn objects(&self, bucket: &str) -> Option<Arc<dyn ObjectStore>> {
        self.warehouse.object_store(bucket)
    }
}

/// The table buckets of a region as catalogs of queries.
struct TableBuckets {
    lakes: Arc<Lakes>,
    region: Region,
}

const TABLE_BUCKETS: &str = "s3tablescatalog/";

#[async_trait]
impl Catalogs for TableBuckets {
    async fn list_catalogs(&self) -> lake::Result<Vec<String>> {
        let buckets = self.lakes.list(&self.region).await?;
        Ok(buckets.into_iter().map(|bucket| format!("{TABLE_BUCKETS}{bucket}")).collect())
    }

    async fn catalog(&self, name: &str) -> lake::Result<Option<Arc<dyn Tables>>> {
        let Some((prefix, bucket)) = name.split_at_checked(TABLE_BUCKETS.len()) else { return Ok(None) };
        let is_there = prefix.eq_ignore_ascii_case(TABLE_BUCKETS)
            && self.lakes.list(&self.region).await?.iter().any(|known| known == bucket);
        if !is_there {
            return Ok(None);
        }
        Ok(Some(Arc::new(self.lakes.connect(&self.region, bucket).await?)))
    }
}

impl Lakes {
    async fn list(&self, region: &Region) -> lake::Result<Vec<String>> {
        let directory = self.warehouse.directory(&region.account_id, &region.name);
        let listed = tokio::task::spawn_blocking(move || directory.table_buckets()).await;
        listed.map_err(|error| unanswered(&error))?.map_err(|error| unanswered(&error))
    }

    async fn connect(&self, region: &Region, bucket: &str) -> lake::Result<lake::Catalog> {
        let key = (region.clone(), bucket.to_owned());
        let connected = || self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(catalog) = connected().get(&key) {
            return Ok(catalog.clone());
        }
        let arn = format!("arn:aws:s3tables:{}:{}:bucket/{bucket}", region.name, region.account_id);
        let catalog = Catalog::TableBucket { arn, region: region.name.clone() };
        let catalog = self.aws.lake(Some(&catalog)).await.map_err(|failure| unanswered(&failure))?;
        let mut connected = connected();
        if connected.len() >= CONNECTED_MAX {
            connected.clear();
        }
        connected.insert(key, catalog.clone());
        Ok(catalog)
    }
}

fn unanswered(error: &dyn std::fmt::Display) -> lake::Error {
    lake::Error::new(lake::ErrorKind::Unexpected, format!("ask the warehouse: {error}"))
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
