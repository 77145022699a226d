//! Turns a call with lambdas into one of the functions of `lambdas`, which take their bodies as text.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, Function, Ident, LambdaFunction, OneOrManyWithParens, Value, VisitMut, VisitorMut,
};

use crate::error::{Error, MEANING, Result};
use crate::functions::calls::{name_and_arguments, rewrite_expr};
use crate::functions::lambdas::{KINDS, planned_name};
use crate::functions::templates::{numbered, template};

/// A call with lambdas, with their bodies as text.
pub(super) fn lambda_call(function: &Function) -> Result<Option<Expr>> {
    let Some((name, arguments)) = name_and_arguments(function) else { return Ok(None) };
    let has_lambda = arguments.iter().any(|argument| matches!(argument, Expr::Lambda(_)));
    if !has_lambda {
        return Ok(None);
    }
    if !KINDS.iter().any(|(known, _)| *known == name) {
        return Err(
            Error::new(MEANING, format!("{name} takes no lambda")).with_help(KINDS.map(|(name, _)| name).join(", "))
        );
    }
    let mut plain = Vec::new();
    let mut outside = Vec::new();
    for argument in arguments {
        match argument {
            Expr::Lambda(lambda) => plain.extend(as_texts(lambda, &mut outside)?),
            other => plain.push(other),
        }
    }
    let expected = if name == "reduce" { 7 } else { 3 };
    if plain.len() != expected {
        let help =
            if name == "reduce" { "reduce(array, 0, (s, x) -> s + x, s -> s)" } else { "filter(array, x -> x > 0)" };
        return Err(Error::new(MEANING, format!("{name} takes other arguments")).with_help(help));
    }
    plain.extend(outside);
    let call = template(&format!("\"{}\"({})", planned_name(&name), numbered(plain.len())), &plain)?;
    Ok(call)
}

/// A lambda's body and the names of its parameters. What it uses from outside is added to `outside`.
fn as_texts(lambda: LambdaFunction, outside: &mut Vec<Expr>) -> Result<Vec<Expr>> {
    let parameters = match lambda.params {
        OneOrManyWithParens::One(name) => vec![name],
        OneOrManyWithParens::Many(names) => names,
    };
    let parameters: Vec<String> = parameters.into_iter().map(|name| name.value.to_lowercase()).collect();
    let mut body = *lambda.body;
    // Inner lambdas and functions first, so that the body is planned as it stands.
    rewrite_expr(&mut body)?;
    let _ = VisitMut::visit(&mut body, &mut Captures { parameters: &parameters, outside });
    let text = |text: String| Expr::Value(Value::SingleQuotedString(text).into());
    Ok(std::iter::once(body.to_string()).chain(parameters).map(text).collect())
}

/// Puts `c0`, `c1`, … in place of columns.
struct Captures<'a> {
    parameters: &'a [String],
    outside: &'a mut Vec<Expr>,
}

impl VisitorMut for Captures<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // In `x.price` and `x[1]` the root stands first.
        let root = match &*expr {
            Expr::Identifier(name) => name,
            Expr::CompoundIdentifier(names) => match names.first() {
                Some(name) => name,
                None => return ControlFlow::Continue(()),
            },
            Expr::CompoundFieldAccess { root, access_chain } => match root.as_ref() {
                Expr::Identifier(name) if access_chain.iter().any(|access| matches!(access, AccessExpr::Dot(_))) => {
                    name
                }
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        if self.parameters.contains(&root.value.to_lowercase()) {
            return ControlFlow::Continue(());
        }
        let is_captured = |outside: &Expr| outside == expr;
        let index = self.outside.iter().position(is_captured).unwrap_or_else(|| {
            self.outside.push(expr.clone());
            self.outside.len() - 1
        });
        *expr = Expr::Identifier(Ident::new(format!("c{index}")));
        ControlFlow::Continue(())
    }
}
