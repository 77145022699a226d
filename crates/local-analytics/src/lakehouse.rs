//! What the analysts' services ask of the warehouse.

use std::sync::Arc;

use object_store::ObjectStore;
use query::Catalogs;

/// Where something is: an account in a region. Nothing is seen across.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    pub account_id: String,
    pub name: String,
}

/// A table as catalogs describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDescription {
    pub name: String,
    /// `s3://…--table-s3`.
    pub location: String,
    /// Absent while the table has no schema.
    pub metadata_location: Option<String>,
    pub created_ms: i64,
    pub modified_ms: i64,
    pub columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// As Athena spells it: `decimal(12,2)`.
    pub type_name: String,
    pub comment: Option<String>,
    pub is_partition_key: bool,
}

/// Why the warehouse did not answer; it says nothing about what was asked.
#[derive(Debug, thiserror::Error)]
#[error("ask the warehouse")]
pub struct LakehouseError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

type Result<T> = std::result::Result<T, LakehouseError>;

/// Table buckets and their tables, and objects. What only gives names may block: it is called
/// where that is allowed.
pub trait Lakehouse: Send + Sync {
    /// The names of the table buckets, in order.
    fn table_buckets(&self, region: &Region) -> Result<Vec<String>>;

    /// The namespaces of a table bucket, in order; `None` where there is no such bucket.
    fn namespaces(&self, region: &Region, table_bucket: &str) -> Result<Option<Vec<String>>>;

    /// The tables of a namespace by name; `None` where there is no such namespace.
    fn tables(&self, region: &Region, table_bucket: &str, namespace: &str) -> Result<Option<Vec<TableDescription>>>;

    fn table(
        &self,
        region: &Region,
        table_bucket: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<TableDescription>>;

    /// The table buckets of a region, for queries: each is the catalog `s3tablescatalog/<bucket>`.
    fn catalogs(&self, region: &Region) -> Arc<dyn Catalogs>;

    /// The objects of an S3 bucket; `None` where it does not exist.
    fn objects(&self, bucket: &str) -> Option<Arc<dyn ObjectStore>>;
}
