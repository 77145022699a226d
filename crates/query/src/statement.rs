//! What kind of statement a text holds. Those that we do not serve are not let through.

use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{
    Ident, Insert, ObjectName, ShowCreateObject, ShowStatementFilter, ShowStatementFilterPosition,
    ShowStatementOptions, Statement as SqlStatement, TableObject,
};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::dialect::{self, Athena};
use crate::error::{Error, READ_ONLY, Result, SYNTAX};
use crate::export::Export;
use crate::writing::database::DatabaseChange;
use crate::writing::{Act, Writing, row_changes};
use crate::{diagnosis, parameters, writing};

/// How deep a query may be nested; the parser is recursive.
const DEPTH_MAX: usize = 50;

/// A statement, read from its text.
pub struct Query(pub(crate) Parsed);

pub(crate) enum Parsed {
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
    ShowViews {
        catalog: Option<String>,
        namespace: Option<String>,
        like: Option<String>,
    },
    /// DESCRIBE and SHOW COLUMNS.
    Describe(ObjectName),
    ShowCreate(ObjectName),
    ShowPartitions(ObjectName),
    ShowProperties(ObjectName),
    Write(Box<Writing>),
    Database(DatabaseChange),
    /// UNLOAD of a query's rows.
    Export(Box<Statement>, Export),
}

/// A statement as it stands there.
pub(crate) enum Raw {
    Sql(Statement),
    Write(Writing),
    Database(DatabaseChange),
    Export(Statement, Export),
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
    /// Where the rows are to be written, for who starts it; `None` where they are to be given back.
    pub fn export(&self) -> Option<&Export> {
        match &self.0 {
            Parsed::Export(_, export) => Some(export),
            _ => None,
        }
    }

    /// Tells whether it only reads; what it gives can then be begun and left.
    pub fn is_read_only(&self) -> bool {
        !matches!(self.0, Parsed::Write(_) | Parsed::Database(_) | Parsed::Export(..))
    }

    pub fn kind(&self) -> StatementKind {
        match &self.0 {
            Parsed::Query(statement) => match statement.as_ref() {
                Statement::Explain(_) => StatementKind::Utility,
                Statement::Statement(sql) if matches!(**sql, SqlStatement::Explain { .. }) => StatementKind::Utility,
                _ => StatementKind::Dml,
            },
            Parsed::Write(writing) if matches!(writing.act, Act::Insert { .. } | Act::ChangeRows(_)) => {
                StatementKind::Dml
            }
            Parsed::Export(..) => StatementKind::Dml,
            _ => StatementKind::Ddl,
        }
    }
}

/// Reads the statements in `sql`, which are parted by semicolons.
pub fn parse(sql: &str) -> Result<Vec<Query>> {
    statements(sql)?.into_iter().map(|raw| complete(raw, &[])).collect()
}

/// Reads the one statement in `sql`, and puts `parameters` in place of its `?`: SQL literals, in order, as Athena's
/// execution parameters.
pub fn parse_with_parameters(sql: &str, parameters: &[String]) -> Result<Query> {
    complete(only(statements(sql)?)?, parameters)
}

/// A statement that has the value of one expression.
pub(crate) fn constant(expr: &str) -> Result<Statement> {
    match only(statements(&format!("SELECT {expr}"))?)? {
        Raw::Sql(statement) => Ok(statement),
        _ => Err(Error::new(SYNTAX, format!("{expr} is no expression"))),
    }
}

/// The query that a view's text holds.
pub(crate) fn query_of(sql: &str) -> Result<Statement> {
    let query = match only(statements(sql)?)? {
        Raw::Sql(statement) => classify(statement)?,
        _ => return Err(Error::new(SYNTAX, "a view is a query")),
    };
    match query {
        Parsed::Query(query) => Ok(*query),
        _ => Err(Error::new(SYNTAX, "a view is a query")),
    }
}

fn complete(raw: Raw, parameters: &[String]) -> Result<Query> {
    let mut parsed = match raw {
        Raw::Sql(statement) => classify(statement)?,
        Raw::Write(writing) => Parsed::Write(Box::new(writing)),
        Raw::Database(change) => Parsed::Database(change),
        Raw::Export(query, export) => Parsed::Export(Box::new(query), export),
    };
    match &mut parsed {
        Parsed::Query(statement) | Parsed::Export(statement, _) => {
            parameters::fill_in(Some(statement), parameters)?;
        }
        Parsed::Write(writing) => parameters::fill_in(writing.query_mut(), parameters)?,
        _ => parameters::fill_in(None, parameters)?,
    }
    Ok(Query(parsed))
}

fn statements(sql: &str) -> Result<Vec<Raw>> {
    let read = || {
        let tokens = Tokenizer::new(&Athena, sql).tokenize_with_location().map_err(ParserError::from)?;
        let tokens = dialect::rewrite(tokens);
        let mut statements = Vec::new();
        for tokens in tokens.split(|token| token.token == Token::SemiColon).filter(|tokens| !tokens.is_empty()) {
            if let Some(raw) = writing::read(sql, tokens, DEPTH_MAX)? {
                statements.push(raw);
                continue;
            }
            let parser = DFParserBuilder::new(tokens.to_vec()).with_dialect(&Athena).with_recursion_limit(DEPTH_MAX);
            statements.extend(parser.build()?.parse_statements()?.into_iter().map(Raw::Sql));
        }
        Ok(statements)
    };
    let statements = read().map_err(|error| diagnosis::of_syntax(error, sql))?;
    if statements.is_empty() {
        return Err(Error::new(SYNTAX, "there is no SQL statement").with_help("SELECT 1"));
    }
    Ok(statements)
}

