//! The text of a transform, read: expressions for columns and a filter, over `changes` and nothing else.

mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement as DataFusionStatement};
use datafusion::sql::sqlparser::ast::{
    Expr, Function, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, Spanned, Statement as SqlStatement, Visit,
    VisitMut, Visitor,
};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::sql::dialect::TransformDialect;
use crate::sql::functions::{self, Availability};
use crate::sql::problem::{NO_SUCH_FUNCTION, NOT_A_PROJECTION, OUTPUT_NAME, Problem, SYNTAX, VOLATILE, offset};
use crate::sql::statement::names::{Names, Spelling};

/// How deep a transform may be nested; the parser is recursive.
const DEPTH_MAX: usize = 50;
const CHANGES: &str = "changes";
const FORM: &str = "SELECT … FROM changes WHERE …";

/// A transform as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub text: String,
    pub outputs: Vec<Output>,
    pub filter: Option<Expr>,
}

/// One item of the SELECT.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    /// `None` for a bare attribute, whose name is known once the attribute is.
    pub alias: Option<String>,
    pub expr: Expr,
    /// The expression as it was written.
    pub shown: String,
}

impl Output {
    /// The attribute that is selected as it is.
    pub fn attribute(&self) -> Option<&str> {
        match &self.expr {
            Expr::Identifier(ident) => Some(&ident.value),
            _ => None,
        }
    }

    /// The name of the column; that of a bare attribute in lower case, as engines see it.
    pub fn name(&self) -> Option<String> {
        self.alias.clone().or_else(|| match &self.expr {
            Expr::Identifier(ident) => Some(ident.value.to_lowercase()),
            Expr::CompoundIdentifier(parts) => parts.last().map(|last| last.value.to_lowercase()),
            _ => None,
        })
    }
}

/// How often an attribute is named, and how often where any type of value will do, as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    pub total: usize,
    pub as_text: usize,
}

impl Statement {
    /// Reads the text, and refuses all but a projection and a filter with functions that are allowed.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (query, template) = (parse_query(text)?, parse_query("SELECT 1 FROM changes")?);
        let whole = |span: Span| place(text, span);
        let (select, bare) = (select_of(&query), select_of(&template));
        let (Some(select), Some(bare)) = (select, bare) else {
            return Err(refused(whole(query.span()), "a transform is one SELECT"));
        };
        if let Some(clause) = foreign_clause(&query, select, &template, bare) {
            return Err(refused(whole(query.span()), &format!("a transform has no {clause}")));
        }
        let reads_changes = select.from.len() == 1 && select.from[0].to_string().to_lowercase() == CHANGES;
        if !reads_changes {
            let place = select.from.first().and_then(|from| whole(from.span()));
            return Err(refused(place, "a transform reads from `changes`, alone and under that name"));
        }
        let outputs = select.projection.iter().map(|item| output(text, item)).collect::<Result<Vec<_>, _>>()?;
        let statement = Self { text: text.to_owned(), outputs, filter: select.selection.clone() };
        let mut judge = Judge { text };
        let problem = statement.exprs().find_map(|expr| expr.visit(&mut judge).break_value());
        problem.map_or(Ok(statement), Err)
    }

    /// Spells every name as its attribute is spelled, and counts the uses.
    pub fn resolve<'a>(
        &mut self,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<BTreeMap<String, Uses>, Problem> {
        let mut spelling = Spelling { text: &self.text, known, uses: BTreeMap::new() };
        for expr in self.outputs.iter_mut().map(|output| &mut output.expr).chain(&mut self.filter) {
            if let ControlFlow::Break(problem) = VisitMut::visit(expr, &mut spelling) {
                return Err(problem);
            }
        }
        Ok(spelling.uses)
    }

    /// The names of attributes, as they are written, with the members of maps that are named behind them.
    pub fn names(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut names = Names::default();
        for expr in self.exprs() {
            let ControlFlow::Continue(()) = expr.visit(&mut names);
        }
        names.0
    }

    pub fn place(&self, expr: &Expr) -> Option<Range<usize>> {
        place(&self.text, expr.span())
    }

    fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.outputs.iter().map(|output| &output.expr).chain(&self.filter)
    }
}

fn parse_query(text: &str) -> Result<Box<Query>, Problem> {
    let parser = DFParserBuilder::new(text).with_dialect(&TransformDialect).with_recursion_limit(DEPTH_MAX).build();
    let statements = parser.and_then(|mut parser| parser.parse_statements()).map_err(|error| syntax(&error, text))?;
    let mut statements = statements.into_iter();
    match (statements.next(), statements.next()) {
        (Some(DataFusionStatement::Statement(statement)), None) => match *statement {
            SqlStatement::Query(query) => Ok(query),
            _ => Err(refused(None, "a transform is one SELECT")),
        },
        _ => Err(refused(None, "a transform is one SELECT")),
    }
}

/// The parser's error carries its place in words.
fn syntax(error: &DataFusionError, text: &str) -> Problem {
    let message = match error.find_root() {
        DataFusionError::SQL(error, _) => match error.as_ref() {
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => message.clone(),
            ParserError::RecursionLimitExceeded => "the SQL is nested too deeply".to_owned(),
        },
        other => other.strip_backtrace(),
    };
    let (what, place) = match message.split_once(" at Line: ") {
        Some((what, words)) => (what, place_in_words(words, text)),
        None => (message.as_str(), None),
    };
    let end = text.trim_end().len();
    let place = place.or_else(|| what.ends_with("found: EOF").then_some(end..end));
    Problem::new(SYNTAX, lower_first(what)).at(place).try_this(FORM)
}

