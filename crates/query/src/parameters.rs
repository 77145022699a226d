//! Puts execution parameters in place of `?`.
//!
//! A parameter is read as one SQL literal by itself and goes into the statement's tree, so no text of it is ever taken
//! for SQL.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Value, VisitorMut};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::dialect::Athena;
use crate::error::{Error, MEANING, Result, SYNTAX};
use crate::time_travel::visit;

/// How many parameters the statement in `sql` has, by the highest of its `$1`, `$2`, …. Zero where it cannot be read.
pub fn parameter_count(sql: &str) -> usize {
    let tokens = Tokenizer::new(&Athena, sql).tokenize().unwrap_or_default();
    let number = |token: &Token| match token {
        Token::Placeholder(name) => name.strip_prefix('$')?.parse::<usize>().ok(),
        _ => None,
    };
    tokens.iter().filter_map(number).max().unwrap_or_default()
}

/// Replaces `$1`, `$2`, … by `parameters`. There must be as many of the ones as of the others.
/// A statement without a query takes none.
pub(crate) fn fill_in(statement: Option<&mut Statement>, parameters: &[String]) -> Result<()> {
    let literals = parameters.iter().map(|parameter| literal(parameter)).collect::<Result<Vec<_>>>()?;
    let mut filling = Filling { literals, last: 0 };
    if let Some(statement) = statement {
        let _ = visit(statement, &mut filling);
    }
    if filling.last != parameters.len() {
        let message =
            format!("the statement has {} parameters, and {} values were given", filling.last, parameters.len());
        return Err(Error::new(MEANING, message).with_help("one execution parameter for each ?"));
    }
    Ok(())
}

/// Athena takes literals: numbers, strings, `DATE '…'`, `true`, NULL.
fn literal(text: &str) -> Result<Expr> {
    let refused = || Error::new(SYNTAX, format!("{text} is no SQL literal")).with_help("text stands in single quotes");
    let mut parser = Parser::new(&Athena).try_with_sql(text).map_err(|_| refused())?;
    let expr = parser.parse_expr().map_err(|_| refused())?;
    let is_literal = |expr: &Expr| matches!(expr, Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_));
    let is_allowed = match &expr {
        Expr::UnaryOp { expr, .. } => is_literal(expr),
        other => is_literal(other),
    };
    if parser.peek_token().token != Token::EOF || !is_allowed { Err(refused()) } else { Ok(expr) }
}

struct Filling {
    literals: Vec<Expr>,
    /// The highest number met.
    last: usize,
}

impl VisitorMut for Filling {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Value(value) = &*expr else { return ControlFlow::Continue(()) };
        let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        let Some(number) = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok()) else {
            return ControlFlow::Continue(());
        };
        self.last = self.last.max(number);
        if let Some(literal) = number.checked_sub(1).and_then(|index| self.literals.get(index)) {
            *expr = literal.clone();
        }
        ControlFlow::Continue(())
    }
}
