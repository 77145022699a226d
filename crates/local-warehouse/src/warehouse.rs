use std::path::Path;
use std::sync::Arc;

use ambient::Ambient;
use aws_wire::{Authentication, Authorizer, RestService, StreamingService, Ungoverned};
use object_store::ObjectStore;

use crate::catalog::Catalog;
use crate::directory::Directory;
use crate::governance::Governance;
use crate::iceberg_rest::{IcebergRest, VendedCredentials};
use crate::local_store::LocalStore;
use crate::maintenance::Maintenance;
use crate::objects::ObjectFiles;
use crate::s3::{Rights, S3};
use crate::s3_tables::S3Tables;
use crate::{WarehouseError, objects};

/// One folder with its buckets, tables and metadata. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Warehouse {
    files: Arc<ObjectFiles>,
    catalog: Arc<Catalog>,
    governance: Governance,
    /// Held as long as anything of this warehouse is.
    _lock: Arc<std::fs::File>,
}

impl Warehouse {
    /// Opens the warehouse in `folder`, which is its own, and makes it where there is none. A second process is refused.
    pub async fn open(folder: &Path, ambient: Ambient) -> Result<Self, WarehouseError> {
        let root = folder.to_owned();
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(&root, ambient)).await;
        opened.map_err(|error| WarehouseError::Files(std::io::Error::other(error)))?
    }

    fn open_blocking(root: &Path, ambient: Ambient) -> Result<Self, WarehouseError> {
        objects::create_directories(root)?;
        let lock = objects::open_private_file(&root.join("lock"))?;
        if lock.try_lock().is_err() {
            return Err(WarehouseError::InUse(root.to_owned()));
        }
        let files = Arc::new(ObjectFiles::open(root, ambient.clone())?);
        // SQLite gives its other files the mode of this one.
        let database = root.join("catalog.sqlite");
        objects::open_private_file(&database)?;
        let catalog =
            Catalog::open(&database, files.clone(), ambient).map_err(|error| WarehouseError::Catalog(error.into()))?;
        let governance = Governance(Arc::new(Ungoverned));
        Ok(Self { files, catalog: Arc::new(catalog), governance, _lock: Arc::new(lock) })
    }

    /// The same warehouse, whose endpoints ask `authorizer` who may do what.
    pub fn governed_by(self, authorizer: Arc<dyn Authorizer>) -> Self {
        Self { governance: Governance(authorizer), ..self }
    }

    /// Amazon S3, path style. It verifies its own signatures, where `authentication` is strict.
    pub fn s3(&self, authentication: Authentication) -> Arc<dyn StreamingService> {
        let rights = Rights { governance: self.governance.clone(), catalog: self.catalog.clone() };
        Arc::new(S3::new(self.files.clone(), authentication, rights))
    }

    /// Amazon S3 Tables.
    pub fn s3_tables(&self) -> Arc<dyn RestService> {
        Arc::new(S3Tables::new(self.catalog.clone(), self.governance.clone()))
    }

    /// The Iceberg REST catalog of S3 Tables, beneath `/iceberg/v1`. Clients are sent to `s3_endpoint` for files, with
    /// `vended` credentials where they ask for some.
    pub fn iceberg_rest(&self, s3_endpoint: &str, vended: Option<VendedCredentials>) -> Arc<dyn RestService> {
        Arc::new(IcebergRest::new(self.catalog.clone(), self.governance.clone(), s3_endpoint, vended))
    }

    /// What the tables' maintenance is to do, for whoever runs it.
    pub fn maintenance(&self) -> Maintenance {
        Maintenance::new(self.catalog.clone())
    }

    /// The names of an account's table buckets, namespaces and tables.
    pub fn directory(&self, account_id: &str, region: &str) -> Directory {
        Directory::new(self.catalog.clone(), account_id, region)
    }

    /// The table whose files are in a bucket of S3: its table bucket's ARN, namespace and name.
    pub fn table_of_files(&self, bucket: &str) -> Option<(String, String, String)> {
        let table = self.catalog.table_of_warehouse(bucket).ok()??;
        Some((table.arn.bucket.to_string(), table.name.namespace, table.name.name))
    }

    /// The objects of a bucket without a socket in between: the same files that [`Warehouse::s3`] serves.
    pub fn object_store(&self, bucket: &str) -> Option<Arc<dyn ObjectStore>> {
        self.files.buckets.get(bucket)?;
        Some(Arc::new(LocalStore::new(self.files.clone(), bucket)))
    }
}
