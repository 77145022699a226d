//! Sets of columns, of which only some are known by name.

use std::collections::BTreeSet;

use aws_wire::Columns;

/// Columns that are in one of the sets.
pub(super) fn union(one: Columns, other: Columns) -> Columns {
    use Columns::{All, AllBut, Only};
    match (one, other) {
        (All, _) | (_, All) => All,
        (Only(one), Only(other)) => Only(&one | &other),
        (AllBut(one), AllBut(other)) => but(&one & &other),
        (Only(some), AllBut(excluded)) | (AllBut(excluded), Only(some)) => but(&excluded - &some),
    }
}

/// Columns that are in both sets.
pub(super) fn intersection(one: Columns, other: Columns) -> Columns {
    use Columns::{All, AllBut, Only};
    match (one, other) {
        (All, columns) | (columns, All) => columns,
        (Only(one), Only(other)) => Only(&one & &other),
        (AllBut(one), AllBut(other)) => but(&one | &other),
        (Only(some), AllBut(excluded)) | (AllBut(excluded), Only(some)) => Only(&some - &excluded),
    }
}

pub(super) fn is_empty(columns: &Columns) -> bool {
    matches!(columns, Columns::Only(columns) if columns.is_empty())
}

fn but(excluded: BTreeSet<String>) -> Columns {
    if excluded.is_empty() { Columns::All } else { Columns::AllBut(excluded) }
}
