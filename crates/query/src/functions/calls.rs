//! Rewrites a statement's expressions from Athena's functions to those that DataFusion and we have.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Fetch, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArguments, Ident, LimitClause, ObjectName, Query, UnaryOperator, Value, VisitMut,
    VisitorMut, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use crate::error::{Error, MEANING, OUTSIDE, Result};
use crate::functions::casts::{cast, cast_to, decimal, double, name_fields, timestamp, without_errors};
use crate::functions::lambda_calls::lambda_call;
use crate::functions::lambdas::KINDS;
use crate::functions::templates::{self, numbered, template};
use crate::time_travel::visit;

/// Functions of other engines that reach out of the lake.
const OUTSIDE_FUNCTIONS: [&str; 12] = [
    "getenv",
    "glob",
    "http_get",
    "http_post",
    "load_file",
    "pg_read_file",
    "pg_ls_dir",
    "read_blob",
    "read_file",
    "read_text",
    "shell",
    "system",
];

/// Says `statement` in functions that can be planned.
pub(crate) fn rewrite(statement: &mut Statement) -> Result<()> {
    match visit(statement, &mut Calls) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// The same for an expression.
pub(super) fn rewrite_expr(expr: &mut Expr) -> Result<()> {
    match VisitMut::visit(expr, &mut Calls) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Calls;

impl VisitorMut for Calls {
    type Break = Error;

    /// `FETCH FIRST 3 ROWS ONLY` is a LIMIT.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let Some(Fetch { with_ties: false, percent: false, quantity }) = query.fetch.clone() else {
            return ControlFlow::Continue(());
        };
        let one = || Expr::Value(Value::Number("1".to_owned(), false).into());
        let count = quantity.unwrap_or_else(one);
        let offset = match query.limit_clause.take() {
            None => None,
            Some(LimitClause::LimitOffset { limit: None, offset, .. }) => offset,
            other => {
                query.limit_clause = other;
                return ControlFlow::Continue(());
            }
        };
        query.fetch = None;
        query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(count), offset, limit_by: Vec::new() });
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let rewritten = match expr {
            Expr::Function(function) => call(function),
            Expr::Substring { expr, substring_from: Some(from), substring_for, .. } if is_negative(from) => {
                from_the_end(expr, from, substring_for.as_deref())
            }
            Expr::Extract { field, expr, .. } => extract(field, expr),
            Expr::AtTimeZone { timestamp, time_zone } => at_timezone(timestamp, time_zone),
            Expr::Cast { kind, expr, data_type, .. } => cast(kind, expr, data_type),
            Expr::TypedString(typed) => {
                timestamp(typed);
                Ok(decimal(typed))
            }
            Expr::Value(value) => Ok(double(&value.value)),
            Expr::CompoundFieldAccess { root, access_chain } => {
                let starts_with_column = matches!(root.as_ref(), Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                name_fields(access_chain, !starts_with_column);
                Ok(None)
            }
            Expr::Position { expr, r#in } => {
                template("CAST(strpos($2, $1) AS BIGINT)", &[(**expr).clone(), (**r#in).clone()])
            }
            Expr::Lambda(_) => Err(Error::new(MEANING, "a lambda stands only in a function that takes one")
                .with_help(KINDS.map(|(name, _)| name).join(", "))),
            _ => Ok(None),
        };
        match rewritten {
            Ok(Some(rewritten)) => *expr = rewritten,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        // A lambda becomes text before its own expressions are looked at from outside.
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        match lambda_call(function) {
            Ok(Some(rewritten)) => *expr = rewritten,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// The name of a function that is called without a schema, in lower case, and its plain arguments.
pub(super) fn name_and_arguments(function: &Function) -> Option<(String, Vec<Expr>)> {
    let [part] = function.name.0.as_slice() else { return None };
    let arguments = match &function.args {
        FunctionArguments::None => Vec::new(),
        FunctionArguments::List(list) => {
            let plain = |argument: &FunctionArg| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
                _ => None,
            };
            list.args.iter().map(plain).collect::<Option<_>>()?
        }
        FunctionArguments::Subquery(_) => return None,
    };
    Some((part.as_ident()?.value.to_lowercase(), arguments))
}

/// `listagg(x, ',') WITHIN GROUP (ORDER BY y)` is `string_agg(x, ',' ORDER BY y)`.
fn listagg(function: &Function) -> Expr {
    let mut function = function.clone();
    let order = std::mem::take(&mut function.within_group);
    if let FunctionArguments::List(list) = &mut function.args {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    function.name = ObjectName::from(vec![Ident::new("string_agg")]);
    Expr::Function(function)
}

/// The first buckets are one larger where the rows do not part evenly; DataFusion's own spreads the larger ones.
fn ntile(function: &Function, buckets: &Expr) -> Result<Option<Expr>> {
    let mut window = match function.over.clone() {
        Some(WindowType::WindowSpec(window)) => window,
        Some(WindowType::NamedWindow(name)) => {
            WindowSpec { window_name: Some(name), partition_by: Vec::new(), order_by: Vec::new(), window_frame: None }
        }
        None => return Ok(None),
    };
    let windowed = |text: &str, over: WindowType| -> Result<Expr> {
        let Some(Expr::Function(call)) = template(text, &[])? else { return Ok(buckets.clone()) };
        let call = Expr::Function(Function { over: Some(over), ..call });
        Ok(cast_to(&CastKind::Cast, call, &DataType::BigInt(None)))
    };
    let row = windowed("row_number()", function.over.clone().unwrap_or(WindowType::WindowSpec(window.clone())))?;
    window.window_frame = Some(WindowFrame {
        units: WindowFrameUnits::Rows,
        start_bound: WindowFrameBound::Preceding(None),
        end_bound: Some(WindowFrameBound::Following(None)),
    });
    let rows = windowed("count(*)", WindowType::WindowSpec(window))?;
    let text = "CASE WHEN $1 <= ($2 % $3) * ($2 / $3 + 1) THEN ($1 - 1) / ($2 / $3 + 1) + 1 \
                ELSE ($1 - ($2 % $3) * ($2 / $3 + 1) - 1) / nullif($2 / $3, 0) + $2 % $3 + 1 END";
    template(text, &[row, rows, buckets.clone()])
}

fn call(function: &Function) -> Result<Option<Expr>> {
    let Some((name, arguments)) = name_and_arguments(function) else { return Ok(None) };
    if OUTSIDE_FUNCTIONS.contains(&name.as_str()) {
        return Err(Error::new(
            OUTSIDE,
            format!("{name} is not allowed: queries read the lake's tables and nothing else"),
        ));
    }
    let rewritten = match (name.as_str(), arguments.as_slice()) {
        ("try", [expr]) => Some(without_errors(expr.clone())),
        ("concat", [first, rest @ ..]) if !rest.is_empty() => Some(Expr::Nested(Box::new(
            rest.iter().fold(first.clone(), |left, right| binary(left, BinaryOperator::StringConcat, right.clone())),
        ))),
        // NULL where one of them is, and not the greatest of the others.
        ("greatest" | "least", [_, _, ..]) => {
            let is_null = arguments.iter().cloned().map(|argument| Expr::IsNull(Box::new(argument)));
            let any = is_null.reduce(|left, right| binary(left, BinaryOperator::Or, right));
            any.map(|any| template("CASE WHEN $1 THEN NULL ELSE $2 END", &[any, Expr::Function(function.clone())]))
                .transpose()?
                .flatten()
        }
        ("listagg", [_, _]) if !function.within_group.is_empty() => Some(listagg(function)),
        ("ntile", [buckets]) if function.over.is_some() => ntile(function, buckets)?,
        // DataFusion's are unsigned, and minus an integer they would be decimals.
        ("row_number" | "rank" | "dense_rank", []) if function.over.is_some() => {
            Some(cast_to(&CastKind::Cast, Expr::Function(function.clone()), &DataType::BigInt(None)))
        }
        ("at_timezone", [timestamp, zone]) => at_timezone(timestamp, zone)?,
        ("row", _) => template(&format!("struct({})", numbered(arguments.len())), &arguments)?,
        ("to_char" | "current_date" | "now", _) => None,
        (name, _) => match templates::find(name, arguments.len()) {
            Some(text) => template(text, &arguments)?.map(|made| with_clauses(made, function)),
            None => None,
        },
    };
    Ok(rewritten)
}

/// `substr('hello', -2)` is its last two letters.
fn from_the_end(text: &Expr, from: &Expr, length: Option<&Expr>) -> Result<Option<Expr>> {
    let mut arguments = vec![text.clone(), from.clone()];
    arguments.extend(length.cloned());
    match length {
        None => template("substr($1, character_length($1) + $2 + 1)", &arguments),
        Some(_) => template("substr($1, character_length($1) + $2 + 1, $3)", &arguments),
    }
}

fn is_negative(expr: &Expr) -> bool {
    matches!(expr, Expr::UnaryOp { op: UnaryOperator::Minus, .. })
}

/// Gives every aggregate in `made` the clauses that the call had: FILTER and OVER.
fn with_clauses(mut made: Expr, call: &Function) -> Expr {
    if call.filter.is_none() && call.over.is_none() {
        return made;
    }
    let _ = VisitMut::visit(&mut made, &mut Clauses(call));
    made
}

struct Clauses<'a>(&'a Function);

impl VisitorMut for Clauses<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        const AGGREGATES: [&str; 7] =
            ["approx_distinct", "approx_percentile_cont", "array_agg", "avg", "bool_and", "count", "first_value"];
        let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
        if !AGGREGATES.contains(&function.name.to_string().as_str()) {
            return ControlFlow::Continue(());
        }
        function.over = self.0.over.clone();
        function.filter = match (function.filter.take(), self.0.filter.clone()) {
            (Some(own), Some(asked)) => {
                Some(Box::new(binary(Expr::Nested(own), BinaryOperator::And, Expr::Nested(asked))))
            }
            (own, asked) => own.or(asked),
        };
        ControlFlow::Continue(())
    }
}

fn extract(field: &DateTimeField, expr: &Expr) -> Result<Option<Expr>> {
    let name = field.to_string().to_lowercase();
    let name = if name == "day_of_month" { "day" } else { name.as_str() };
    match templates::find(name, 1) {
        Some(text) => template(text, std::slice::from_ref(expr)),
        None => Ok(None),
    }
}

/// The same moment, told in another zone. A timestamp without a zone is in UTC.
fn at_timezone(timestamp: &Expr, zone: &Expr) -> Result<Option<Expr>> {
    let Expr::Value(value) = zone else {
        return Err(Error::new(MEANING, "a time zone must be written out").with_help("'Europe/Berlin'"));
    };
    let Value::SingleQuotedString(zone) = &value.value else {
        return Err(Error::new(MEANING, format!("{value} is no time zone")).with_help("'Europe/Berlin'"));
    };
    let text = format!(
        "arrow_cast(arrow_cast($1, 'Timestamp(ms, \"+00:00\")'), 'Timestamp(ms, \"{}\")')",
        zone.replace(['\'', '"'], "")
    );
    template(&text, std::slice::from_ref(timestamp))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}
