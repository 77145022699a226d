//! Who may do what: the question that services ask, and the answer. Who decides is plugged in.

use std::collections::BTreeSet;

use crate::Identity;

/// Decides about callers. It is asked anew for every request, so that a change counts from the next one on.
pub trait Authorizer: Send + Sync {
    fn decide(&self, identity: &Identity, action: Action, resource: &Resource<'_>) -> Decision;
}

/// What somebody wants to do, in Lake Formation's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Learn that it exists.
    Describe,
    /// Read its rows, or its bytes.
    Select,
    Insert,
    Delete,
    Alter,
    Drop,
    CreateTable,
    CreateDatabase,
}

/// What it is to be done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    TableBucket {
        region: &'a str,
        table_bucket: &'a str,
    },
    Namespace {
        region: &'a str,
        table_bucket: &'a str,
        namespace: &'a str,
    },
    Table {
        region: &'a str,
        table_bucket: &'a str,
        namespace: &'a str,
        table: &'a str,
    },
    /// An object of S3 that belongs to no table.
    Object {
        bucket: &'a str,
        key: &'a str,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Denied,
    /// Allowed, as far as these columns of these rows go.
    Allowed {
        columns: Columns,
        /// A condition in SQL; every row where there is none.
        row_filter: Option<String>,
    },
}

/// Columns by name, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    All,
    Only(BTreeSet<String>),
    AllBut(BTreeSet<String>),
}

impl Decision {
    /// Everything, without limits.
    pub const WHOLE: Self = Self::Allowed { columns: Columns::All, row_filter: None };

    pub fn is_allowed(&self) -> bool {
        *self != Self::Denied
    }

    /// Tells whether it covers every column of every row, as whoever reads files must be allowed to.
    pub fn is_whole(&self) -> bool {
        *self == Self::WHOLE
    }
}

impl Columns {
    pub fn contains(&self, column: &str) -> bool {
        let column = column.to_lowercase();
        match self {
            Self::All => true,
            Self::Only(columns) => columns.contains(&column),
            Self::AllBut(columns) => !columns.contains(&column),
        }
    }
}

/// Allows everything: for services that nobody governs.
pub struct Ungoverned;

impl Authorizer for Ungoverned {
    fn decide(&self, _identity: &Identity, _action: Action, _resource: &Resource<'_>) -> Decision {
        Decision::WHOLE
    }
}