fn only(mut statements: Vec<Raw>) -> Result<Raw> {
    if statements.len() > 1 {
        return Err(Error::new(SYNTAX, "there is more than one SQL statement").with_help("one statement at a time"));
    }
    Ok(statements.remove(0))
}

/// Reads the one statement in `sql`.
pub fn parse_one(sql: &str) -> Result<Query> {
    parse_with_parameters(sql, &[])
}

fn classify(statement: Statement) -> Result<Parsed> {
    match &statement {
        Statement::Statement(sql) => match sql.as_ref() {
            SqlStatement::Query(_) | SqlStatement::Explain { .. } => Ok(Parsed::Query(Box::new(statement))),
            SqlStatement::ShowDatabases { show_options, .. } | SqlStatement::ShowSchemas { show_options, .. } => {
                let catalog = parents(show_options).pop();
                Ok(Parsed::ShowNamespaces { catalog, like: like(show_options)? })
            }
            SqlStatement::ShowTables { show_options, .. } => {
                let mut parents = parents(show_options);
                let namespace = parents.pop();
                Ok(Parsed::ShowTables { catalog: parents.pop(), namespace, like: like(show_options)? })
            }
            SqlStatement::ShowViews { show_options, .. } => {
                let mut parents = parents(show_options);
                let namespace = parents.pop();
                Ok(Parsed::ShowViews { catalog: parents.pop(), namespace, like: like(show_options)? })
            }
            SqlStatement::ShowColumns { show_options, .. } => {
                let table = show_options.show_in.as_ref().and_then(|show_in| show_in.parent_name.clone());
                table.map(Parsed::Describe).ok_or_else(|| refused(&statement))
            }
            SqlStatement::Insert(insert) => insertion(insert).ok_or_else(|| refused(&statement)),
            SqlStatement::Delete(_) | SqlStatement::Update(_) | SqlStatement::Merge(_) => {
                let table = row_changes::target(sql)?.clone();
                Ok(Parsed::Write(Box::new(Writing { table, act: Act::ChangeRows(Box::new(statement)) })))
            }
            SqlStatement::ExplainTable { table_name, .. } => Ok(Parsed::Describe(table_name.clone())),
            SqlStatement::ShowCreate { obj_type: ShowCreateObject::Table | ShowCreateObject::View, obj_name } => {
                Ok(Parsed::ShowCreate(obj_name.clone()))
            }
            SqlStatement::ShowVariable { variable } => show(variable).ok_or_else(|| refused(&statement)),
            _ => Err(refused(&statement)),
        },
        Statement::Explain(explain) => match classify((*explain.statement).clone())? {
            Parsed::Query(_) => Ok(Parsed::Query(Box::new(statement))),
            _ => Err(refused(&statement)),
        },
        _ => Err(refused(&statement)),
    }
}

/// Plain `INSERT INTO t [(columns)] query`; others have spellings that Athena does not know.
fn insertion(insert: &Insert) -> Option<Parsed> {
    let TableObject::TableName(table) = &insert.table else { return None };
    let is_plain = !insert.overwrite && insert.partitioned.is_none() && insert.on.is_none();
    let source = insert.source.as_ref().filter(|_| is_plain && insert.returning.is_none())?;
    let query = Statement::Statement(Box::new(SqlStatement::Query(source.clone())));
    let columns = insert.columns.iter().map(|column| column.value.clone()).collect();
    let act = Act::Insert { columns, query: Box::new(query) };
    Some(Parsed::Write(Box::new(Writing { table: table.clone(), act })))
}

/// `SHOW PARTITIONS t` and `SHOW TBLPROPERTIES t`, which sqlparser takes for settings.
fn show(words: &[Ident]) -> Option<Parsed> {
    let (what, name) = words.split_first()?;
    let name = || (!name.is_empty()).then(|| ObjectName::from(name.to_vec()));
    match what.value.to_ascii_uppercase().as_str() {
        "PARTITIONS" => name().map(Parsed::ShowPartitions),
        "TBLPROPERTIES" => name().map(Parsed::ShowProperties),
        _ => None,
    }
}

fn refused(statement: &Statement) -> Error {
    let text = statement.to_string();
    let verb: Vec<&str> = text.split_whitespace().take(2).collect();
    Error::new(READ_ONLY, format!("{} is not served here", verb.join(" "))).with_help(
        "SELECT, EXPLAIN, SHOW, DESCRIBE, INSERT INTO, DELETE, UPDATE, MERGE INTO, CREATE, ALTER or DROP TABLE, CREATE or DROP SCHEMA",
    )
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
            // Athena's patterns are regular expressions, in which people write `*` or `.*`.
            ShowStatementFilter::Like(pattern)
            | ShowStatementFilter::ILike(pattern)
            | ShowStatementFilter::NoKeyword(pattern) => Ok(Some(pattern.replace(".*", "*").replace('*', "%"))),
            ShowStatementFilter::Where(_) => {
                Err(Error::new(SYNTAX, "SHOW takes no WHERE").with_help("SHOW TABLES LIKE 'trans%'"))
            }
        },
    }
}
