//! Finds the tables that a query names.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::sql::TableReference;
use futures::future::try_join_all;
use iceberg::{NamespaceIdent, TableIdent};
use lake::{Catalog, ErrorKind, LakeTable, ScanCache};

use crate::error::{AMBIGUOUS, Error, NO_SUCH_CATALOG, NO_SUCH_TABLE, NOT_SERVED, Result, UNREADABLE};
use crate::own_tables::{DatabaseDefinition, Other, OwnTables};
use crate::visible::{SeenCatalogs, SeenTables};

/// Where an engine finds its tables.
#[async_trait]
pub trait Tables: Send + Sync {
    async fn list_namespaces(&self) -> lake::Result<Vec<NamespaceIdent>>;
    async fn list_tables(&self, namespace: &NamespaceIdent) -> lake::Result<Vec<TableIdent>>;
    /// Loads the table as it is now. `NotFound` where it does not exist.
    async fn load(&self, table: &TableIdent, cache: &Arc<ScanCache>) -> lake::Result<LakeTable>;
    /// Tells whether anything of a table is to be seen, should it exist.
    fn is_shown(&self, _table: &TableIdent) -> bool {
        true
    }
    /// Where a table is changed, and what it is called there; `None` where that cannot be done. It need not exist.
    async fn writable(&self, _table: &TableIdent) -> lake::Result<Option<(Catalog, TableIdent)>> {
        Ok(None)
    }
    /// Makes a database. Tells whether the name was free; `Refused` where none are made.
    async fn create_database(&self, name: &str, _definition: &DatabaseDefinition) -> lake::Result<bool> {
        Err(no_databases(name))
    }
    /// Removes a database, where it is empty or `with_tables`. Tells whether it was there; `Refused` where none are
    /// removed, or where it has tables.
    async fn drop_database(&self, name: &str, _with_tables: bool) -> lake::Result<bool> {
        Err(no_databases(name))
    }
    /// What keeps the tables of a namespace that are not the lake's; `None` where there can be none.
    fn own(&self, _namespace: &NamespaceIdent) -> Option<Arc<dyn OwnTables>> {
        None
    }
}

#[async_trait]
impl Tables for Catalog {
    async fn list_namespaces(&self) -> lake::Result<Vec<NamespaceIdent>> {
        self.list_namespaces().await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> lake::Result<Vec<TableIdent>> {
        self.list_tables(namespace).await
    }

    async fn load(&self, table: &TableIdent, cache: &Arc<ScanCache>) -> lake::Result<LakeTable> {
        LakeTable::load(self, table, cache.clone()).await
    }

    async fn writable(&self, table: &TableIdent) -> lake::Result<Option<(Catalog, TableIdent)>> {
        Ok(Some((self.clone(), table.clone())))
    }

    async fn create_database(&self, name: &str, definition: &DatabaseDefinition) -> lake::Result<bool> {
        if *definition != DatabaseDefinition::default() {
            let message = format!("database {name} of a table bucket takes no COMMENT, LOCATION or DBPROPERTIES");
            return Err(lake::Error::new(ErrorKind::Refused, message));
        }
        let namespace = NamespaceIdent::new(name.to_owned());
        let is_new = !self.list_namespaces().await?.contains(&namespace);
        if is_new {
            self.ensure_namespace(&namespace).await?;
        }
        Ok(is_new)
    }

    async fn drop_database(&self, name: &str, _with_tables: bool) -> lake::Result<bool> {
        let namespace = NamespaceIdent::new(name.to_owned());
        if !self.list_namespaces().await?.contains(&namespace) {
            return Ok(false);
        }
        if !self.list_tables(&namespace).await?.is_empty() {
            return Err(has_tables(name));
        }
        self.drop_namespace(&namespace).await.map(|()| true)
    }
}

fn no_databases(name: &str) -> lake::Error {
    lake::Error::new(ErrorKind::Refused, format!("database {name}: its catalog is read-only here"))
}

/// Has a namespace tables, they have data that nobody can bring back: they are dropped one by one.
fn has_tables(name: &str) -> lake::Error {
    let message = format!("database {name} has tables. Try: DROP TABLE for each of them, then DROP SCHEMA");
    lake::Error::new(ErrorKind::Refused, message)
}

/// How alike a name must be to be suggested, from 0 to 1.
const LIKENESS_MIN: f64 = 0.5;

/// What a name stands for.
pub(crate) enum Found {
    Lake(LakeTable),
    Other(Other),
}

/// Loads what `reference` names within its catalog, as it is now.
pub(crate) async fn load(
    tables: &dyn Tables,
    cache: &Arc<ScanCache>,
    default_namespace: Option<&str>,
    reference: &TableReference,
) -> Result<Found> {
    if let Some(namespace) = reference.schema().or(default_namespace) {
        let ident = TableIdent::new(NamespaceIdent::new(namespace.to_owned()), reference.table().to_owned());
        match load_exactly(tables, cache, &ident).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            loaded => return loaded.map_err(not_loaded),
        }
    }
    let ident = find(list_all(tables).await?, default_namespace, reference)?;
    load_exactly(tables, cache, &ident).await.map_err(not_loaded)
}

