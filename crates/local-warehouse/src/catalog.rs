//! Table buckets, namespaces and tables: the one state behind S3 Tables and the Iceberg REST catalog.
//!
//! Rows live in SQLite (`store`), metadata files and data in each table's own bucket. A table changes by one `UPDATE` that
//! names the version it replaces, so of two writers one wins.

mod buckets;
mod commit;
mod definition;
mod error;
mod locations;
mod maintenance;
mod metadata_files;
mod names;
mod namespaces;
mod schema_change;
mod store;
mod tables;

use std::path::Path;
use std::sync::Arc;

use ambient::Ambient;

pub(crate) use buckets::TableBucket;
pub(crate) use commit::CommitRequest;
pub(crate) use definition::TableDefinition;
pub(crate) use error::{CatalogError, Entity, Result};
pub(crate) use maintenance::MaintenanceRun;
pub(crate) use metadata_files::LoadedMetadata;
pub(crate) use names::{TableArn, TableBucketArn, TableName, refuse_placeholder};
pub(crate) use namespaces::{Namespace, NewNamespace};
pub(crate) use tables::{NewTable, Table, TableRename};

use crate::objects::{BucketKind, ObjectFiles};

/// One page of a listing that is ordered by name.
#[derive(Clone, Debug)]
pub(crate) struct PageRequest {
    pub prefix: String,
    /// The last name of the page before.
    pub after: String,
    pub count_max: usize,
}

/// Everything that the two catalog endpoints share.
#[derive(Debug)]
pub(crate) struct Catalog {
    store: store::CatalogStore,
    files: Arc<ObjectFiles>,
    metadata: metadata_files::MetadataFiles,
    ambient: Ambient,
}

impl Catalog {
    /// Opens the catalog, and removes warehouse buckets whose table was never committed or is deleted.
    pub(crate) fn open(path: &Path, files: Arc<ObjectFiles>, ambient: Ambient) -> Result<Self> {
        let store = store::CatalogStore::open(path)?;
        let metadata = metadata_files::MetadataFiles::new(files.clone());
        let catalog = Self { store, files, metadata, ambient };
        catalog.sweep_warehouses()?;
        Ok(catalog)
    }

    fn sweep_warehouses(&self) -> Result<()> {
        let known = self.warehouses()?;
        for (name, _) in self.files.buckets.list(BucketKind::TableWarehouse) {
            if !known.contains(&name) {
                tracing::info!(bucket = name, "removing the files of a table that is not in the catalog");
                self.files.delete_bucket_and_objects(&name)?;
            }
        }
        Ok(())
    }

    /// A token that was never given out before.
    fn fresh_token(&self) -> String {
        format!("{:032x}", self.ambient.random())[..20].to_owned()
    }
}
