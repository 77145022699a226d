//! Lets an unquoted name find a column in any case, as Athena does.
//!
//! DataFusion turns unquoted names into lower case, which finds `amount` for `AMOUNT` but never `orderId`. Only the planner
//! knows which columns are in scope where, so its complaint is what we go by.

use std::ops::ControlFlow;

use datafusion::common::{Column, SchemaError, Span};
use datafusion::error::DataFusionError;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Spanned, VisitMut, VisitorMut};

/// Spells the unquoted name that the planner did not find as the column is spelled that it must mean. Tells whether
/// there was one.
pub(crate) fn correct(statement: &mut Statement, error: &DataFusionError) -> bool {
    let DataFusionError::SchemaError(schema_error, _) = error.find_root() else { return false };
    let SchemaError::FieldNotFound { field, valid_fields } = schema_error.as_ref() else { return false };
    let place = error.diagnostic().and_then(|diagnostic| diagnostic.span).or_else(|| field.spans().first());
    let Some(place) = place else { return false };

    // `items.price` may be a column of a table, or a field of a column.
    let relation = field.relation.as_ref().map(|relation| relation.table());
    let names = [Some(field.name()), relation].into_iter().flatten();
    let Some(spelled) = names.filter_map(|name| spelling(name, valid_fields)).next() else { return false };
    let mut correction = Correction { place, spelled, is_done: false };
    visit(statement, &mut correction);
    correction.is_done
}

/// The one column that has the letters of `name` in another case.
fn spelling(name: &str, valid_fields: &[Column]) -> Option<String> {
    let mut same = valid_fields.iter().map(Column::name).filter(|valid| valid.to_lowercase() == name.to_lowercase());
    let first = same.next()?;
    (first != name && same.all(|other| other == first)).then(|| first.to_owned())
}

fn visit(statement: &mut Statement, correction: &mut Correction) {
    match statement {
        Statement::Statement(sql) => drop(sql.visit(correction)),
        Statement::Explain(explain) => visit(&mut explain.statement, correction),
        _ => {}
    }
}

struct Correction {
    place: Span,
    spelled: String,
    is_done: bool,
}

impl VisitorMut for Correction {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let starts_here = Span::try_from_sqlparser_span(expr.span()).is_some_and(|span| span.start == self.place.start);
        let idents: &mut [Ident] = match expr {
            Expr::Identifier(ident) if starts_here => std::slice::from_mut(ident),
            Expr::CompoundIdentifier(parts) if starts_here => parts,
            _ => return ControlFlow::Continue(()),
        };
        let is_meant = |ident: &&mut Ident| {
            ident.quote_style.is_none() && ident.value.to_lowercase() == self.spelled.to_lowercase()
        };
        if let Some(ident) = idents.iter_mut().rev().find(is_meant) {
            ident.value = self.spelled.clone();
            ident.quote_style = Some('"');
            self.is_done = true;
        }
        ControlFlow::Break(())
    }
}