/// What goes by this very name. `NotFound` where that is nothing.
pub(crate) async fn load_exactly(
    tables: &dyn Tables,
    cache: &Arc<ScanCache>,
    ident: &TableIdent,
) -> lake::Result<Found> {
    let not_found = match tables.load(ident, cache).await {
        Err(error) if error.kind() == ErrorKind::NotFound => error,
        loaded => return loaded.map(Found::Lake),
    };
    let Some(own) = tables.own(ident.namespace()) else { return Err(not_found) };
    // An error would name what is hidden.
    if !tables.is_shown(ident) {
        return Err(not_found);
    }
    let found = own.find(&ident.namespace().to_url_string(), ident.name()).await?;
    found.map(Found::Other).ok_or(not_found)
}

/// The catalog of that name, for a query that means the table `reference`.
pub(crate) async fn catalog(
    catalogs: &SeenCatalogs<'_>,
    name: &str,
    reference: Option<&TableReference>,
) -> Result<SeenTables> {
    if let Some(tables) = catalogs.catalog(name).await.map_err(unreadable)? {
        return Ok(tables);
    }
    let error = Error::new(NO_SUCH_CATALOG, format!("no catalog named {name}"));
    let names = catalogs.list_catalogs().await.map_err(unreadable)?;
    let likeness = |known: &&String| normalized_levenshtein(&known.to_lowercase(), &name.to_lowercase());
    let best = names.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    Err(match (best.filter(|best| likeness(best) >= LIKENESS_MIN), reference) {
        (Some(best), _) => error.with_help(format!("\"{best}\"")),
        (None, Some(reference)) => error.with_help(format!("name the table as {}", namespace_and_name(reference))),
        (None, None) => error.with_help(names.join(", ")),
    })
}

/// What is said of a table that is not there, for one that `tables` has but does not show.
pub(crate) async fn not_found(tables: &dyn Tables, reference: &TableReference) -> Error {
    match list_all(tables).await {
        Ok(all) => no_such_table(&all, reference),
        Err(error) => error,
    }
}

/// Every table of every namespace.
pub(crate) async fn list_all(tables: &dyn Tables) -> Result<Vec<TableIdent>> {
    let namespaces = tables.list_namespaces().await.map_err(unreadable)?;
    let listed = try_join_all(namespaces.iter().map(|namespace| tables.list_tables(namespace))).await;
    Ok(listed.map_err(unreadable)?.into_iter().flatten().collect())
}

/// The table among `all` that `reference` can mean: the same letters in any case, in any namespace if it gives none.
fn find(all: Vec<TableIdent>, default_namespace: Option<&str>, reference: &TableReference) -> Result<TableIdent> {
    let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    let namespace_of = |ident: &TableIdent| ident.namespace().to_url_string();
    let candidates: Vec<&TableIdent> = (all.iter())
        .filter(|ident| same(ident.name(), reference.table()))
        .filter(|ident| reference.schema().is_none_or(|namespace| same(&namespace_of(ident), namespace)))
        .collect();
    let in_default =
        |ident: &&&TableIdent| default_namespace.is_some_and(|default| same(&namespace_of(ident), default));
    match candidates.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(no_such_table(&all, reference)),
        many => match many.iter().find(in_default) {
            Some(ident) => Ok((*ident).clone()),
            None => {
                let names: Vec<String> = many.iter().map(|ident| ident.to_string()).collect();
                let error = Error::new(AMBIGUOUS, format!("{} is in more than one namespace", reference.table()));
                Err(error.with_help(names.join(" or ")))
            }
        },
    }
}

fn no_such_table(all: &[TableIdent], reference: &TableReference) -> Error {
    let error = Error::new(NO_SUCH_TABLE, format!("no table named {}", namespace_and_name(reference)));
    let names: Vec<String> = all.iter().map(TableIdent::to_string).collect();
    let short: Vec<&str> = all.iter().map(TableIdent::name).collect();
    let likeness = |index: &usize| normalized_levenshtein(short[*index], reference.table());
    let best = (0..all.len()).max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match best.filter(|index| likeness(index) >= LIKENESS_MIN) {
        Some(index) => error.with_help(names[index].clone()),
        None => error.with_help("SHOW TABLES"),
    }
}

fn namespace_and_name(reference: &TableReference) -> String {
    match reference.schema() {
        Some(namespace) => format!("{namespace}.{}", reference.table()),
        None => reference.table().to_owned(),
    }
}

/// A table that is there, and of a kind that we do not read, is no failure of ours.
fn not_loaded(error: lake::Error) -> Error {
    match error.kind() {
        ErrorKind::Refused => Error::new(NOT_SERVED, error.to_string()),
        _ => unreadable(error),
    }
}

pub(crate) fn unreadable(error: lake::Error) -> Error {
    Error::new(UNREADABLE, error.to_string()).with_source(error)
}
