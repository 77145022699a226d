//! What `AwsDataCatalog` keeps itself, beside the lake's tables: external tables and views.

use std::sync::Arc;

use async_trait::async_trait;
use lake::Result;

use crate::external::{ExternalDefinition, ExternalTable, NewPartition, ObjectAccess};

/// A name that stands for no table of the lake.
#[derive(Clone, Debug)]
pub enum Other {
    External(ExternalTable),
    View(View),
}

/// A query under a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    pub database: String,
    pub name: String,
    pub sql: String,
    /// What names of the query mean that give no catalog.
    pub in_catalog: Option<String>,
    pub in_database: Option<String>,
    /// Names, and types as Hive spells them.
    pub columns: Vec<(String, String)>,
}

/// What `CREATE SCHEMA` says of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseDefinition {
    pub comment: Option<String>,
    /// `s3://bucket/prefix/`.
    pub location: Option<String>,
    pub properties: Vec<(String, String)>,
}

/// The databases of a catalog that keeps such things, as one caller reaches them. Names are in lower case.
#[async_trait]
pub trait OwnTables: Send + Sync {
    async fn list(&self, database: &str) -> Result<Vec<String>>;
    async fn find(&self, database: &str, name: &str) -> Result<Option<Other>>;
    /// Tells whether the name was free. `Refused` where the table could not be read.
    async fn create(&self, database: &str, name: &str, definition: &ExternalDefinition) -> Result<bool>;
    /// Tells whether the name was free, or a view's that is to be replaced.
    async fn create_view(&self, view: &View, or_replace: bool) -> Result<bool>;
    /// Makes a database. Tells whether the name was free.
    async fn create_database(&self, name: &str, definition: &DatabaseDefinition) -> Result<bool>;
    /// Takes a database out of the catalog, and the tables in it. Their files stay. Tells whether it was there.
    async fn drop_database(&self, name: &str) -> Result<bool>;
    /// Sets properties of a table or view, beside those that it has.
    async fn set_properties(&self, database: &str, name: &str, properties: Vec<(String, String)>) -> Result<()>;
    /// Takes it out of the catalog. Its files stay.
    async fn remove(&self, database: &str, name: &str) -> Result<()>;
    /// Adds those partitions that are not there yet, and tells which those are that were.
    async fn add_partitions(
        &self,
        database: &str,
        name: &str,
        partitions: Vec<NewPartition>,
    ) -> Result<Vec<NewPartition>>;
    /// Removes the partitions with these values, and tells how many there were.
    async fn drop_partitions(&self, database: &str, name: &str, values: Vec<Vec<(String, String)>>) -> Result<usize>;
    /// Reaches the objects of a table that need not be there yet.
    fn access(&self, database: &str, name: &str) -> Arc<dyn ObjectAccess>;
    /// Where a table goes that says nothing of it: `s3://bucket/prefix/`; `None` where the database has no location.
    async fn default_location(&self, database: &str, name: &str) -> Result<Option<String>>;
}
