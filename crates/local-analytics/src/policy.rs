//! Grants, and what follows from them. Values in, values out: nothing here knows of a store or a wire.

mod columns;
mod decide;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use aws_wire::Columns;
use serde::{Deserialize, Serialize};

use crate::catalogs::CatalogName;

pub(crate) use decide::{Principal, decide, is_administrator, sees_catalog, sees_database};

/// Whom grants to everybody in the account are made to.
pub(crate) const EVERYBODY: &str = "IAM_ALLOWED_PRINCIPALS";

/// What an account has granted in a region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub administrators: BTreeSet<String>,
    /// They see all names, and no rows.
    pub read_only_administrators: BTreeSet<String>,
    pub grants: Vec<Grant>,
    pub filters: Vec<CellsFilter>,
}

/// Kept as it is here, one for each principal and resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// An ARN, or [`EVERYBODY`].
    pub principal: String,
    pub resource: Granted,
    pub permissions: BTreeSet<Permission>,
    /// Those that the principal may grant on.
    pub grantable: BTreeSet<Permission>,
}

/// A table, by its names in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct TableId {
    /// A path as [`CatalogName::path`] has it.
    pub catalog: String,
    pub database: String,
    pub table: String,
}

/// What a grant is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Granted {
    Catalog {
        catalog: String,
    },
    Database {
        catalog: String,
        database: String,
    },
    Table(TableId),
    /// Every table of a database.
    AllTables {
        catalog: String,
        database: String,
    },
    /// These columns of a table.
    Columns(TableId, BTreeSet<String>),
    /// All columns but these.
    AllColumnsBut(TableId, BTreeSet<String>),
    DataLocation {
        arn: String,
    },
    CellsFilter(TableId, String),
}

/// Some columns of some rows. Kept as it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CellsFilter {
    pub table: TableId,
    pub name: String,
    /// `None` for all rows.
    pub row_filter: Option<String>,
    /// `None` for all columns but `excluded`.
    pub columns: Option<BTreeSet<String>>,
    pub excluded: BTreeSet<String>,
    /// Another one after every change.
    pub version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Permission {
    All,
    Select,
    Alter,
    Drop,
    Delete,
    Insert,
    Describe,
    CreateDatabase,
    CreateTable,
    CreateCatalog,
    DataLocationAccess,
    SuperUser,
}

impl CellsFilter {
    pub(crate) fn visible_columns(&self) -> Columns {
        match &self.columns {
            Some(columns) => Columns::Only(columns.clone()),
            None if self.excluded.is_empty() => Columns::All,
            None => Columns::AllBut(self.excluded.clone()),
        }
    }
}

impl TableId {
    pub(crate) fn new(catalog: &CatalogName, database: &str, table: &str) -> Self {
        Self { catalog: catalog.path(), database: database.to_lowercase(), table: table.to_lowercase() }
    }
}
