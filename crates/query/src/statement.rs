//! What kind of statement a text holds. Only those that read are let through.

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    ObjectName, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementOptions, Statement as SqlStatement,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;

use crate::diagnosis;
use crate::error::{Error, READ_ONLY, Result, SYNTAX};

/// How deep a query may be nested; the parser is recursive.
const DEPTH_MAX: usize = 50;

/// A statement that only reads, read from its text.
pub struct Query(pub(crate) Reading);

pub(crate) enum Reading {
    /// SELECT, VALUES, WITH, and EXPLAIN of them.
    Query(Box<Statement>),
    ShowNamespaces,
    ShowTables {
        namespace: Option<String>,
        like: Option<String>,
    },
    /// DESCRIBE and SHOW COLUMNS.
    Describe(ObjectName),
}

/// Reads the statements in `sql`, which are parted by semicolons.
pub fn parse(sql: &str) -> Result<Vec<Query>> {
    let parser = DFParserBuilder::new(sql).with_dialect(&GenericDialect {}).with_recursion_limit(DEPTH_MAX).build();
    let statements =
        parser.and_then(|mut parser| parser.parse_statements()).map_err(|error| diagnosis::of_syntax(error, sql))?;
    if statements.is_empty() {
        return Err(Error::new(SYNTAX, "there is no SQL statement").with_help("SELECT 1"));
    }
    statements.into_iter().map(|statement| classify(statement).map(Query)).collect()
}

/// Reads the one statement in `sql`.
pub fn parse_one(sql: &str) -> Result<Query> {
    let mut queries = parse(sql)?;
    if queries.len() > 1 {
        return Err(Error::new(SYNTAX, "there is more than one SQL statement").with_help("one statement at a time"));
    }
    Ok(queries.remove(0))
}

fn classify(statement: Statement) -> Result<Reading> {
    match &statement {
        Statement::Statement(sql) => match sql.as_ref() {
            SqlStatement::Query(_) | SqlStatement::Explain { .. } => Ok(Reading::Query(Box::new(statement))),
            SqlStatement::ShowDatabases { .. } | SqlStatement::ShowSchemas { .. } => Ok(Reading::ShowNamespaces),
            SqlStatement::ShowTables { show_options, .. } => {
                Ok(Reading::ShowTables { namespace: parent(show_options), like: like(show_options)? })
            }
            SqlStatement::ShowColumns { show_options, .. } => {
                let table = show_options.show_in.as_ref().and_then(|show_in| show_in.parent_name.clone());
                table.map(Reading::Describe).ok_or_else(|| refused(&statement))
            }
            SqlStatement::ExplainTable { table_name, .. } => Ok(Reading::Describe(table_name.clone())),
            _ => Err(refused(&statement)),
        },
        Statement::Explain(explain) => match classify((*explain.statement).clone())? {
            Reading::Query(_) => Ok(Reading::Query(Box::new(statement))),
            _ => Err(refused(&statement)),
        },
        _ => Err(refused(&statement)),
    }
}

fn refused(statement: &Statement) -> Error {
    let text = statement.to_string();
    let verb: Vec<&str> = text.split_whitespace().take(2).collect();
    Error::new(READ_ONLY, format!("{} is not allowed: queries here only read", verb.join(" ")))
        .with_help("SELECT, WITH, EXPLAIN, DESCRIBE, SHOW TABLES or SHOW DATABASES")
}

fn parent(options: &ShowStatementOptions) -> Option<String> {
    let name = options.show_in.as_ref()?.parent_name.as_ref()?;
    let part = name.0.last()?.as_ident()?;
    Some(part.value.clone())
}

fn like(options: &ShowStatementOptions) -> Result<Option<String>> {
    use ShowStatementFilterPosition::{Infix, Suffix};
    match &options.filter_position {
        None => Ok(None),
        Some(Infix(filter) | Suffix(filter)) => match filter {
            ShowStatementFilter::Like(pattern) | ShowStatementFilter::ILike(pattern) => Ok(Some(pattern.clone())),
            // Athena's own form: `SHOW TABLES 'trans*'`.
            ShowStatementFilter::NoKeyword(pattern) => Ok(Some(pattern.replace('*', "%"))),
            ShowStatementFilter::Where(_) => {
                Err(Error::new(SYNTAX, "SHOW takes no WHERE").with_help("SHOW TABLES LIKE 'trans%'"))
            }
        },
    }
}
