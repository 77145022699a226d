//! The catalogs that a query may name as `catalog.database.table`, and where names without one are looked up.

use std::sync::Arc;

use async_trait::async_trait;

use crate::tables::Tables;

/// The catalog that Athena takes where none is named.
pub const DEFAULT_CATALOG: &str = "AwsDataCatalog";

/// Where an engine finds its catalogs: `AwsDataCatalog`, `s3tablescatalog/streamtablebucket`.
#[async_trait]
pub trait Catalogs: Send + Sync {
    async fn list_catalogs(&self) -> lake::Result<Vec<String>>;
    /// `None` where there is no catalog of that name.
    async fn catalog(&self, name: &str) -> lake::Result<Option<Arc<dyn Tables>>>;
}

/// What a query's names mean where it does not say: Athena's query execution context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The engine's default if `None`.
    pub catalog: Option<String>,
    /// The engine's default if `None`.
    pub database: Option<String>,
    /// Bytes of data files that the statement may read before it fails; as many as it likes if `None`.
    pub bytes_read_max: Option<u64>,
}

/// One catalog, under any of its names.
pub(crate) struct OneCatalog {
    pub names: Vec<String>,
    pub tables: Arc<dyn Tables>,
}

#[async_trait]
impl Catalogs for OneCatalog {
    async fn list_catalogs(&self) -> lake::Result<Vec<String>> {
        Ok(self.names.clone())
    }

    async fn catalog(&self, name: &str) -> lake::Result<Option<Arc<dyn Tables>>> {
        let is_meant = self.names.iter().any(|own| own.eq_ignore_ascii_case(name));
        Ok(is_meant.then(|| self.tables.clone()))
    }
}

/// None at all: for an engine that is given the catalogs of each query.
pub struct NoCatalogs;

#[async_trait]
impl Catalogs for NoCatalogs {
    async fn list_catalogs(&self) -> lake::Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn catalog(&self, _name: &str) -> lake::Result<Option<Arc<dyn Tables>>> {
        Ok(None)
    }
}
