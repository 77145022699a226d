//! The names in a transform, and the attributes that they find.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::sql::sqlparser::ast::{
    DataType as SqlType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Visitor, VisitorMut,
};

use crate::sql::functions;
use crate::sql::problem::{NO_SUCH_ATTRIBUTE, Problem};
use crate::sql::statement::{CHANGES, Uses, place};

/// How alike a name must be to be suggested, from 0 to 1.
const LIKENESS_MIN: f64 = 0.5;

/// The names that are written, with the members behind them.
#[derive(Default)]
pub(super) struct Names(pub BTreeMap<String, BTreeSet<String>>);

impl Visitor for Names {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Infallible> {
        match expr {
            Expr::Identifier(ident) => {
                self.0.entry(ident.value.clone()).or_default();
            }
            Expr::CompoundIdentifier(parts) => {
                let qualified = parts.len() > 1 && parts[0].value.to_lowercase() == CHANGES;
                let names = &parts[usize::from(qualified)..];
                let members = self.0.entry(names[0].value.clone()).or_default();
                members.extend(names.get(1).map(|member| member.value.to_lowercase()));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Writes names as the attributes have them, in quotes, so that the planner takes them as they are.
pub(super) struct Spelling<'a, Known> {
    pub text: &'a str,
    pub known: Known,
    pub uses: BTreeMap<String, Uses>,
}

impl<'a, Known: Iterator<Item = &'a str> + Clone> VisitorMut for Spelling<'_, Known> {
    type Break = Problem;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Problem> {
        // Children are visited, and counted, after their parent.
        match expr {
            Expr::Identifier(ident) => self.name(ident)?,
            Expr::CompoundIdentifier(parts) => {
                if parts.len() > 1 && parts[0].value.to_lowercase() == CHANGES && self.find(&parts[0]).is_none() {
                    parts.remove(0);
                }
                self.name(&mut parts[0])?;
                parts[1..].iter_mut().filter(|part| part.quote_style.is_none()).for_each(|part| {
                    *part = Ident::with_quote('"', part.value.to_lowercase());
                });
                if let [only] = &parts[..] {
                    *expr = Expr::Identifier(only.clone());
                }
            }
            Expr::Cast { expr: inner, data_type, .. } if !is_binary(data_type) => self.count_as_text(inner),
            Expr::Function(function) if functions::takes_text(&function.name.to_string().to_lowercase()) => {
                if let Some(first) = first_argument(function) {
                    self.count_as_text(first);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl<'a, Known: Iterator<Item = &'a str> + Clone> Spelling<'_, Known> {
    fn name(&mut self, ident: &mut Ident) -> ControlFlow<Problem> {
        let Some(found) = self.find(ident) else {
            let message = format!("no item has an attribute `{}`", ident.value);
            let problem = Problem::new(NO_SUCH_ATTRIBUTE, message).at(place(self.text, ident.span));
            let likeness = |name: &&str| normalized_levenshtein(&name.to_lowercase(), &ident.value.to_lowercase());
            let nearest = self.known.clone().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
            return ControlFlow::Break(match nearest.filter(|name| likeness(name) >= LIKENESS_MIN) {
                Some(nearest) => problem.try_this(nearest),
                None => {
                    problem.try_this(format!("attributes = {{ {} = \"string\" }} if items may have it", ident.value))
                }
            });
        };
        self.uses.entry(found.to_owned()).or_default().total += 1;
        *ident = Ident { value: found.to_owned(), quote_style: Some('"'), span: ident.span };
        ControlFlow::Continue(())
    }

    /// The attribute of exactly this name; for a name without quotes else the only one with its letters.
    fn find(&self, ident: &Ident) -> Option<&'a str> {
        if let Some(exact) = self.known.clone().find(|name| *name == ident.value) {
            return Some(exact);
        }
        let folded = ident.value.to_lowercase();
        let mut alike = self.known.clone().filter(|name| name.to_lowercase() == folded);
        let first = alike.next().filter(|_| ident.quote_style.is_none())?;
        alike.next().is_none().then_some(first)
    }

    fn count_as_text(&mut self, expr: &Expr) {
        let ident = match expr {
            Expr::Identifier(ident) => ident,
            Expr::Nested(inner) => return self.count_as_text(inner),
            _ => return,
        };
        if let Some(found) = self.find(ident) {
            self.uses.entry(found.to_owned()).or_default().as_text += 1;
        }
    }
}

fn first_argument(function: &Function) -> Option<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.first()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

fn is_binary(data_type: &SqlType) -> bool {
    matches!(
        data_type,
        SqlType::Bytea | SqlType::Binary(_) | SqlType::Varbinary(_) | SqlType::Blob(_) | SqlType::Bytes(_)
    )
}
