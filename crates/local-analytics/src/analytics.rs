use std::path::Path;
use std::sync::Arc;

use ambient::Ambient;
use aws_wire::{Authentication, Authorizer, JsonService, RestService};
use query::Memory;

use crate::athena::Athena;
use crate::audit::Audit;
use crate::glue::Glue;
use crate::grants::Grants;
use crate::lake_formation::LakeFormation;
use crate::lakehouse::Lakehouse;
use crate::postgres::Postgres;
use crate::store::Store;

/// Why the services cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("open the store of the analysts' services")]
pub struct AnalyticsError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// The analysts' services over one lakehouse.
pub struct Analytics {
    athena: Arc<Athena>,
    glue: Arc<Glue>,
    lake_formation: Arc<LakeFormation>,
    grants: Arc<Grants>,
    ambient: Ambient,
}

impl Analytics {
    /// Opens what the services remember in `folder`, which is theirs, and makes it where there is none. May block.
    /// Queries hold `memory` together.
    pub fn open(
        folder: &Path,
        lakehouse: Arc<dyn Lakehouse>,
        memory: Memory,
        ambient: Ambient,
    ) -> Result<Self, AnalyticsError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| AnalyticsError(error);
        std::fs::create_dir_all(folder).map_err(|error| failed(error.into()))?;
        let store = Arc::new(Store::open(&folder.join("analytics.sqlite")).map_err(|error| failed(error.into()))?);
        let audit = Audit::open(folder, ambient.clone()).map_err(|error| failed(error.into()))?;
        let grants = Arc::new(Grants::new(store.clone(), Arc::new(audit), &ambient));
        let glue = Glue {
            store: store.clone(),
            lakehouse: lakehouse.clone(),
            grants: grants.clone(),
            ambient: ambient.clone(),
        };
        let lake_formation = LakeFormation {
            store: store.clone(),
            lakehouse: lakehouse.clone(),
            grants: grants.clone(),
            ambient: ambient.clone(),
        };
        let athena = Athena::new(store, lakehouse, grants.clone(), memory, ambient.clone());
        let athena = athena.map_err(|error| failed(error.into()))?;
        athena.fail_interrupted().map_err(|error| failed(error.into()))?;
        let (athena, glue, lake_formation) = (Arc::new(athena), Arc::new(glue), Arc::new(lake_formation));
        Ok(Self { athena, glue, lake_formation, grants, ambient })
    }

    pub fn athena(&self) -> Arc<dyn JsonService> {
        self.athena.clone()
    }

    pub fn glue(&self) -> Arc<dyn JsonService> {
        self.glue.clone()
    }

    pub fn lake_formation(&self) -> Arc<dyn RestService> {
        self.lake_formation.clone()
    }

    /// Queries over PostgreSQL's wire protocol: by the engine and the grants of Athena, within the same memory.
    pub fn postgres(&self, authentication: Authentication) -> Postgres {
        Postgres::new(self.athena.clone(), authentication, self.ambient.clone())
    }

    /// Decides by Lake Formation's grants who may do what.
    pub fn authorizer(&self) -> Arc<dyn Authorizer> {
        self.grants.clone()
    }
}
