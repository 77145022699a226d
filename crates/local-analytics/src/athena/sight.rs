//! Asks the engine on behalf of a caller.

use aws_wire::Identity;
use query::{Context, Query, Rows};

use crate::athena::Athena;
use crate::athena::failure::Failure;
use crate::athena::names;
use crate::audit::{TableLimits, Touched};
use crate::grants;
use crate::lakehouse::Region;
use crate::own::EngineTables;
use crate::store::StoreError;

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
        let (athena, of, by) = (self.clone(), region.clone(), identity.clone());
        let read = tokio::task::spawn_blocking(move || {
            let names = names::read(&athena.store, athena.lakehouse.catalogs(&of), athena.own_tables(&of, &by), &of)?;
            let (known, place) = (names.clone(), of.clone());
            let sight = athena.grants.sight(&of, &by, move |catalog, database, table| {
                names::table_id(&known, &place, catalog, database, table)
            })?;
            Ok::<_, StoreError>((names, sight))
        });
        let read = read.await.map_err(|error| Failure::of_engine(error.to_string()))?;
        let (names, sight) = read.map_err(|error| Failure::of_engine(error.to_string()))?;
        let engine = self.engine.with_catalogs(names.clone());
        let rows = engine.start(context, query, &sight).await.map_err(|error| Failure::of_query(&error))?;
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
}