/// Reads `3, Column: 14`.
fn place_in_words(words: &str, text: &str) -> Option<Range<usize>> {
    let (line, column) = words.split_once(", Column: ")?;
    let start = offset(text, line.parse().ok()?, column.trim().parse().ok()?);
    Some(start..start + 1)
}

fn select_of(query: &Query) -> Option<&Select> {
    match query.body.as_ref() {
        SetExpr::Select(select) => Some(select),
        _ => None,
    }
}

/// What the query has beyond a projection, `FROM` and `WHERE`. Whatever the parser may come to know is refused, as the
/// rest of the query has to be that of a plain one.
fn foreign_clause(query: &Query, select: &Select, template: &Query, bare: &Select) -> Option<&'static str> {
    let rest_of_select = Select {
        projection: bare.projection.clone(),
        from: bare.from.clone(),
        selection: None,
        select_token: bare.select_token.clone(),
        ..select.clone()
    };
    let rest_of_query = Query { body: template.body.clone(), ..query.clone() };
    if rest_of_select == *bare && rest_of_query == *template {
        return None;
    }
    Some(if query.with.is_some() {
        "WITH"
    } else if query.order_by.is_some() {
        "ORDER BY"
    } else if query.limit_clause.is_some() || query.fetch.is_some() {
        "LIMIT"
    } else if select.distinct.is_some() {
        "DISTINCT"
    } else if !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty()) {
        "GROUP BY"
    } else if select.having.is_some() {
        "HAVING"
    } else {
        "clauses beyond SELECT, FROM and WHERE"
    })
}

fn output(text: &str, item: &SelectItem) -> Result<Output, Problem> {
    match item {
        SelectItem::UnnamedExpr(expr @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_))) => {
            Ok(Output { alias: None, expr: expr.clone(), shown: expr.to_string() })
        }
        SelectItem::ExprWithAlias { expr, alias } => {
            Ok(Output { alias: Some(legal_name(text, alias)?), expr: expr.clone(), shown: expr.to_string() })
        }
        SelectItem::UnnamedExpr(expr) => {
            let problem = Problem::new(OUTPUT_NAME, "a column that is no bare attribute needs a name");
            Err(problem.at(place(text, expr.span())).try_this(format!("{expr} AS column_name")))
        }
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
            Err(Problem::new(NOT_A_PROJECTION, "`*` would let out attributes that nobody has named")
                .at(place(text, item.span()))
                .try_this("the attributes by name: SELECT id, amount FROM changes"))
        }
    }
}

fn legal_name(text: &str, alias: &Ident) -> Result<String, Problem> {
    let is_legal = |name: &str| {
        let mut bytes = name.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if is_legal(&alias.value) {
        return Ok(alias.value.clone());
    }
    let snake: String =
        alias.value.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    Err(Problem::new(OUTPUT_NAME, format!("`{}` is not a column name: engines see lower case only", alias.value))
        .at(place(text, alias.span))
        .try_this(format!("AS {snake}")))
}

/// Refuses sub-queries, and functions that are not allowed.
struct Judge<'a> {
    text: &'a str,
}

impl Visitor for Judge<'_> {
    type Break = Problem;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Problem> {
        ControlFlow::Break(refused(place(self.text, query.span()), "a transform has no sub-queries"))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Problem> {
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        match self.judge(function) {
            Some(problem) => ControlFlow::Break(problem.at(place(self.text, function.name.span()))),
            None => ControlFlow::Continue(()),
        }
    }
}

impl Judge<'_> {
    fn judge(&self, function: &Function) -> Option<Problem> {
        let name = function.name.to_string().to_lowercase();
        if function.over.is_some() {
            return Some(refused(None, "a transform has no window functions"));
        }
        if function.filter.is_some() || !function.within_group.is_empty() {
            return Some(refused(None, "a transform has no aggregates"));
        }
        match functions::availability(&name) {
            Availability::Allowed => None,
            Availability::Aggregate => Some(refused(None, &format!("`{name}` is an aggregate: a change is one row"))),
            Availability::Volatile => {
                let message = format!("`{name}` does not always answer the same, so a replay would give other rows");
                Some(Problem::new(VOLATILE, message).try_this("`_time`, the time of the change"))
            }
            Availability::Unknown(nearest) => {
                let problem = Problem::new(NO_SUCH_FUNCTION, format!("there is no function `{name}`"));
                Some(match nearest {
                    Some(nearest) => problem.try_this(format!("{nearest}(…)")),
                    None => problem.try_this("dynaberg explain DYN103, for the functions there are"),
                })
            }
        }
    }
}

fn refused(place: Option<Range<usize>>, message: &str) -> Problem {
    Problem::new(NOT_A_PROJECTION, message).at(place).try_this(FORM)
}

fn place(text: &str, span: Span) -> Option<Range<usize>> {
    let at = |line, column| offset(text, line, column);
    (span.start.line > 0).then(|| at(span.start.line, span.start.column)..at(span.end.line, span.end.column))
}

pub(crate) fn lower_first(message: &str) -> String {
    let mut characters = message.trim_end_matches('.').chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
