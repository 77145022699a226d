//! What a PostgreSQL client asks of `pg_catalog` and of the server itself: `\d`, `SELECT version()`, a BI tool's first
//! questions.
//!
//! A client's own SQL is Athena's dialect, and goes to the engine. A statement that names nothing but PostgreSQL's catalog
//! is PostgreSQL's dialect: `rewrite` says it in words that DataFusion plans, `tables` fills the catalog with what a
//! principal may see, `functions` answers what clients call. `types` says how a type of ours is known to PostgreSQL.

mod functions;
mod rewrite;
mod tables;
mod types;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query as SqlQuery};
use datafusion::sql::sqlparser::ast::{Statement as SqlStatement, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::catalogs::Context;
use crate::diagnosis;
use crate::engine::Engine;
use crate::error::Result;
use crate::memory::Memory;
use crate::parameters;
use crate::rows::Rows;
use crate::visible::Sight;

pub use types::{PgType, pg_type};

/// As which version of PostgreSQL we show ourselves; clients choose their questions by it.
pub const SERVER_VERSION: &str = "15.0";

const SCHEMA: &str = "pg_catalog";

/// Functions that stand where a table does.
const TABLE_FUNCTIONS: [&str; 2] = ["generate_series", "unnest"];

/// A statement about PostgreSQL's catalog, and nothing else.
#[derive(Clone, Debug)]
pub struct CatalogQuery {
    statement: SqlStatement,
    /// The tables that it names, without their schema.
    tables: BTreeSet<String>,
}

/// Whom a client is connected as, and to what.
#[derive(Clone, Debug)]
pub struct Connection {
    pub user: String,
    /// Each is a catalog.
    pub database: String,
    /// The names of all of them.
    pub databases: Vec<String>,
    pub context: Context,
}

/// Reads a statement that asks PostgreSQL's catalog or calls its functions; `None` for any other, which is the engine's.
pub fn read_catalog_query(sql: &str) -> Option<CatalogQuery> {
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?;
    let (Some(statement), true) = (statements.pop(), statements.is_empty()) else { return None };
    let SqlStatement::Query(_) = &statement else { return None };
    let mut named = Names::default();
    let _ = statement.visit(&mut named);
    let is_about_catalog =
        named.tables.iter().all(|name| tables::is_known(name)) && (!named.tables.is_empty() || named.calls_function);
    is_about_catalog.then_some(CatalogQuery { statement, tables: named.tables })
}

impl CatalogQuery {
    /// Puts `parameters`, which are SQL literals, in place of `$1`, `$2`, ….
    pub fn with_parameters(self, parameters: &[String]) -> Result<Self> {
        let mut statement = Statement::Statement(Box::new(self.statement));
        parameters::fill_in(Some(&mut statement), parameters)?;
        let Statement::Statement(statement) = statement else { unreachable!("it was one of sqlparser's") };
        Ok(Self { statement: *statement, tables: self.tables })
    }
}

impl Engine {
    /// Answers a statement about PostgreSQL's catalog: it holds the tables that `sight` shows.
    pub async fn start_catalog_query(
        &self,
        connection: &Connection,
        query: CatalogQuery,
        sight: &Sight,
    ) -> Result<Rows> {
        let mut statement = query.statement;
        if let Some(columns) = rewrite::columns_of_nothing(&statement) {
            return Ok(Rows::none(columns));
        }
        rewrite::rewrite(&mut statement);
        let found = tables::Found::read(self, connection, sight, &query.tables).await?;
        let state = state(connection, &found).map_err(|error| diagnosis::of(error, &[]))?;
        let started = Rows::start(&state, Statement::Statement(Box::new(statement))).await;
        started.map_err(|error| diagnosis::of(error, &[]))
    }
}

/// A session that knows the catalog's tables and functions, and nothing of the lake.
fn state(connection: &Connection, found: &tables::Found) -> datafusion::error::Result<SessionState> {
    let mut config = SessionConfig::new().with_default_catalog_and_schema(&connection.database, SCHEMA);
    config = config.with_target_partitions(1).with_create_default_catalog_and_schema(false);
    let schema = MemorySchemaProvider::new();
    for (name, table) in tables::all(connection, found)? {
        schema.register_table(name.to_owned(), table)?;
    }
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(schema))?;
    let catalogs = MemoryCatalogProviderList::new();
    datafusion::catalog::CatalogProviderList::register_catalog(
        &catalogs,
        connection.database.clone(),
        Arc::new(catalog),
    );
    let mut state = SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_runtime_env(Memory::unlimited().runtime)
        .with_catalog_list(Arc::new(catalogs))
        .build();
    functions::register(&mut state, connection, found)?;
    Ok(state)
}

/// The tables and functions that a statement names.
#[derive(Default)]
struct Names {
    tables: BTreeSet<String>,
    calls_function: bool,
    /// Names that WITH gives, which are no tables.
    common: BTreeSet<String>,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &SqlQuery) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.common.extend(with.map(|table| table.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts: Vec<String> = rewrite::parts(relation);
        match parts.as_slice() {
            [name] if self.common.contains(name) => {}
            // A function that stands where a table does says nothing of whom is meant.
            [.., name] if TABLE_FUNCTIONS.contains(&name.as_str()) => {}
            [schema, name] if schema == SCHEMA => drop(self.tables.insert(name.clone())),
            [.., schema, _] if schema != SCHEMA => drop(self.tables.insert(relation.to_string())),
            [.., name] => drop(self.tables.insert(name.clone())),
            [] => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            let parts = rewrite::parts(&function.name);
            let is_theirs = parts.first().is_some_and(|schema| schema == SCHEMA) && parts.len() > 1;
            self.calls_function |= is_theirs || parts.last().is_some_and(|name| functions::is_known(name));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_asks_nothing_of_the_lake_is_about_the_catalog() {
        let is_about_catalog = |sql| read_catalog_query(sql).is_some();
        for sql in [
            "SELECT version()",
            "select current_schema()",
            "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace",
            "SELECT c.oid FROM pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(t)$' COLLATE pg_catalog.default",
            "WITH t AS (SELECT oid FROM pg_type) SELECT * FROM t",
        ] {
            assert!(is_about_catalog(sql), "{sql}");
        }
        for sql in [
            "SELECT 1",
            "SELECT * FROM transactions",
            "SELECT * FROM analytics.pg_class",
            "SELECT * FROM pg_class, transactions",
            "INSERT INTO pg_class VALUES (1)",
            "SELECT * FROM information_schema.tables",
        ] {
            assert!(!is_about_catalog(sql), "{sql}");
        }
    }
}
