//! The names in the catalog, for other services of this process.

use std::sync::Arc;

use iceberg::spec::TableMetadata;

use crate::WarehouseError;
use crate::catalog::{Catalog, CatalogError, PageRequest, Table, TableBucketArn, TableName};

/// Names that one question gives at most.
const NAMES_MAX: usize = 10_000;

/// An account's names in a region. Its methods may block.
#[derive(Clone, Debug)]
pub struct Directory {
    catalog: Arc<Catalog>,
    account_id: String,
    region: String,
}

/// A table, and its metadata where it has any.
#[derive(Clone, Debug)]
pub struct TableEntry {
    pub name: String,
    /// `s3://…--table-s3`.
    pub location: String,
    pub metadata_location: Option<String>,
    pub metadata: Option<Arc<TableMetadata>>,
    pub created_ms: i64,
    pub modified_ms: i64,
}

impl Directory {
    pub(crate) fn new(catalog: Arc<Catalog>, account_id: &str, region: &str) -> Self {
        Self { catalog, account_id: account_id.to_owned(), region: region.to_owned() }
    }

    /// The names of the table buckets, in order.
    pub fn table_buckets(&self) -> Result<Vec<String>, WarehouseError> {
        let buckets = self.catalog.table_buckets(&self.account_id, &self.region, &everything());
        Ok(buckets.map_err(failed)?.into_iter().map(|bucket| bucket.arn.name).collect())
    }

    /// The namespaces of a table bucket, in order; `None` where there is no such bucket.
    pub fn namespaces(&self, table_bucket: &str) -> Result<Option<Vec<String>>, WarehouseError> {
        let namespaces = found(self.catalog.namespaces(&self.arn(table_bucket), &everything()))?;
        Ok(namespaces.map(|namespaces| namespaces.into_iter().map(|namespace| namespace.name).collect()))
    }

    /// The tables of a namespace, by name; `None` where there is no such namespace.
    pub fn tables(&self, table_bucket: &str, namespace: &str) -> Result<Option<Vec<TableEntry>>, WarehouseError> {
        let bucket = self.arn(table_bucket);
        let Some(tables) = found(self.catalog.tables(&bucket, Some(namespace), &everything()))? else {
            return Ok(None);
        };
        let entries = tables.into_iter().filter_map(|table| self.entry(table).transpose());
        entries.collect::<Result<_, _>>().map(Some)
    }

    pub fn table(&self, table_bucket: &str, namespace: &str, name: &str) -> Result<Option<TableEntry>, WarehouseError> {
        let name = TableName { namespace: namespace.to_owned(), name: name.to_owned() };
        match found(self.catalog.table(&self.arn(table_bucket), &name))? {
            Some(table) => self.entry(table),
            None => Ok(None),
        }
    }

    /// `None` where the table is dropped meanwhile.
    fn entry(&self, table: Table) -> Result<Option<TableEntry>, WarehouseError> {
        let metadata = match table.metadata_location {
            Some(_) => match found(self.catalog.load_table(&table.arn.bucket, &table.name))? {
                Some((_, loaded)) => Some(loaded.metadata.clone()),
                None => return Ok(None),
            },
            None => None,
        };
        Ok(Some(TableEntry {
            location: table.location(),
            name: table.name.name,
            metadata_location: table.metadata_location,
            metadata,
            created_ms: table.created_ms,
            modified_ms: table.modified_ms,
        }))
    }

    fn arn(&self, table_bucket: &str) -> TableBucketArn {
        let (region, account) = (self.region.clone(), self.account_id.clone());
        TableBucketArn { region, account, name: table_bucket.to_owned() }
    }
}

fn everything() -> PageRequest {
    PageRequest { prefix: String::new(), after: String::new(), count_max: NAMES_MAX }
}

fn found<T>(answer: Result<T, CatalogError>) -> Result<Option<T>, WarehouseError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(CatalogError::NotFound(..)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: CatalogError) -> WarehouseError {
    WarehouseError::Catalog(error.into())
}
