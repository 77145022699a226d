//! The one decision. Whatever is not granted is denied.

use aws_wire::{Action, Columns, Decision};

use crate::catalogs::CatalogName;
use crate::policy::columns::{intersection, is_empty, union};
use crate::policy::{CellsFilter, EVERYBODY, Grant, Granted, Permission, Policy, TableId};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Principal<'a> {
    pub arn: &'a str,
    /// Of the account, whatever Lake Formation's settings say.
    pub is_administrator: bool,
}

/// What somebody may do to a table. Columns and rows are limited for reading alone.
pub(crate) fn decide(policy: &Policy, principal: Principal<'_>, action: Action, table: &TableId) -> Decision {
    if is_administrator(policy, principal) {
        return Decision::WHOLE;
    }
    let allowed = |is_allowed: bool| if is_allowed { Decision::WHOLE } else { Decision::Denied };
    match action {
        Action::Select => readable(policy, principal, table),
        Action::Describe => {
            let is_named = holds(policy, principal, Permission::Describe, |on| covers(on, table));
            let is_read_only = policy.read_only_administrators.iter().any(|arn| is_same(arn, principal.arn));
            allowed(is_named || is_read_only || holds_any(policy, principal, |on| covers(on, table)))
        }
        Action::Insert => allowed(holds(policy, principal, Permission::Insert, |on| covers(on, table))),
        Action::Delete => allowed(holds(policy, principal, Permission::Delete, |on| covers(on, table))),
        Action::Alter => allowed(holds(policy, principal, Permission::Alter, |on| covers(on, table))),
        Action::Drop => allowed(holds(policy, principal, Permission::Drop, |on| covers(on, table))),
        Action::CreateTable => allowed(holds(policy, principal, Permission::CreateTable, |on| {
            matches!(on, Granted::Database { catalog, database }
                if *catalog == table.catalog && *database == table.database)
        })),
        Action::CreateDatabase => allowed(holds(
            policy,
            principal,
            Permission::CreateDatabase,
            |on| matches!(on, Granted::Catalog { catalog } if *catalog == table.catalog),
        )),
    }
}

/// What of a table may be read. Where several data cells filters meet, rows are united and columns intersected: that
/// shows no cell that none of them shows. Grants without a condition on rows come first.
fn readable(policy: &Policy, principal: Principal<'_>, table: &TableId) -> Decision {
    let mut of_all_rows: Option<Columns> = None;
    let mut filters: Vec<&CellsFilter> = Vec::new();
    for grant in grants(policy, principal).filter(|grant| includes(grant, Permission::Select)) {
        let columns = match &grant.resource {
            Granted::Table(_) | Granted::AllTables { .. } if covers(&grant.resource, table) => Columns::All,
            Granted::Columns(of, columns) if of == table => Columns::Only(columns.clone()),
            Granted::AllColumnsBut(of, columns) if of == table => Columns::AllBut(columns.clone()),
            Granted::CellsFilter(of, name) if of == table => {
                filters.extend(policy.filters.iter().find(|filter| filter.table == *of && filter.name == *name));
                continue;
            }
            _ => continue,
        };
        of_all_rows = Some(of_all_rows.map_or(columns.clone(), |known| union(known, columns)));
    }
    for filter in filters.iter().filter(|filter| filter.row_filter.is_none()) {
        let columns = filter.visible_columns();
        of_all_rows = Some(of_all_rows.map_or(columns.clone(), |known| union(known, columns)));
    }
    if let Some(columns) = of_all_rows {
        return if is_empty(&columns) { Decision::Denied } else { Decision::Allowed { columns, row_filter: None } };
    }
    limited(&filters)
}

fn limited(filters: &[&CellsFilter]) -> Decision {
    let Some(first) = filters.first() else { return Decision::Denied };
    let shared = filters.iter().fold(Columns::All, |known, filter| intersection(known, filter.visible_columns()));
    // Filters that have no column in common cannot be one table: the first one it is.
    let (columns, filters) =
        if is_empty(&shared) { (first.visible_columns(), &filters[..1]) } else { (shared, filters) };
    let mut conditions: Vec<&str> = filters.iter().filter_map(|filter| filter.row_filter.as_deref()).collect();
    conditions.sort_unstable();
    conditions.dedup();
    let row_filter = match conditions.as_slice() {
        [only] => (*only).to_owned(),
        several => several.iter().map(|condition| format!("({condition})")).collect::<Vec<_>>().join(" OR "),
    };
    Decision::Allowed { columns, row_filter: Some(row_filter) }
}

