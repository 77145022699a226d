//! Names for columns that a query gives none, as Athena has them: `_col0`, `_col1`, counted from the left.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr, VisitorMut};

use crate::time_travel::visit;

pub(crate) fn complete(statement: &mut Statement) {
    let _ = visit(statement, &mut Names);
}

struct Names;

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        complete_in(&mut query.body);
        ControlFlow::Continue(())
    }
}

fn complete_in(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for (index, item) in select.projection.iter_mut().enumerate() {
                let SelectItem::UnnamedExpr(expr) = item else { continue };
                let has_name = matches!(
                    expr,
                    Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. }
                );
                if !has_name {
                    let alias = Ident::new(format!("_col{index}"));
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            complete_in(left);
            complete_in(right);
        }
        _ => {}
    }
}
