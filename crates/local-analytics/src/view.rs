//! The catalogs as one caller sees them: names that are not granted do not exist.

use aws_wire::{Action, Decision, Identity};
use serde_json::Value;

use crate::catalogs::{self, CatalogName, DEFAULT_DATABASE, Database, Target};
use crate::grants::{self, Grants};
use crate::lakehouse::{Lakehouse, LakehouseError, Region, TableDescription};
use crate::own::{self, GlueTable};
use crate::policy::{self, TableId};
use crate::store::{Store, StoreError};

pub(crate) struct View<'a> {
    pub store: &'a Store,
    pub lakehouse: &'a dyn Lakehouse,
    pub grants: &'a Grants,
    pub region: &'a Region,
    pub identity: &'a Identity,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lakehouse(#[from] LakehouseError),
}

type Result<T> = std::result::Result<T, ViewError>;

impl View<'_> {
    /// The table buckets, in order.
    pub(crate) fn table_buckets(&self) -> Result<Vec<String>> {
        let policy = self.grants.policy(self.region)?;
        let principal = grants::principal(self.identity);
        let mut buckets = self.lakehouse.table_buckets(self.region)?;
        buckets.retain(|bucket| policy::sees_catalog(&policy, principal, &CatalogName::TableBucket(bucket.clone())));
        Ok(buckets)
    }

    /// The databases of a catalog, in order; `None` where there is no such catalog.
    pub(crate) fn databases(&self, catalog: &CatalogName) -> Result<Option<Vec<String>>> {
        let policy = self.grants.policy(self.region)?;
        let principal = grants::principal(self.identity);
        match catalog {
            CatalogName::TableBuckets => Ok(Some(Vec::new())),
            CatalogName::TableBucket(bucket) => {
                let Some(mut namespaces) = self.lakehouse.namespaces(self.region, bucket)? else { return Ok(None) };
                if !policy::sees_catalog(&policy, principal, catalog) {
                    return Ok(None);
                }
                namespaces.retain(|namespace| policy::sees_database(&policy, principal, catalog, namespace));
                Ok(Some(namespaces))
            }
            CatalogName::Default => {
                let all: Vec<(String, Database)> = self.store.list(&self.region.key(), "")?;
                let is_seen = |(name, database): &(String, Database)| {
                    policy::sees_database(&policy, principal, catalog, name)
                        || database.target.as_ref().is_some_and(|target| {
                            let of = CatalogName::TableBucket(target.table_bucket.clone());
                            policy::sees_database(&policy, principal, &of, &target.namespace)
                        })
                };
                let mut names: Vec<String> = all.into_iter().filter(is_seen).map(|(name, _)| name).collect();
                if !names.iter().any(|name| name == DEFAULT_DATABASE) {
                    names.push(DEFAULT_DATABASE.to_owned());
                    names.sort();
                }
                Ok(Some(names))
            }
        }
    }

    /// The tables of a database with the columns that are seen; `None` where there is no such database.
    pub(crate) fn tables(&self, catalog: &CatalogName, database: &str) -> Result<Option<Vec<TableDescription>>> {
        let databases = self.databases(catalog)?.unwrap_or_default();
        if !databases.contains(&database.to_lowercase()) {
            return Ok(None);
        }
        let Some(target) = catalogs::namespace(self.store, self.region, catalog, database)? else {
            return Ok(Some(Vec::new()));
        };
        let tables = self.lakehouse.tables(self.region, &target.table_bucket, &target.namespace)?;
        let mut seen = Vec::new();
        for table in tables.unwrap_or_default() {
            seen.extend(self.seen(&target, table)?);
        }
        Ok(Some(seen))
    }

    /// The tables and views that a database of the default catalog keeps itself; `None` where it is a link, or none.
    pub(crate) fn own_tables(&self, catalog: &CatalogName, database: &str) -> Result<Option<Vec<(String, GlueTable)>>> {
        let database = database.to_lowercase();
        if *catalog != CatalogName::Default || own::database(self.store, self.region, &database)?.is_none() {
            return Ok(None);
        }
        let mut seen = Vec::new();
        for (name, table) in own::tables(self.store, self.region, &database)? {
            seen.extend(self.seen_own(&database, &name, table)?.map(|table| (name, table)));
        }
        Ok(Some(seen))
    }

    pub(crate) fn own_table(&self, catalog: &CatalogName, database: &str, name: &str) -> Result<Option<GlueTable>> {
        let (database, name) = (database.to_lowercase(), name.to_lowercase());
        if *catalog != CatalogName::Default || own::database(self.store, self.region, &database)?.is_none() {
            return Ok(None);
        }
        match own::table(self.store, self.region, &database, &name)? {
            Some(table) => self.seen_own(&database, &name, table),
            None => Ok(None),
        }
    }

    /// The table with the columns that may be read, or with all where only its name may be known of.
    fn seen_own(&self, database: &str, name: &str, mut table: GlueTable) -> Result<Option<GlueTable>> {
        let policy = self.grants.policy(self.region)?;
        let principal = grants::principal(self.identity);
        let id = TableId::new(&CatalogName::Default, database, name);
        if !policy::decide(&policy, principal, Action::Describe, &id).is_allowed() {
            return Ok(None);
        }
        if let Decision::Allowed { columns, .. } = policy::decide(&policy, principal, Action::Select, &id) {
            let is_seen = |column: &Value| column["Name"].as_str().is_some_and(|name| columns.contains(name));
            if let Some(listed) =
                table.input.get_mut("StorageDescriptor").and_then(|storage| storage["Columns"].as_array_mut())
            {
                listed.retain(is_seen);
            }
            if let Some(keys) = table.input.get_mut("PartitionKeys").and_then(Value::as_array_mut) {
                keys.retain(is_seen);
            }
        }
        Ok(Some(table))
    }

    pub(crate) fn table(&self, catalog: &CatalogName, database: &str, name: &str) -> Result<Option<TableDescription>> {
        let Some(target) = catalogs::namespace(self.store, self.region, catalog, database)? else { return Ok(None) };
        let name = name.to_lowercase();
        match self.lakehouse.table(self.region, &target.table_bucket, &target.namespace, &name)? {
            Some(table) => self.seen(&target, table),
            None => Ok(None),
        }
    }

    /// The table with the columns that may be read, or with all where only its name may be known of.
    fn seen(&self, of: &Target, mut table: TableDescription) -> Result<Option<TableDescription>> {
        let policy = self.grants.policy(self.region)?;
        let principal = grants::principal(self.identity);
        let id = TableId::new(&CatalogName::TableBucket(of.table_bucket.clone()), &of.namespace, &table.name);
        if !policy::decide(&policy, principal, Action::Describe, &id).is_allowed() {
            return Ok(None);
        }
        if let Decision::Allowed { columns, row_filter } = policy::decide(&policy, principal, Action::Select, &id) {
            table.columns.retain(|column| columns.contains(&column.name));
            let is_whole = row_filter.is_none() && columns == aws_wire::Columns::All;
            if !is_whole {
                // What it leads to holds every row and column.
                table.metadata_location = None;
            }
        }
        Ok(Some(table))
    }
}