/// Tells whether somebody may know of a database: it is granted, or something in it.
pub(crate) fn sees_database(policy: &Policy, principal: Principal<'_>, catalog: &CatalogName, database: &str) -> bool {
    let (of_catalog, of_database) = (catalog.path(), database.to_lowercase());
    sees(policy, principal, |on| match on {
        Granted::Catalog { .. } | Granted::DataLocation { .. } => false,
        Granted::Database { catalog, database } | Granted::AllTables { catalog, database } => {
            *catalog == of_catalog && *database == of_database
        }
        Granted::Table(table)
        | Granted::Columns(table, _)
        | Granted::AllColumnsBut(table, _)
        | Granted::CellsFilter(table, _) => table.catalog == of_catalog && table.database == of_database,
    })
}

/// Tells whether somebody may know of a catalog: it is granted, or something in it.
pub(crate) fn sees_catalog(policy: &Policy, principal: Principal<'_>, catalog: &CatalogName) -> bool {
    let path = catalog.path();
    sees(policy, principal, |on| catalog_of(on) == Some(path.as_str()))
}

pub(crate) fn is_administrator(policy: &Policy, principal: Principal<'_>) -> bool {
    principal.is_administrator || policy.administrators.iter().any(|arn| is_same(arn, principal.arn))
}

fn sees(policy: &Policy, principal: Principal<'_>, is_in: impl Fn(&Granted) -> bool) -> bool {
    is_administrator(policy, principal)
        || policy.read_only_administrators.iter().any(|arn| is_same(arn, principal.arn))
        || holds_any(policy, principal, is_in)
}

fn catalog_of(on: &Granted) -> Option<&str> {
    match on {
        Granted::Catalog { catalog } | Granted::Database { catalog, .. } | Granted::AllTables { catalog, .. } => {
            Some(catalog)
        }
        Granted::Table(table)
        | Granted::Columns(table, _)
        | Granted::AllColumnsBut(table, _)
        | Granted::CellsFilter(table, _) => Some(&table.catalog),
        Granted::DataLocation { .. } => None,
    }
}

/// Tells whether a grant is on the table itself or on all tables around it.
fn covers(on: &Granted, of: &TableId) -> bool {
    match on {
        Granted::Table(table)
        | Granted::Columns(table, _)
        | Granted::AllColumnsBut(table, _)
        | Granted::CellsFilter(table, _) => table == of,
        Granted::AllTables { catalog, database } => *catalog == of.catalog && *database == of.database,
        Granted::Catalog { .. } | Granted::Database { .. } | Granted::DataLocation { .. } => false,
    }
}

fn holds(policy: &Policy, principal: Principal<'_>, permission: Permission, is_on: impl Fn(&Granted) -> bool) -> bool {
    grants(policy, principal).any(|grant| includes(grant, permission) && is_on(&grant.resource))
}

fn holds_any(policy: &Policy, principal: Principal<'_>, is_on: impl Fn(&Granted) -> bool) -> bool {
    grants(policy, principal).any(|grant| !grant.permissions.is_empty() && is_on(&grant.resource))
}

fn grants<'a>(policy: &'a Policy, principal: Principal<'a>) -> impl Iterator<Item = &'a Grant> {
    // Where a filter is deleted, a grant on it is one on nothing.
    let is_of = |filter: &CellsFilter, table: &TableId, name: &String| filter.table == *table && filter.name == *name;
    let is_there = move |grant: &&Grant| match &grant.resource {
        Granted::CellsFilter(table, name) => policy.filters.iter().any(|filter| is_of(filter, table, name)),
        _ => true,
    };
    policy.grants.iter().filter(move |grant| is_for(&grant.principal, principal.arn)).filter(is_there)
}

fn includes(grant: &Grant, permission: Permission) -> bool {
    let everything = [Permission::All, Permission::SuperUser];
    grant.permissions.contains(&permission) || everything.iter().any(|all| grant.permissions.contains(all))
}

/// Tells whether a grant to `granted` is one to the caller: to it, to its role, or to everybody.
fn is_for(granted: &str, arn: &str) -> bool {
    let account_id = arn.split(':').nth(4).unwrap_or_default();
    granted == EVERYBODY || granted.strip_suffix(":IAMPrincipals") == Some(account_id) || is_same(granted, arn)
}

/// A session of a role is that role: `…:assumed-role/NAME/SESSION` for `…:role/NAME`.
fn is_same(granted: &str, arn: &str) -> bool {
    if granted == arn {
        return true;
    }
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "sts", _, account_id, resource] = parts.as_slice() else { return false };
    let role = resource.strip_prefix("assumed-role/").and_then(|rest| rest.split('/').next());
    role.is_some_and(|role| granted == format!("arn:aws:iam::{account_id}:role/{role}"))
}
