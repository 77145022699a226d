//! What kind of statement a text holds. Only those that read are let through.

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ShowCreateObject, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementOptions,
    Statement as SqlStatement,
};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use crate::dialect::{self, Athena};
use crate::error::{Error, READ_ONLY, Result, SYNTAX};
use crate::{diagnosis, parameters};

/// How deep a query may be nested; the parser is recursive.
const DEPTH_MAX: usize = 50;

/// A statement that only reads, read from its text.
pub struct Query(pub(crate) Reading);

pub(crate) enum Reading {
    /// SELECT, VALUES, WITH, and EXPLAIN of them.
    Query(Box<Statement>),
    ShowNamespaces {
        catalog: Option<String>,
        like: Option<String>,
    },
    ShowTables {
        catalog: Option<String>,
        namespace: Option<String>,
        like: Option<String>,
    },
    /// DESCRIBE and SHOW COLUMNS.
    Describe(ObjectName),
    ShowCreate(ObjectName),
    ShowPartitions(ObjectName),
    ShowProperties(ObjectName),
}

/// What kind of statement Athena takes a query for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// SELECT, VALUES, WITH.
    Dml,
    /// SHOW and DESCRIBE count as this too.
    Ddl,
    /// EXPLAIN.
    Utility,
}

impl Query {
    pub fn kind(&self) -> StatementKind {
        match &self.0 {
            Reading::Query(statement) => match statement.as_ref() {
                Statement::Explain(_) => StatementKind::Utility,
                Statement::Statement(sql) if matches!(**sql, SqlStatement::Explain { .. }) => StatementKind::Utility,
                _ => StatementKind::Dml,
            },
            _ => StatementKind::Ddl,
        }
    }
}

/// Reads the statements in `sql`, which are parted by semicolons.
pub fn parse(sql: &str) -> Result<Vec<Query>> {
    let statements = statements(sql)?.into_iter();
    let without_parameters = |mut statement| {
        parameters::fill_in(&mut statement, &[])?;
        classify(statement).map(Query)
    };
    statements.map(without_parameters).collect()
}

/// Reads the one statement in `sql`, and puts `parameters` in place of its `?`: SQL literals, in order, as Athena's
/// execution parameters.
pub fn parse_with_parameters(sql: &str, parameters: &[String]) -> Result<Query> {
    let mut statement = only(statements(sql)?)?;
    parameters::fill_in(&mut statement, parameters)?;
    classify(statement).map(Query)
}

/// A statement that has the value of one expression.
pub(crate) fn constant(expr: &str) -> Result<Statement> {
    only(statements(&format!("SELECT {expr}"))?)
}

fn statements(sql: &str) -> Result<Vec<Statement>> {
    let read = || {
        let tokens = Tokenizer::new(&Athena, sql).tokenize_with_location().map_err(ParserError::from)?;
        let tokens = dialect::rewrite(tokens);
        let parser = DFParserBuilder::new(tokens).with_dialect(&Athena).with_recursion_limit(DEPTH_MAX).build();
        parser?.parse_statements()
    };
    let statements = read().map_err(|error| diagnosis::of_syntax(error, sql))?;
    if statements.is_empty() {
        return Err(Error::new(SYNTAX, "there is no SQL statement").with_help("SELECT 1"));
    }
    Ok(statements.into())
}

fn only(mut statements: Vec<Statement>) -> Result<Statement> {
    if statements.len() > 1 {
        return Err(Error::new(SYNTAX, "there is more than one SQL statement").with_help("one statement at a time"));
    }
    Ok(statements.remove(0))
}

/// Reads the one statement in `sql`.
pub fn parse_one(sql: &str) -> Result<Query> {
    parse_with_parameters(sql, &[])
}

fn classify(statement: Statement) -> Result<Reading> {
    match &statement {
        Statement::Statement(sql) => match sql.as_ref() {
            SqlStatement::Query(_) | SqlStatement::Explain { .. } => Ok(Reading::Query(Box::new(statement))),
            SqlStatement::ShowDatabases { show_options, .. } | SqlStatement::ShowSchemas { show_options, .. } => {
                let catalog = parents(show_options).pop();
                Ok(Reading::ShowNamespaces { catalog, like: like(show_options)? })
            }
            SqlStatement::ShowTables { show_options, .. } => {
                let mut parents = parents(show_options);
                let namespace = parents.pop();
                Ok(Reading::ShowTables { catalog: parents.pop(), namespace, like: like(show_options)? })
            }
            SqlStatement::ShowColumns { show_options, .. } => {
                let table = show_options.show_in.as_ref().and_then(|show_in| show_in.parent_name.clone());
                table.map(Reading::Describe).ok_or_else(|| refused(&statement))
            }
            SqlStatement::ExplainTable { table_name, .. } => Ok(Reading::Describe(table_name.clone())),
            SqlStatement::ShowCreate { obj_type: ShowCreateObject::Table, obj_name } => {
                Ok(Reading::ShowCreate(obj_name.clone()))
            }
            SqlStatement::ShowVariable { variable } => show(variable).ok_or_else(|| refused(&statement)),
            _ => Err(refused(&statement)),
        },
        Statement::Explain(explain) => match classify((*explain.statement).clone())? {
            Reading::Query(_) => Ok(Reading::Query(Box::new(statement))),
            _ => Err(refused(&statement)),
        },
        _ => Err(refused(&statement)),
    }
}

/// `SHOW PARTITIONS t` and `SHOW TBLPROPERTIES t`, which sqlparser takes for settings.
fn show(words: &[Ident]) -> Option<Reading> {
    let (what, name) = words.split_first()?;
    let name = || (!name.is_empty()).then(|| ObjectName::from(name.to_vec()));
    match what.value.to_ascii_uppercase().as_str() {
        "PARTITIONS" => name().map(Reading::ShowPartitions),
        "TBLPROPERTIES" => name().map(Reading::ShowProperties),
        _ => None,
    }
}

fn refused(statement: &Statement) -> Error {
    let text = statement.to_string();
    let verb: Vec<&str> = text.split_whitespace().take(2).collect();
    Error::new(READ_ONLY, format!("{} is not allowed: queries here only read", verb.join(" ")))
        .with_help("SELECT, WITH, EXPLAIN, DESCRIBE, SHOW TABLES or SHOW DATABASES")
}

/// `catalog.database` behind IN, in its parts.
fn parents(options: &ShowStatementOptions) -> Vec<String> {
    let name = options.show_in.as_ref().and_then(|show_in| show_in.parent_name.as_ref());
    let parts = name.into_iter().flat_map(|name| &name.0);
    parts.filter_map(|part| part.as_ident()).map(|ident| ident.value.clone()).collect()
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
