//! What the names of catalogs and databases in a query mean, as of its start: table buckets, databases that are links to
//! namespaces, and the names that people gave to catalogs.
//!
//! The engine and the grants go by the same names: a link that is changed meanwhile changes nothing for the query.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use query::{Catalogs, Link, LinkedCatalogs, OwnTables};

use crate::athena::data_catalogs::DataCatalog;
use crate::catalogs::{CatalogName, DEFAULT_CATALOG, DEFAULT_DATABASE, Database};
use crate::lakehouse::Region;
use crate::own::EngineTables;
use crate::policy::TableId;
use crate::store::{Result, Store};

/// Reads the names of a region; `table_buckets` are the catalogs that databases link to. May block.
pub(super) fn read(
    store: &Store,
    table_buckets: Arc<dyn Catalogs>,
    own: EngineTables,
    region: &Region,
) -> Result<LinkedCatalogs> {
    let databases: Vec<(String, Database)> = store.list(&region.key(), "")?;
    let link = |database: Database| {
        let target = database.target?;
        Some(Link { catalog: CatalogName::TableBucket(target.table_bucket).path(), database: target.namespace })
    };
    let mut links: BTreeMap<String, Option<Link>> =
        databases.into_iter().map(|(name, database)| (name, link(database))).collect();
    links.entry(DEFAULT_DATABASE.to_owned()).or_default();

    let catalogs: Vec<(String, DataCatalog)> = store.list(&region.key(), "")?;
    let alias = |(name, catalog): (String, DataCatalog)| {
        let named = CatalogName::parse(Some(catalog.parameters.get("catalog-id")?), &region.account_id)?;
        let path = if named == CatalogName::Default { DEFAULT_CATALOG.to_owned() } else { named.path() };
        Some((name.to_lowercase(), path))
    };
    let aliases: HashMap<String, String> = catalogs.into_iter().filter_map(alias).collect();
    let own: Option<Arc<dyn OwnTables>> = Some(Arc::new(own));
    Ok(LinkedCatalogs { catalogs: table_buckets, links: Arc::new(links), own, aliases: Arc::new(aliases) })
}

/// The table that a name is granted under: links have no grants of their own.
pub(super) fn table_id(
    names: &LinkedCatalogs,
    region: &Region,
    catalog: Option<&str>,
    database: &str,
    table: &str,
) -> Option<TableId> {
    let parse = |name: &str| CatalogName::parse(Some(name), &region.account_id);
    match parse(names.resolve(catalog.unwrap_or(DEFAULT_CATALOG)))? {
        CatalogName::Default => {
            let database = database.to_lowercase();
            match names.links.get(&database)? {
                Some(link) => Some(TableId::new(&parse(&link.catalog)?, &link.database, table)),
                None => Some(TableId::new(&CatalogName::Default, &database, table)),
            }
        }
        of => Some(TableId::new(&of, database, table)),
    }
}
