use std::path::Path;
use std::sync::Arc;

use ambient::Ambient;
use aws_wire::{Authorizer, JsonService};

use crate::athena::Athena;
use crate::grants::Grants;
use crate::lakehouse::Lakehouse;
use crate::store::Store;

/// Why the services cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("open the store of the analysts' services")]
pub struct AnalyticsError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// The analysts' services over one lakehouse.
pub struct Analytics {
    athena: Arc<Athena>,
    grants: Arc<Grants>,
}

impl Analytics {
    /// Opens what the services remember in `folder`, which is theirs, and makes it where there is none. May block.
    pub fn open(folder: &Path, lakehouse: Arc<dyn Lakehouse>, ambient: Ambient) -> Result<Self, AnalyticsError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| AnalyticsError(error);
        std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
        let store = Arc::new(Store::open(&folder.join("analytics.sqlite")).map_err(|error| failed(error.into()))?);
        let grants = Arc::new(Grants::new(store.clone()));
        let athena = Athena::new(store, lakehouse, grants.clone(), ambient);
        athena.fail_interrupted().map_err(|error| failed(error.into()))?;
        Ok(Self { athena: Arc::new(athena), grants })
    }

    pub fn athena(&self) -> Arc<dyn JsonService> {
        self.athena.clone()
    }

    /// Decides by Lake Formation's grants who may do what.
    pub fn authorizer(&self) -> Arc<dyn Authorizer> {
        self.grants.clone()
    }
}
