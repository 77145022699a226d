//! A catalog whose databases are those of other catalogs, under names of their own: resource links.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use iceberg::{NamespaceIdent, TableIdent};
use lake::{Catalog, Error, ErrorKind, LakeTable, Result, ScanCache};

use crate::catalogs::{Catalogs, DEFAULT_CATALOG};
use crate::own_tables::{DatabaseDefinition, OwnTables};
use crate::tables::Tables;

/// Catalogs, and beside them `AwsDataCatalog`, which holds links. Cheap to clone.
#[derive(Clone)]
pub struct LinkedCatalogs {
    /// The catalogs that links lead to.
    pub catalogs: Arc<dyn Catalogs>,
    /// The databases of `AwsDataCatalog`, in lower case; an empty one leads nowhere.
    pub links: Arc<BTreeMap<String, Option<Link>>>,
    /// What the databases that lead nowhere hold themselves; `None` where that is nothing.
    pub own: Option<Arc<dyn OwnTables>>,
    /// Further names of catalogs, in lower case.
    pub aliases: Arc<HashMap<String, String>>,
}

/// The database that a link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub catalog: String,
    pub database: String,
}

impl LinkedCatalogs {
    /// The name that a catalog has here, where it is given another one.
    pub fn resolve<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(&name.to_lowercase()).map_or(name, String::as_str)
    }

    /// The database behind the name of a database of `AwsDataCatalog`.
    pub fn link(&self, database: &str) -> Option<&Link> {
        self.links.get(&database.to_lowercase())?.as_ref()
    }

    /// Where a database leads; `None` where that is nowhere any more.
    async fn follow(&self, database: &NamespaceIdent) -> Result<Option<(Arc<dyn Tables>, NamespaceIdent)>> {
        let Some(link) = self.link(&database.to_url_string()) else { return Ok(None) };
        let tables = self.catalogs.catalog(&link.catalog).await?;
        Ok(tables.map(|tables| (tables, NamespaceIdent::new(link.database.clone()))))
    }
}

#[async_trait]
impl Catalogs for LinkedCatalogs {
    async fn list_catalogs(&self) -> Result<Vec<String>> {
        let others = self.catalogs.list_catalogs().await?.into_iter().chain(self.aliases.keys().cloned());
        Ok(std::iter::once(DEFAULT_CATALOG.to_owned()).chain(others).collect())
    }

    async fn catalog(&self, name: &str) -> Result<Option<Arc<dyn Tables>>> {
        match self.resolve(name) {
            own if own.eq_ignore_ascii_case(DEFAULT_CATALOG) => Ok(Some(Arc::new(self.clone()))),
            other => self.catalogs.catalog(other).await,
        }
    }
}

#[async_trait]
impl Tables for LinkedCatalogs {
    async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>> {
        Ok(self.links.keys().cloned().map(NamespaceIdent::new).collect())
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        let Some((tables, target)) = self.follow(namespace).await? else {
            let Some(own) = self.own(namespace) else { return Ok(Vec::new()) };
            let names = own.list(&namespace.to_url_string()).await?;
            return Ok(names.into_iter().map(|name| TableIdent::new(namespace.clone(), name)).collect());
        };
        match tables.list_tables(&target).await {
            Ok(found) => {
                let linked = |table: TableIdent| TableIdent::new(namespace.clone(), table.name().to_owned());
                Ok(found.into_iter().map(linked).collect())
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn load(&self, table: &TableIdent, cache: &Arc<ScanCache>) -> Result<LakeTable> {
        let Some((tables, target)) = self.follow(table.namespace()).await? else {
            return Err(Error::new(ErrorKind::NotFound, format!("no table named {table}")));
        };
        let found = tables.load(&TableIdent::new(target, table.name().to_owned()), cache).await?;
        Ok(found.named(table.clone()))
    }

    async fn writable(&self, table: &TableIdent) -> Result<Option<(Catalog, TableIdent)>> {
        match self.follow(table.namespace()).await? {
            Some((tables, target)) => tables.writable(&TableIdent::new(target, table.name().to_owned())).await,
            None => Ok(None),
        }
    }

    async fn create_database(&self, name: &str, definition: &DatabaseDefinition) -> Result<bool> {
        match &self.own {
            Some(_) if self.links.contains_key(name) => Ok(false),
            Some(own) => own.create_database(name, definition).await,
            None => Err(Error::new(
                ErrorKind::Refused,
                format!("database {name}: {DEFAULT_CATALOG} has none of its own here"),
            )),
        }
    }

    /// Of a link, the link alone goes.
    async fn drop_database(&self, name: &str, with_tables: bool) -> Result<bool> {
        let (Some(own), Some(link)) = (&self.own, self.links.get(name)) else { return Ok(false) };
        if link.is_none() && !with_tables && !own.list(name).await?.is_empty() {
            let message = format!("database {name} is not empty. Try: DROP SCHEMA {name} CASCADE");
            return Err(Error::new(ErrorKind::Refused, message));
        }
        own.drop_database(name).await
    }

    fn own(&self, namespace: &NamespaceIdent) -> Option<Arc<dyn OwnTables>> {
        let is_own = matches!(self.links.get(&namespace.to_url_string().to_lowercase()), Some(None));
        self.own.clone().filter(|_| is_own)
    }
}
