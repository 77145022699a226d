//! Names for columns that a query gives none, as Athena has them: `_col0`, `_col1`, counted from the left.
//!
//! A query may also have two columns of one name, which DataFusion does not plan: the later gets an invisible mark, which
//! is taken off again in the answer.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr, TableAliasColumnDef, VisitorMut};

use crate::time_travel::visit;

/// A zero-width space.
pub(crate) const MARK: char = '\u{200b}';

/// The columns as the query names them.
pub(crate) fn shown(schema: &SchemaRef) -> SchemaRef {
    if !schema.fields().iter().any(|field| field.name().ends_with(MARK)) {
        return schema.clone();
    }
    let unmarked = |field: &Arc<Field>| field.as_ref().clone().with_name(field.name().trim_end_matches(MARK));
    let fields: Vec<Field> = schema.fields().iter().map(unmarked).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

pub(crate) fn complete(statement: &mut Statement) {
    let _ = visit(statement, &mut Names);
}

struct Names;

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        // DataFusion names a recursive query's columns only when it is done with it.
        for cte in query.with.iter_mut().filter(|with| with.recursive).flat_map(|with| &mut with.cte_tables) {
            name_columns(&mut cte.query.body, &cte.alias.columns);
        }
        complete_in(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn complete_in(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            let mut named = HashSet::new();
            for (index, item) in select.projection.iter_mut().enumerate() {
                let SelectItem::UnnamedExpr(expr) = item else { continue };
                let has_name = matches!(
                    expr,
                    Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. }
                );
                let alias = match has_name {
                    false => format!("_col{index}"),
                    // The same column once more.
                    true if !named.insert(last_name(expr)) => {
                        format!("{}{}", last_name(expr), MARK.to_string().repeat(index))
                    }
                    true => continue,
                };
                let alias = Ident::with_quote('"', alias);
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            complete_in(left);
            complete_in(right);
        }
        _ => {}
    }
}

fn name_columns(body: &mut SetExpr, names: &[TableAliasColumnDef]) {
    match body {
        SetExpr::SetOperation { left, .. } => name_columns(left, names),
        SetExpr::Select(select) => {
            for (item, name) in select.projection.iter_mut().zip(names) {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: name.name.clone() };
                }
            }
        }
        _ => {}
    }
}

fn last_name(expr: &Expr) -> String {
    let last = match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        _ => None,
    };
    match last {
        Some(name) if name.quote_style.is_some() => name.value.clone(),
        Some(name) => name.value.to_lowercase(),
        None => expr.to_string(),
    }
}
