//! Asks the engine on behalf of a caller.

use aws_wire::Identity;
use query::{CatalogQuery, Connection, Context, LinkedCatalogs, Query, Rows, Sight};

use crate::athena::Athena;
use crate::athena::failure::Failure;
use crate::athena::names;
use crate::audit::{TableLimits, Touched};
use crate::grants;
use crate::lakehouse::Region;
use crate::own::EngineTables;
use crate::store::StoreError;

/// Why a query was not started.
#[derive(Debug)]
pub(crate) enum AskError {
    /// The fault of whoever asks.
    Query(query::Error),
    Internal(String),
}

impl From<query::Error> for AskError {
    fn from(error: query::Error) -> Self {
        Self::Query(error)
    }
}

impl Athena {
    /// Grants have another version after every change.
    pub(super) fn policy_version(&self) -> u64 {
        self.grants.version()
    }

    /// What the default catalog keeps itself, for one caller.
    pub(super) fn own_tables(&self, region: &Region, identity: &Identity) -> EngineTables {
        EngineTables {
            store: self.store.clone(),
            grants: self.grants.clone(),
            lakehouse: self.lakehouse.clone(),
            ambient: self.ambient.clone(),
            region: region.clone(),
            identity: identity.clone(),
        }
    }

    /// Starts a query of `identity`, with the grants and the names of this moment. `touched` takes the
    /// tables.
    pub(super) async fn ask(
        &self,
        query: Query,
        region: &Region,
        identity: &Identity,
        context: &Context,
        touched: &mut Touched,
    ) -> Result<Rows, Failure> {
        let asked = self.ask_engine(query, region, identity, context, touched).await;
        asked.map_err(|error| match error {
            AskError::Query(error) => Failure::of_query(&error),
            AskError::Internal(message) => Failure::of_engine(message),
        })
    }

    /// The same, for whoever has other words for what goes wrong.
    pub(crate) async fn ask_engine(
        &self,
        query: Query,
        region: &Region,
        identity: &Identity,
        context: &Context,
        touched: &mut Touched,
    ) -> Result<Rows, AskError> {
        let (names, sight) = self.see(region, identity).await?;
        let engine = self.engine.with_catalogs(names.clone());
        let rows = engine.start(context, query, &sight).await?;
        touched.read.extend(rows.tables().iter().filter_map(|read| {
            let (database, table) = read.name.split_once('.')?;
            let id = names::table_id(&names, region, read.catalog.as_deref(), database, table)?;
            Some(TableLimits::new(id, &read.visible))
        }));
        touched.wrote = rows.wrote().and_then(|wrote| {
            let id = names::table_id(&names, region, wrote.catalog.as_deref(), &wrote.database, &wrote.table)?;
            Some((id, wrote.rights.iter().copied().map(grants::action).collect()))
        });
        Ok(rows)
    }

    /// Starts a statement about PostgreSQL's catalog, in which there is what `identity` may see.
    pub(crate) async fn ask_catalog(
        &self,
        query: CatalogQuery,
        region: &Region,
        identity: &Identity,
        connection: &Connection,
    ) -> Result<Rows, AskError> {
        let (names, sight) = self.see(region, identity).await?;
        Ok(self.engine.with_catalogs(names).start_catalog_query(connection, query, &sight).await?)
    }

    /// The names and the grants of this moment.
    async fn see(&self, region: &Region, identity: &Identity) -> Result<(LinkedCatalogs, Sight), AskError> {
        let (athena, of, by) = (self.clone(), region.clone(), identity.clone());
        let read = tokio::task::spawn_blocking(move || {
            let names = names::read(&athena.store, athena.lakehouse.catalogs(&of), athena.own_tables(&of, &by), &of)?;
            let (known, place) = (names.clone(), of.clone());
            let sight = athena.grants.sight(&of, &by, move |catalog, database, table| {
                names::table_id(&known, &place, catalog, database, table)
            })?;
            Ok::<_, StoreError>((names, sight))
        });
        let read = read.await.map_err(|error| AskError::Internal(error.to_string()))?;
        read.map_err(|error| AskError::Internal(error.to_string()))
    }
}
