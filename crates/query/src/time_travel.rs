//! `FOR TIMESTAMP AS OF …` and `FOR VERSION AS OF …` behind a table's name.
//!
//! DataFusion's planner knows no versions. Each table with one gets a name of its own that says so, and is loaded under it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectNamePart, TableAlias, TableFactor, TableVersion, UnaryOperator, Value, VisitMut, VisitorMut,
};
use lake::LakeTable;

use crate::error::{Error, MEANING, NO_SUCH_SNAPSHOT, Result};

/// Which state of a table a query asks for.
#[derive(Clone, Debug)]
pub(crate) enum Version {
    /// As it was at a time, an expression without columns.
    Time(Box<Expr>),
    Snapshot(i64),
    /// The snapshot that a tag or branch names.
    Reference(String),
}

/// A table's own name, and the version that is asked for, by the name it goes by in the query.
#[derive(Default)]
pub(crate) struct Versions(HashMap<String, (String, Version)>);

impl Versions {
    /// Takes the versions out of `statement`.
    pub fn take(statement: &mut Statement) -> Result<Self> {
        let mut versions = Self::default();
        match visit(statement, &mut versions) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(versions),
        }
    }

    /// The table's own name and its version, where `name` stands for one.
    pub fn of(&self, name: &str) -> Option<&(String, Version)> {
        self.0.get(name)
    }
}

pub(crate) fn visit<V: VisitorMut>(statement: &mut Statement, visitor: &mut V) -> ControlFlow<V::Break> {
    match statement {
        Statement::Statement(sql) => sql.visit(visitor),
        Statement::Explain(explain) => visit(&mut explain.statement, visitor),
        _ => ControlFlow::Continue(()),
    }
}

impl VisitorMut for Versions {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, table_factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, alias, version, .. } = table_factor else { return ControlFlow::Continue(()) };
        let Some(asked) = version.take() else { return ControlFlow::Continue(()) };
        let parsed = match asked {
            TableVersion::ForSystemTimeAsOf(expr) => parse(expr),
            other => Err(Error::new(MEANING, format!("{other} is not understood")).with_help("FOR TIMESTAMP AS OF")),
        };
        let parsed = match parsed {
            Ok(version) => version,
            Err(error) => return ControlFlow::Break(error),
        };
        let Some(ObjectNamePart::Identifier(table)) = name.0.last_mut() else { return ControlFlow::Continue(()) };
        let own = if table.quote_style.is_some() { table.value.clone() } else { table.value.to_lowercase() };
        let shown = format!("{own} FOR {parsed}");
        let own_ident =
            std::mem::replace(table, Ident { quote_style: Some('"'), value: shown.clone(), ..table.clone() });
        if alias.is_none() {
            *alias = Some(TableAlias { explicit: true, name: own_ident, columns: Vec::new() });
        }
        self.0.insert(shown, (own, parsed));
        ControlFlow::Continue(())
    }
}

fn parse(expr: Expr) -> Result<Version> {
    let Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr } = expr else {
        return Ok(Version::Time(Box::new(expr)));
    };
    match *expr {
        Expr::Value(value) => match value.value {
            Value::Number(number, _) => match number.parse() {
                Ok(id) => Ok(Version::Snapshot(id)),
                Err(_) => Err(Error::new(MEANING, format!("{number} is no snapshot id"))),
            },
            Value::SingleQuotedString(name) => Ok(Version::Reference(name)),
            other => Err(Error::new(MEANING, format!("{other} is no version"))),
        },
        other => Err(Error::new(MEANING, format!("{other} is no version"))
            .with_help("FOR VERSION AS OF a snapshot's id, or the name of a tag in single quotes")),
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Version::Time(expr) => write!(f, "TIMESTAMP AS OF {expr}"),
            Version::Snapshot(id) => write!(f, "VERSION AS OF {id}"),
            Version::Reference(name) => write!(f, "VERSION AS OF '{name}'"),
        }
    }
}

/// `table` as it was at a time, in milliseconds since 1970.
pub(crate) fn at_time(table: &LakeTable, timestamp_ms: i64) -> Result<LakeTable> {
    let error = |error: lake::Error| {
        let text = format!("{} has no snapshot that old", table.table().identifier());
        no_such_snapshot(table, text).with_source(error)
    };
    table.at_time(timestamp_ms).map_err(error)
}

pub(crate) fn at_snapshot(table: &LakeTable, snapshot_id: i64) -> Result<LakeTable> {
    let error = |error: lake::Error| {
        let text = format!("{} has no snapshot {snapshot_id}", table.table().identifier());
        no_such_snapshot(table, text).with_source(error)
    };
    table.at_snapshot(snapshot_id).map_err(error)
}

pub(crate) fn at_reference(table: &LakeTable, name: &str) -> Result<LakeTable> {
    match table.table().metadata().snapshot_for_ref(name) {
        Some(snapshot) => at_snapshot(table, snapshot.snapshot_id()),
        None => {
            let message = format!("{} has no tag or branch named {name}", table.table().identifier());
            let metadata_table = format!("\"{}$refs\"", table.table().identifier().name());
            Err(Error::new(NO_SUCH_SNAPSHOT, message).with_help(format!("SELECT name, type FROM {metadata_table}")))
        }
    }
}

fn no_such_snapshot(table: &LakeTable, message: String) -> Error {
    let metadata_table = format!("\"{}$snapshots\"", table.table().identifier().name());
    Error::new(NO_SUCH_SNAPSHOT, message)
        .with_help(format!("SELECT snapshot_id, committed_at FROM {metadata_table} ORDER BY committed_at"))
}
